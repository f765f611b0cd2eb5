//! A small Go module, really built, and the commands that cmd/go ran for it, to be run again in gofarm's way.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A build of `go build -trimpath`, its work folder kept until this is dropped.
pub struct Build {
    /// The binary that cmd/go made.
    pub binary: PathBuf,
    /// What `go build -x` printed, one command a line.
    pub commands: Vec<String>,
    work: PathBuf,
    env: Vec<(String, String)>,
    go: String,
    folder: TempDir,
}

impl Drop for Build {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.work).unwrap();
    }
}

/// Builds `main.go` and other files of a module `example.com/m` with `go build -trimpath` and more flags.
///
/// The go command is the one on PATH, or `GOFARM_TEST_GO`. The build cache stays between runs.
pub fn build(files: &[(&str, &str)], env: &[(&str, &str)], flags: &[&str]) -> Build {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("go.mod"),
        "module example.com/m\n\ngo 1.24\n",
    )
    .unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    build_in(folder, env, flags, ".")
}

/// Builds a package, given as `go build` takes it, in a folder.
pub fn build_in(folder: TempDir, env: &[(&str, &str)], flags: &[&str], package: &str) -> Build {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("gocache");
    let mut env: Vec<(String, String)> = env
        .iter()
        .map(|(k, v)| (k.to_string(), v.to_string()))
        .collect();
    env.extend([
        ("GOCACHE".into(), cache.to_str().unwrap().into()),
        ("GOFLAGS".into(), String::new()),
        ("GOTOOLCHAIN".into(), "local".into()),
    ]);
    let go = std::env::var("GOFARM_TEST_GO").unwrap_or_else(|_| "go".into());
    let binary = folder.path().join("binary.of.go");
    let mut command = command(&go, folder.path(), &env);
    command.args(["build", "-trimpath", "-work", "-x", "-o"]);
    command.arg(&binary).args(flags).arg(package);
    let printed = run(command).1;
    let work = printed
        .lines()
        .find_map(|line| line.strip_prefix("WORK="))
        .unwrap();
    Build {
        binary,
        work: work.into(),
        commands: printed.lines().map(str::to_owned).collect(),
        env,
        go,
        folder,
    }
}

impl Build {
    /// The one command that names a tool of the toolchain and ends or goes on as given.
    pub fn command_line(&self, tool: &str, with: &str) -> &str {
        let tool = format!("/{tool} ");
        let mut found = self
            .commands
            .iter()
            .filter(|line| line.contains(&tool) && line.contains(with));
        let line = found
            .next()
            .unwrap_or_else(|| panic!("no {tool}in {:#?}", self.commands));
        assert_eq!(found.next(), None);
        line
    }

    /// Runs a command line as the shell does, in the module's folder, with `$WORK` set.
    pub fn shell(&self, line: &str) {
        let mut shell = command("sh", self.folder.path(), &self.env);
        shell.env("WORK", &self.work).args(["-e", "-c", line]);
        run(shell);
    }

    /// What a go command prints, without the space around it.
    pub fn go(&self, args: &[&str]) -> String {
        let mut command = command(&self.go, self.folder.path(), &self.env);
        command.args(args);
        run(command).0.trim().to_owned()
    }

    /// A path in the module's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A path in cmd/go's work folder.
    pub fn work(&self, name: &str) -> PathBuf {
        self.work.join(name)
    }
}

/// The value of `-name value` or `-name=value` in a command line.
pub fn flag<'l>(line: &'l str, name: &str) -> &'l str {
    let mut words = line.split(' ');
    while let Some(word) = words.next() {
        if word == name {
            return words.next().unwrap();
        }
        if let Some(value) = word.strip_prefix(name).and_then(|v| v.strip_prefix('=')) {
            return value;
        }
    }
    panic!("no {name} in {line}")
}

fn command(program: &str, folder: &Path, env: &[(String, String)]) -> Command {
    #[allow(
        clippy::disallowed_methods,
        reason = "tests run the real tools in the foreground"
    )]
    let mut command = Command::new(program);
    command
        .current_dir(folder)
        .env("GOENV", "off")
        .env("GOWORK", "off")
        .envs(env.iter().map(|(k, v)| (k, v)));
    command
}

fn run(mut command: Command) -> (String, String) {
    let output = command.output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{command:?} failed:\n{stderr}");
    (stdout, stderr)
}
