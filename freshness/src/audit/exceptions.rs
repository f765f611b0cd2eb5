//! What planning asks for and needs no fact, each with the reason.

use std::io;
use std::path::{Path, PathBuf};

use gofarm_observe::{Kind, Outcome};

use gofarm_plan::GoCommand;
use gofarm_specimens::Written;

use super::Asked;

/// Programs of a C toolchain.
const C_TOOLCHAIN: [&str; 8] = [
    "gcc", "g++", "clang", "cc1", "cc1plus", "as", "ld", "collect2",
];

/// Where things of many specimens are.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// GOROOT, and where its files really are.
    pub goroots: [PathBuf; 2],
    /// The module cache of this specimen.
    pub modcache: PathBuf,
    /// The folders on its PATH.
    pub path: Vec<PathBuf>,
    /// Where `go env -w` keeps its settings.
    pub goenv: PathBuf,
    /// The folder that -o names.
    pub output: PathBuf,
    /// GOPATH, whose folders other than the module cache mean nothing to modules.
    pub gopath: Option<PathBuf>,
    /// The proxy, when it is a folder.
    pub proxy: Option<PathBuf>,
    /// Where passwords and certificates are with which modules are fetched.
    pub credentials: Vec<PathBuf>,
    /// Modules come from repositories.
    pub fetches_by_git: bool,
    /// The program that is observed.
    pub planner: PathBuf,
}

impl Surroundings {
    /// Of a specimen that this program plans.
    ///
    /// # Errors
    /// The go command says nothing.
    pub fn of(written: &Written, planner: &Path) -> io::Result<Surroundings> {
        let go = GoCommand {
            program: "go".into(),
            cwd: written.folder.clone(),
            env: written.vars_os(),
        };
        let names = ["GOROOT", "GOMODCACHE", "GOENV", "GOPATH", "GOPROXY"];
        let words = [&["env"], &names[..]].concat();
        let said = go.ask(&words).map_err(io::Error::other)?;
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        let [goroot, modcache, goenv, gopath, proxy] = said.lines().collect::<Vec<_>>()[..] else {
            return Err(io::Error::other(format!("go env said {said:?}")));
        };
        let path = written.var("PATH").unwrap_or_default();
        Ok(Surroundings {
            goroots: [
                goroot.into(),
                real_folder(&Path::new(goroot).join("VERSION"))?,
            ],
            modcache: modcache.into(),
            path: std::env::split_paths(path).collect(),
            goenv: goenv.into(),
            output: written.out("planned"),
            gopath: (written.var("GO111MODULE") != Some("off")).then(|| gopath.into()),
            proxy: proxy.strip_prefix("file://").map(PathBuf::from),
            credentials: credentials(written),
            fetches_by_git: written.var("GOPRIVATE").is_some(),
            planner: planner.to_owned(),
        })
    }

    /// The reason why this needs no fact; `None` when it needs one.
    pub fn reason(&self, asked: &Asked) -> Option<&'static str> {
        let access = &asked.access;
        let path = access.lexical();
        let below = |folders: &[&str]| folders.iter().any(|folder| path.starts_with(folder));
        if matches!(access.kind, Kind::Change | Kind::OpenWrite) {
            return Some("written, not read: what was there before was asked for before");
        }
        if self.goroots.iter().any(|goroot| path.starts_with(goroot)) {
            return Some("a Go release is a fact as a whole: its VERSION, command and tools");
        }
        if path.starts_with(&self.modcache) && path != self.modcache {
            return Some(
                "a module version is what its sum says; cmd/go looks for changes no more than this",
            );
        }
        if below(&["/proc", "/sys", "/dev"]) {
            return Some(
                "the state of the machine and the process: how fast a tool works, not what it says",
            );
        }
        if below(&["/etc/ld.so.cache", "/etc/ld.so.preload", "/lib64"]) || is_shared_library(&path)
        {
            return Some("how the system loads programs; a program is a fact by its own file");
        }
        if below(&[
            "/etc/localtime",
            "/usr/share/zoneinfo",
            "/usr/share/locale",
            "/usr/lib/locale",
        ]) || path.components().any(|part| part.as_os_str() == "gconv")
        {
            return Some("in which zone and language messages are");
        }
        // All else that a C toolchain asks for is in one of its folders, or a name under which it looks for a program.
        if (is_of_c_toolchain(asked) || self.is_the_planner(asked)) && access.kind == Kind::ReadLink
        {
            return Some("a link on the way to what is asked for itself");
        }
        if access.kind == Kind::Execute && path.file_name() == Some(asked.program.as_ref()) {
            return Some("a script that is declared, so that what it starts is not its to choose");
        }
        if asked.program == "collect2" && is_for_other_formats(&path) {
            return Some("looked for by collect2, which runs it for no file in ELF");
        }
        if self.is_the_planner(asked) && below(&["/usr", "/lib"]) {
            return Some("the planner itself looks at the C toolchain, to make it a fact");
        }
        if path == self.planner || (asked.program == "sh" && path.ends_with("bin/sh")) {
            return Some("the planner itself, and the interpreter of a script that is a fact");
        }
        if path.file_name().is_some_and(|name| name == "go")
            && path
                .parent()
                .is_some_and(|folder| self.path.iter().any(|known| known == folder))
        {
            return Some("the go command is part of the plan's name");
        }
        if path == self.goenv {
            return Some("what it says is part of the plan's name");
        }
        if path.ends_with("go/telemetry/mode") {
            return Some("whether go counts its own runs");
        }
        if path == self.output {
            return Some("of what sort -o is, is part of what a plan was accepted for");
        }
        if access
            .path
            .components()
            .any(|part| part.as_os_str() == "$WORK")
        {
            return Some("a folder that a dry run names and does not make");
        }
        if self
            .proxy
            .as_ref()
            .is_some_and(|proxy| path.starts_with(proxy))
        {
            return Some("a proxy says the same of a version for ever");
        }
        if asked.program == "go" && self.credentials.iter().any(|known| path.starts_with(known)) {
            return Some("with which password a module is fetched: its sum says what it is");
        }
        let is_git = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with("git");
        if self.fetches_by_git
            && (is_git(asked.program.as_ref()) || path.file_name().is_some_and(is_git))
        {
            return Some("git fetches modules: their sums say what they are");
        }
        let means_nothing = |gopath: &PathBuf| path == *gopath || path == gopath.join("src");
        if self.gopath.as_ref().is_some_and(means_nothing) {
            return Some("with modules GOPATH means nothing, but for the module cache in it");
        }
        if path == self.modcache
            || self
                .gopath
                .as_ref()
                .is_some_and(|gopath| path == gopath.join("pkg"))
        {
            return Some("what is not in the module cache is fetched");
        }
        if access.path.starts_with("/__gofarm__") {
            return Some("a virtual path, which no machine has");
        }
        if access.outcome == Outcome::Absent && self.is_found_elsewhere(&path) {
            return Some("looked for on PATH: where a program is found is a fact");
        }
        if asked.program == "go" && path.file_name().is_some_and(|name| name == "gccgo") {
            return Some("`go env` tells of gccgo, which gofarm refuses");
        }
        None
    }

    fn is_the_planner(&self, asked: &Asked) -> bool {
        let name = self.planner.file_name().unwrap_or_default();
        asked.program == name.to_string_lossy()
    }

    /// A name in a folder on PATH, behind which another folder has it.
    fn is_found_elsewhere(&self, path: &Path) -> bool {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return false;
        };
        let mut rest = self.path.iter().skip_while(|known| *known != folder);
        rest.any(|folder| folder.join(name).is_file())
    }
}

/// The folder of a file, links resolved.
fn real_folder(file: &Path) -> io::Result<PathBuf> {
    let real = file.canonicalize()?;
    Ok(real.parent().unwrap_or(&real).to_owned())
}

/// The netrc file (cmd/go/internal/auth/netrc.go), and what hosts are trusted by (crypto/x509/root_linux.go).
fn credentials(written: &Written) -> Vec<PathBuf> {
    let home = Path::new(written.var("HOME").unwrap_or("/"));
    let named = ["NETRC", "SSL_CERT_FILE", "SSL_CERT_DIR"];
    let named = named.iter().filter_map(|name| written.var(name));
    let system = ["/etc/ssl", "/etc/pki"];
    let mut credentials = vec![home.join(".netrc")];
    credentials.extend(named.chain(system).map(PathBuf::from));
    credentials
}

/// Whether a program of a C toolchain asked.
pub fn is_of_c_toolchain(asked: &Asked) -> bool {
    C_TOOLCHAIN.contains(&asked.program.as_str())
}

fn is_for_other_formats(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    ["nm", "gnm", "strip", "gstrip"]
        .iter()
        .any(|known| name == *known)
}

fn is_shared_library(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with(".so") || name.contains(".so.")
}
