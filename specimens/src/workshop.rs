//! Where a specimen is made.

mod proxy;

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::network::Network;
use crate::run::{ask, git_env, on_path, run};
use crate::specimen::Written;

/// Makes one specimen. All paths are below its root.
pub(crate) struct Workshop {
    written: Written,
}

impl Workshop {
    /// A folder with a home, an empty folder of tools, and the environment of a user who has neither network nor habits. The
    /// folder of a go command comes before PATH.
    pub fn new(root: &Path, go_folder: Option<&Path>) -> io::Result<Workshop> {
        for name in ["src", "home", "tmp", "bin", "gopath", "out"] {
            fs::create_dir_all(root.join(name))?;
        }
        fs::write(
            root.join("home/.gitconfig"),
            "[init]\n\tdefaultBranch = main\n[protocol \"file\"]\n\tallow = always\n[advice]\n\tdetachedHead = false\n",
        )?;
        // Else go counts its own runs in files below.
        fs::create_dir_all(root.join("home/.config/go/telemetry"))?;
        fs::write(root.join("home/.config/go/telemetry/mode"), "off")?;
        let mut path = std::env::var("PATH").unwrap_or_default();
        if let Some(folder) = go_folder {
            path = format!("{}:{path}", folder.display());
        }
        let below = |name: &str| root.join(name).display().to_string();
        let env = [
            ("PATH", format!("{}:{path}", below("bin"))),
            ("HOME", below("home")),
            ("TMPDIR", below("tmp")),
            ("GOPATH", below("gopath")),
            ("GOPROXY", "off".to_owned()),
            ("GOSUMDB", "off".to_owned()),
            ("GOTOOLCHAIN", "local".to_owned()),
            // Nobody listens there, so no change leads out of this machine.
            ("HTTP_PROXY", NOWHERE.to_owned()),
            ("HTTPS_PROXY", NOWHERE.to_owned()),
            ("GIT_ALLOW_PROTOCOL", "file:https".to_owned()),
        ];
        Ok(Workshop {
            written: Written {
                root: root.to_owned(),
                folder: root.join("src"),
                env: env
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect(),
                flags: Vec::new(),
                packages: Vec::new(),
                has_output: true,
                read_only: Vec::new(),
                network: None,
            },
        })
    }

    pub fn done(self) -> Written {
        self.written
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.written.root.join(name)
    }

    /// Writes files.
    pub fn files(&mut self, files: &[(&str, &str)]) -> io::Result<()> {
        for (name, text) in files {
            let path = self.path(name);
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(path, text)?;
        }
        Ok(())
    }

    /// A module `example.com/m` in `src` with these files of it.
    pub fn module(&mut self, files: &[(&str, &str)]) -> io::Result<()> {
        self.files(&[("src/go.mod", GO_MOD)])?;
        for (name, text) in files {
            self.files(&[(&format!("src/{name}"), text)])?;
        }
        Ok(())
    }

    /// Makes a link.
    pub fn link(&mut self, name: &str, target: &str) -> io::Result<()> {
        let path = self.path(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        symlink(target, path)
    }

    /// A program that comes first on PATH.
    pub fn tool(&mut self, name: &str, script: &str) -> io::Result<()> {
        let path = self.path("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n"))?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))
    }

    /// Leaves these programs on PATH and no others. Scripts, not links: what is done to a specimen is done to no program of the machine.
    pub fn only_tools(&mut self, names: &[&str]) -> io::Result<()> {
        for name in names {
            let found = on_path(name)?;
            self.tool(name, &format!("exec '{}' \"$@\"", found.display()))?;
        }
        self.env("PATH", "ROOT/bin");
        Ok(())
    }

    /// The working folder.
    pub fn work_in(&mut self, name: &str) {
        self.written.folder = self.path(name);
    }

    /// Sets a variable; `ROOT` in it stands for the specimen's folder.
    pub fn env(&mut self, name: &str, value: &str) {
        let value = value.replace("ROOT", &self.written.root.to_string_lossy());
        self.written.set_var(name, Some(&value));
    }

    /// Adds flags; `ROOT` as in [`env`](Workshop::env).
    pub fn flags(&mut self, flags: &[&str]) {
        let root = self.written.root.to_string_lossy().into_owned();
        self.written
            .flags
            .extend(flags.iter().map(|flag| flag.replace("ROOT", &root)));
    }

    /// What is built.
    pub fn packages(&mut self, packages: &[&str]) {
        self.written.packages = packages.iter().map(|&package| package.to_owned()).collect();
    }

    /// There is no program to be written.
    pub fn no_output(&mut self) {
        self.written.has_output = false;
    }

    /// Runs git in a folder.
    pub fn git(&mut self, folder: &str, args: &[&str]) -> io::Result<()> {
        run("git", args, &self.path(folder), &git_env(&self.written.env))
    }

    /// Makes a repository of a folder and commits all that is in it.
    pub fn repository(&mut self, folder: &str) -> io::Result<()> {
        self.git(folder, &["init", "-q"])?;
        self.git(folder, &["add", "-A"])?;
        self.git(folder, &["commit", "-q", "-m", "first"])
    }

    /// Runs go in a folder, for `go mod` and its like: nothing is compiled.
    pub fn go(&mut self, folder: &str, args: &[&str]) -> io::Result<()> {
        let cache = self.path("tmp/gocache");
        let mut env = self.written.env.clone();
        env.push(("GOCACHE".to_owned(), cache.display().to_string()));
        run("go", args, &self.path(folder), &env)?;
        // Not every command uses it.
        match cache.is_dir() {
            true => fs::remove_dir_all(cache),
            false => Ok(()),
        }
    }

    /// The folder of the release that `go` is of.
    pub fn goroot(&self) -> io::Result<PathBuf> {
        let mut env = self.written.env.clone();
        env.push(("GOTOOLCHAIN".to_owned(), "local".to_owned()));
        env.push(("GOFLAGS".to_owned(), " ".to_owned()));
        let said = ask("go", &["env", "GOROOT"], &self.written.root, &env)?;
        Ok(PathBuf::from(said.trim_end()))
    }

    /// Puts a module version into the proxy, which is GOPROXY from then on.
    pub fn publish(
        &mut self,
        module: &str,
        version: &str,
        files: &[(&str, &str)],
    ) -> io::Result<()> {
        self.publish_in("proxy", module, version, files)?;
        self.env("GOPROXY", "file://ROOT/proxy");
        Ok(())
    }

    /// Puts a module version into the folder of a proxy.
    pub fn publish_in(
        &mut self,
        proxy: &str,
        module: &str,
        version: &str,
        files: &[(&str, &str)],
    ) -> io::Result<()> {
        proxy::publish(&self.path(proxy), module, version, files)
    }

    /// Puts a Go release into the proxy, as cmd/go fetches it: a script that is its go command.
    pub fn publish_release(&mut self, name: &str, script: &str) -> io::Result<()> {
        let version = format!("v0.0.1-{name}.{PLATFORM}");
        let script = format!("#!/bin/sh\n{script}\n");
        // cmd/go makes all of these executable.
        let files = [
            ("bin/go", script.as_str()),
            ("bin/gofmt", ""),
            ("lib/none", ""),
            ("pkg/tool/none", ""),
        ];
        self.publish("golang.org/toolchain", &version, &files)
    }

    /// Where a release of the proxy is once it has been fetched.
    pub fn fetched_release(&self, name: &str) -> PathBuf {
        self.path("gopath/pkg/mod")
            .join(format!("golang.org/toolchain@v0.0.1-{name}.{PLATFORM}"))
    }

    /// Answers for hosts of example.com from now on, with the files in `hosts/HOST`.
    pub fn network(&mut self) -> io::Result<()> {
        let network = Network::of(&self.written.root)?;
        // Another one each time, so no part of what may change.
        self.files(&[("tmp/trusted.pem", network.certificate())])?;
        self.env("SSL_CERT_FILE", "ROOT/tmp/trusted.pem");
        self.env("HTTPS_PROXY", &network.proxy());
        self.written.network = Some(Arc::new(network));
        Ok(())
    }

    /// Removes what was fetched.
    pub fn forget_modules(&mut self) -> io::Result<()> {
        crate::saved::remove(&self.path("gopath/pkg/mod"))
    }
}

/// An address of which nobody knows.
const NOWHERE: &str = "http://127.0.0.1:9";

/// The system's name and the processor's, as Go has them.
const PLATFORM: &str = match (cfg!(target_os = "macos"), cfg!(target_arch = "aarch64")) {
    (true, true) => "darwin-arm64",
    (true, false) => "darwin-amd64",
    (false, true) => "linux-arm64",
    (false, false) => "linux-amd64",
};

/// Of `example.com/m`.
pub(crate) const GO_MOD: &str = "module example.com/m\n\ngo 1.24\n";
