//! The place of one test: a source tree, a home, a folder for temporary files, and commands that see nothing else.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use gofarm_testkit::built;
use tempfile::TempDir;

use super::facts::examples;
use super::{Invocation, Summary, facts, mentioning};

/// What the program of a [`slow_module`](Site::slow_module) prints on stderr.
pub const SLOW_PRINTS: &str = "400\n";

/// Of a slow package. It takes half a second to compile: long enough to be caught at it, and stopped.
const FUNCTIONS: usize = 400;

/// A change of a file less than this ago may be followed by another one with the same time.
const TICK: Duration = Duration::from_millis(30);

/// A test's own folders. They go with it, and no process that names them may be left by then.
pub struct Site {
    folder: TempDir,
    cache: PathBuf,
}

impl Site {
    /// With the shared caches, warm.
    pub fn new() -> Site {
        facts().warm();
        Site::cold()
    }

    /// With the shared caches, as they are: for tests that compile nothing of the standard library.
    pub fn cold() -> Site {
        let folder = tempfile::Builder::new()
            .prefix("gofarm-e2e-")
            .tempdir()
            .unwrap();
        for name in ["src", "home", "tmp"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        Site {
            folder,
            cache: facts().cache.clone(),
        }
    }

    /// With a cache folder of its own, empty.
    pub fn own_cache() -> Site {
        let mut site = Site::cold();
        site.cache = site.path("cache");
        site
    }

    /// A module `example.com/m` of these files, old enough to be remembered.
    pub fn module(self, files: &[(&str, &str)]) -> Site {
        self.write("go.mod", "module example.com/m\n\ngo 1.24\n");
        for (name, text) in files {
            self.write(name, text);
        }
        self.age();
        self
    }

    /// Makes a cache folder that has what the shared one has. Its blobs are the same files: never written, but taken away or
    /// replaced.
    pub fn copy_cache(&self, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for name in ["cas", "actions", "format", "CACHEDIR.TAG"] {
            link(&facts().cache.join(name), &to.join(name));
        }
    }

    /// A module with a program and packages that each take a while to compile. No other run has built it. The program
    /// prints [`SLOW_PRINTS`].
    pub fn slow_module(self, packages: usize) -> Site {
        self.slow_layers(&[packages])
    }

    /// As [`slow_module`](Site::slow_module), with layers of packages that each import all of the layer before.
    pub fn slow_layers(self, layers: &[usize]) -> Site {
        let unique = self.path("").display().to_string();
        let mut main = "package main\n\n".to_owned();
        let mut sum = String::new();
        let mut files = Vec::new();
        let mut below = Vec::new();
        let mut number = 0;
        for packages in layers {
            let layer: Vec<String> = (number..number + packages)
                .map(|number| format!("slow{number}"))
                .collect();
            for name in &layer {
                main.push_str(&format!("import \"example.com/m/{name}\"\n"));
                sum.push_str(&format!(" + len({name}.Table)"));
                files.push((
                    format!("{name}/slow.go"),
                    slow_package(name, &below, &unique),
                ));
            }
            number += packages;
            below = layer;
        }
        main.push_str(&format!(
            "\nvar text = {unique:?}\n\nfunc main() {{ println((0{sum}) / {number}) }}\n"
        ));
        files.push(("main.go".to_owned(), main));
        let quick = format!("package quick\n\nvar Name = {unique:?}\n");
        files.push(("quick/quick.go".to_owned(), quick));
        let files: Vec<(&str, &str)> = files
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()))
            .collect();
        self.module(&files)
    }

    /// The cache folder of gofarm.
    pub fn cache(&self) -> &Path {
        &self.cache
    }

    /// A path beside the source tree.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A path in the source tree.
    pub fn src(&self, name: &str) -> PathBuf {
        self.path("src").join(name)
    }

    /// Writes a file of the source tree.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.src(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Replaces a text, which must be there once, in a file of the source tree.
    pub fn replace(&self, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.src(name)).unwrap();
        assert_eq!(text.matches(from).count(), 1, "{from:?} in {name}");
        self.write(name, &text.replace(from, to));
    }

    /// Copies a folder below `examples` into the source tree.
    pub fn example(&self, name: &str) {
        copy(&examples().join(name), &self.path("src"));
        self.age();
    }

    /// Copies the source tree to a folder beside it.
    pub fn copy_to(&self, name: &str) -> PathBuf {
        let to = self.path(name);
        copy(&self.path("src"), &to);
        age(&to, hour_ago());
        thread::sleep(TICK);
        to
    }

    /// Sets the times of the whole source tree back: gofarm remembers nothing about what changed just now.
    pub fn age(&self) {
        age(&self.path("src"), hour_ago());
        // The time of the last status change cannot be set.
        thread::sleep(TICK);
    }

    /// `gofarm` in the source tree.
    pub fn gofarm(&self, args: &[&str]) -> Invocation {
        self.command(&built("gofarm"), args)
    }

    /// `gofarm submit --summary-json ...`: it must succeed, and its summary is returned.
    pub fn submit(&self, args: &[&str]) -> Summary {
        self.submit_in(&self.path("src"), args)
    }

    /// As [`submit`](Site::submit), in another folder.
    pub fn submit_in(&self, folder: &Path, args: &[&str]) -> Summary {
        let file = self.path("summary.json");
        let flag = format!("--summary-json={}", file.display());
        let mut all = vec!["submit", &flag];
        all.extend(args);
        self.gofarm(&all).folder(folder).run().ok();
        Summary::read(&file)
    }

    /// `go` in the source tree.
    pub fn go(&self, args: &[&str]) -> Invocation {
        self.command(Path::new("go"), args)
    }

    /// Any program in the source tree.
    pub fn command(&self, program: &Path, args: &[&str]) -> Invocation {
        let facts = facts();
        let mut command =
            Invocation::new(program, args, self.folder.path()).folder(&self.path("src"));
        for name in [
            "GOMODCACHE",
            "GOPROXY",
            "GOSUMDB",
            "GOPRIVATE",
            "GONOPROXY",
            "GONOSUMDB",
        ] {
            command = command.env(name, facts.go(name));
        }
        command
            .env("PATH", &std::env::var("PATH").unwrap())
            .env("HOME", &self.path("home").to_string_lossy())
            .env("TMPDIR", &self.path("tmp").to_string_lossy())
            .env("GOTOOLCHAIN", "local")
            .env("GOCACHE", &facts.gocache.to_string_lossy())
            .env("GOFARM_CACHE_DIR", &self.cache.to_string_lossy())
            .env("GOFARM_PROGRESS", "none")
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if !thread::panicking() {
            let left = mentioning(&self.folder.path().to_string_lossy());
            assert!(left.is_empty(), "left behind: {left:#?}");
        }
    }
}

/// Imports these packages of its module, and one that is quick to compile.
fn slow_package(name: &str, imports: &[String], unique: &str) -> String {
    let mut text = format!("package {name}\n\nimport \"example.com/m/quick\"\n");
    for import in imports {
        text.push_str(&format!("import _ \"example.com/m/{import}\"\n"));
    }
    text.push_str("\nvar Table = map[string]func(int) int{\n");
    for i in 0..FUNCTIONS {
        text.push_str(&format!(
            "\t\"k{i}\": func(n int) int {{\n\t\tm := map[int]string{{}}\n\t\tfor j := range n {{\n\t\t\tm[j*{i}] = quick.Name\n\t\t\tif j%7 == {} {{\n\t\t\t\tdelete(m, j)\n\t\t\t}}\n\t\t}}\n\t\treturn len(m)\n\t}},\n",
            i % 7
        ));
    }
    text.push_str(&format!("}}\n\nvar Text = {unique:?}\n"));
    text
}

fn hour_ago() -> SystemTime {
    SystemTime::now() - Duration::from_secs(3600)
}

fn age(path: &Path, time: SystemTime) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            age(&entry.unwrap().path(), time);
        }
    }
    if !path.is_symlink() {
        File::open(path).unwrap().set_modified(time).unwrap();
    }
}

fn link(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let name = entry.unwrap().file_name();
            link(&from.join(&name), &to.join(&name));
        }
    } else if let Err(error) = fs::hard_link(from, to) {
        // Another test may be taking it away just now.
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{error}");
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (from, to) = (
            entry.as_ref().unwrap().path(),
            to.join(entry.unwrap().file_name()),
        );
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(from, to).unwrap();
        }
    }
}
