//! The sandbox, seen from outside: which parts of this machine an action may see.

use std::fs;
use std::path::{Path, PathBuf};

use gofarm_proto::EXEC_ROOT;
use gofarm_proto::v1::Place;

use super::host_tree::HostTree;
use super::launcher::find_in_path;
use super::protocol::{Link, Mount, Sandbox};
use super::workspace::Workspace;
use crate::action::{STORE_IN_SANDBOX, SYSTEM_FOLDERS, below_tmp};

/// Without these many programs do not start; they hold nothing that two machines have differently.
const DEVICES: [&str; 5] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
];

/// The programs by which a C compiler outside the system's folders is found.
const COMPILERS: [&str; 7] = [
    "cc",
    "gcc",
    "g++",
    "clang",
    "clang++",
    "gfortran",
    "pkg-config",
];

/// Folders of the system in which an administrator puts links to headers and libraries that are elsewhere.
const LINKED_FROM: [&str; 4] = [
    "/usr/include",
    "/usr/lib",
    "/usr/local/include",
    "/usr/local/lib",
];

/// What a sandbox has of its own.
const OWN: [&str; 5] = [EXEC_ROOT, STORE_IN_SANDBOX, "/tmp", "/dev", "/proc"];

/// What all sandboxes of this worker have in common.
#[derive(Debug, Clone)]
pub(crate) struct SandboxView {
    devices: Vec<Mount>,
    /// For `host_tools`.
    system: HostTree,
}

impl SandboxView {
    /// Looks at this machine. `path` is where compilers are looked for; `compilers` are words of the command lines of those that
    /// are used besides: `ccache`, `/opt/llvm/bin/clang`.
    pub fn of_this_machine(path: &str, compilers: &[String], private: &Private) -> SandboxView {
        let mut system = HostTree::closed(OWN.map(PathBuf::from));
        for folder in SYSTEM_FOLDERS {
            system.show(Path::new(folder));
        }
        for folder in LINKED_FROM {
            show_linked(&mut system, Path::new(folder), private);
        }
        let named = compilers.iter().map(|word| (word.as_str(), false));
        let named = named.filter(|(word, _)| !word.starts_with('-'));
        let on_path = COMPILERS.into_iter().map(|name| (name, true));
        for (name, with_folder) in on_path.chain(named) {
            if let Some(program) = find_in_path(name, path) {
                show_program(&mut system, &program, with_folder, private);
            }
        }
        let devices = DEVICES.iter().filter(|device| Path::new(device).exists());
        SandboxView {
            devices: devices.map(|device| writable(device, device)).collect(),
            system,
        }
    }

    /// The sandbox of one action. `store` is the folder of the blobs, if the action refers to any by its path; `places` are
    /// inputs that it shows at other paths as well. What is below `/tmp` is not made here, since that folder is emptied
    /// after each action: see [`crate::staging`].
    pub fn sandbox(
        &self,
        workspace: &Workspace,
        store: Option<&Path>,
        host_tools: bool,
        places: &[Place],
    ) -> Sandbox {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let mut mounts = vec![
            writable(&text(&workspace.exec()), EXEC_ROOT),
            writable(&text(&workspace.tmp()), "/tmp"),
        ];
        mounts.extend(store.map(|store| read_only(&text(store), STORE_IN_SANDBOX)));
        mounts.extend(self.devices.iter().cloned());
        let mut links = Vec::new();
        let mut folders = Vec::new();
        if host_tools {
            mounts.extend(self.system.places().map(|place| read_only(place, place)));
            // clang finds its own headers by /proc/self/exe.
            mounts.push(read_only("/proc", "/proc"));
            links.extend(self.system.links().map(|(path, target)| Link {
                path: path.to_owned(),
                target: target.to_owned(),
            }));
            folders.extend(self.system.passed().map(str::to_owned));
        }
        let fixed = places
            .iter()
            .filter(|place| below_tmp(&place.path).is_none());
        links.extend(fixed.map(|place| Link {
            path: place.path.clone(),
            target: place.input.clone(),
        }));
        Sandbox {
            root: text(&workspace.root()),
            mounts,
            links,
            folders,
        }
    }

    /// Whether a file of this machine is seen by an action, at its own path.
    pub fn shows(&self, path: &Path, host_tools: bool) -> bool {
        self.devices.iter().any(|mount| path.starts_with(&mount.to))
            || host_tools && (path.starts_with("/proc") || self.system.shows(path))
    }

    /// Whether this machine has a file, by its absolute path, that no action sees.
    pub fn hides(&self, path: &Path) -> bool {
        path.is_absolute() && path.exists() && !self.shows(path, true)
    }
}

/// Shows a compiler and what belongs to it: the prefix where it is installed as `prefix/bin/clang`, since its headers and
/// libraries are there too.
fn show_program(system: &mut HostTree, found: &Path, with_folder: bool, private: &Private) {
    // The link as it is called, and what it leads to.
    let called = found.parent().and_then(|folder| folder.canonicalize().ok());
    let real = found.canonicalize().ok();
    let real = real.as_deref().and_then(Path::parent);
    for folder in called.as_deref().into_iter().chain(real) {
        let prefix = folder.parent().filter(|_| folder.ends_with("bin"));
        let installed = prefix.into_iter().chain([folder]);
        let mut installed = installed.filter(|folder| is_installed(folder));
        let place = installed
            .find(|folder| private.may_be_shown(folder, true))
            .or_else(|| Some(folder).filter(|f| with_folder && private.may_be_shown(f, false)));
        if let Some(place) = place {
            system.show(place);
        }
    }
    // A script, say, for which no folder is shown. What else it would read beside itself is in no key.
    system.show(found);
}

/// Whether a folder is one that programs are installed in with what belongs to them.
fn is_installed(prefix: &Path) -> bool {
    let mut beside = ["include", "lib", "lib64", "libexec"].iter();
    beside.any(|name| prefix.join(name).is_dir())
}

/// What an action may see as declared inputs and in no other way: a user's own folder, the cache, what is built, a token. A
/// program that lies beside or in it is shown alone.
#[derive(Debug, Clone)]
pub(crate) struct Private {
    homes: Vec<PathBuf>,
    others: Vec<PathBuf>,
}

impl Private {
    /// The homes of the user of this process, HOME and the system's entry, and these.
    pub fn of_this_process(others: &[PathBuf]) -> Private {
        let named = std::env::var_os("HOME").map(PathBuf::from);
        let entry = nix::unistd::User::from_uid(nix::unistd::getuid());
        let entry = entry.ok().flatten().map(|user| user.dir);
        Private::of(named.into_iter().chain(entry), others)
    }

    fn of(homes: impl IntoIterator<Item = PathBuf>, others: &[PathBuf]) -> Private {
        let real = |path: &Path| path.canonicalize().ok();
        Private {
            homes: homes.into_iter().filter_map(|path| real(&path)).collect(),
            others: others.iter().filter_map(|path| real(path)).collect(),
        }
    }

    /// Whether all of a folder may be shown. `path` is resolved. Never the whole machine, nor a folder that one of these is or lies
    /// in. In a user's home programs may be installed, as in `~/llvm/bin`; in what is built only what `is_installed` with
    /// headers and libraries of its own.
    pub fn may_be_shown(&self, folder: &Path, is_installed: bool) -> bool {
        let within = |private: &PathBuf| private.starts_with(folder);
        folder.parent().is_some()
            && !self.homes.iter().chain(&self.others).any(within)
            && (is_installed
                || !self
                    .others
                    .iter()
                    .any(|private| folder.starts_with(private)))
    }
}

/// Shows what the links in a folder lead to.
fn show_linked(system: &mut HostTree, folder: &Path, private: &Private) {
    for link in links_in(folder) {
        if let Ok(end) = link.canonicalize()
            && (end.is_file() || end.is_dir() && private.may_be_shown(&end, true))
        {
            system.show(&link);
        }
    }
}

/// The symbolic links in a folder.
fn links_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let links = entries.filter(|entry| entry.file_type().is_ok_and(|sort| sort.is_symlink()));
    links.map(|entry| entry.path()).collect()
}

fn read_only(from: &str, to: &str) -> Mount {
    Mount {
        from: from.to_owned(),
        to: to.to_owned(),
        writable: false,
    }
}

fn writable(from: &str, to: &str) -> Mount {
    Mount {
        writable: true,
        ..read_only(from, to)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    /// A machine of folders that are not below /tmp, which a sandbox has of its own.
    struct Machine(tempfile::TempDir);

    impl Machine {
        fn new() -> Machine {
            Machine(tempfile::tempdir_in("/var/tmp").unwrap())
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn text(&self, name: &str) -> String {
            self.path(name).display().to_string()
        }

        fn folder(&self, name: &str) -> &Machine {
            fs::create_dir_all(self.path(name)).unwrap();
            self
        }

        fn program(&self, name: &str) -> &Machine {
            let path = self.path(name);
            self.folder(path.parent().unwrap().to_str().unwrap());
            fs::write(&path, "").unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
            self
        }

        fn view(
            &self,
            path: &str,
            compilers: &[&str],
            homes: &[&str],
            others: &[&str],
        ) -> SandboxView {
            let others: Vec<PathBuf> = others.iter().map(|name| self.path(name)).collect();
            let private = Private::of(homes.iter().map(|name| self.path(name)), &others);
            let compilers: Vec<String> = compilers.iter().map(|&word| word.to_owned()).collect();
            SandboxView::of_this_machine(path, &compilers, &private)
        }
    }

    #[test]
    fn a_compiler_outside_the_system_is_shown_with_its_prefix() {
        let hidden = tempfile::tempdir_in("/tmp").unwrap();
        let machine = Machine(hidden);
        machine.program("bin/clang").folder("lib");
        let view = machine.view(&machine.text("bin"), &[], &[], &[]);
        assert!(!view.shows(&machine.path("bin/clang"), true));

        let machine = Machine::new();
        machine.program("bin/clang").folder("lib");
        let header = machine.path("lib/clang/21/include/stddef.h");
        let clang = machine.text("bin/clang");
        let words = ["ccache", &clang, "-m64"];
        assert!(!machine.view("/usr/bin", &[], &[], &[]).shows(&header, true));
        assert!(
            machine
                .view("/usr/bin", &words, &[], &[])
                .shows(&header, true)
        );
        let view = machine.view(&machine.text("bin"), &[], &[], &[]);
        assert!(view.shows(&header, true));
        assert!(!view.shows(&machine.path("lib"), false));
        fs::remove_dir(machine.path("lib")).unwrap();
        let view = machine.view(&machine.text("bin"), &[], &[], &[]);
        assert!(view.shows(&machine.path("bin/clang"), true));
        assert!(!view.shows(&machine.path("secret"), true));
        let view = machine.view("/usr/bin", &words, &[], &[]);
        assert!(view.shows(&machine.path("bin/clang"), true));
        assert!(!view.shows(&machine.path("bin/settings"), true));
        assert!(view.shows(Path::new("/usr/include/stdio.h"), true));
        assert!(!view.shows(Path::new("/usr/include/stdio.h"), false));
        assert!(!view.shows(Path::new("/home"), true));
    }

    #[test]
    fn a_folder_of_path_and_a_compiler_in_it_are_one_place() {
        let machine = Machine::new();
        machine.program("t/gcc").program("t/mycc");
        symlink("/usr/bin/gcc", machine.path("t/cc")).unwrap();
        let dots = machine.text("t/../t/mycc");
        let view = machine.view(&machine.text("t"), &["gcc", &dots], &[], &[]);
        let inside: Vec<&str> = view
            .system
            .places()
            .filter(|place| place.starts_with(&machine.text("t")))
            .collect();
        assert_eq!(inside, [machine.text("t")]);
        assert!(view.shows(&machine.path("t/cc"), true));
    }

    #[test]
    fn neither_the_whole_machine_nor_what_a_private_folder_lies_in_is_an_installation() {
        let machine = Machine::new();
        machine
            .folder("home/opt/lib")
            .folder("home/lib")
            .folder("home/src");
        symlink("home", machine.path("link")).unwrap();
        let root = machine.0.path().canonicalize().unwrap();
        for home in ["home", "link", "home/opt/../../link/./opt/.."] {
            let private = Private::of([machine.path(home)], &[machine.path("home/src")]);
            for installed in [true, false] {
                assert!(private.may_be_shown(&root.join("home/opt"), installed));
                assert!(!private.may_be_shown(&root.join("home"), installed));
                assert!(!private.may_be_shown(&root, installed));
                assert!(!private.may_be_shown(&root.join("home/src"), installed));
            }
            assert!(private.may_be_shown(&root.join("home/src/llvm"), true));
            assert!(!private.may_be_shown(&root.join("home/src/tools"), false));
        }
        // A service may have no home.
        assert!(!Private::of([], &[]).may_be_shown(Path::new("/"), true));
        // The system has an entry for whoever runs this, whatever HOME says.
        let private = Private::of_this_process(&[]);
        let user = nix::unistd::User::from_uid(nix::unistd::getuid()).unwrap();
        if let Some(home) = user.and_then(|user| user.dir.canonicalize().ok()) {
            assert!(!private.may_be_shown(&home, true));
        }
    }

    #[test]
    fn of_a_private_folder_with_a_compiler_in_it_only_the_compiler_is_shown() {
        let machine = Machine::new();
        machine
            .folder("home/lib")
            .folder("home/.ssh")
            .folder("src")
            .folder("cache/blobs");
        for program in [
            "home/bin/mycc",
            "home/pkg-config",
            "src/gcc",
            "cache/gfortran",
        ] {
            machine.program(program);
        }
        symlink("home", machine.path("homelink")).unwrap();
        let named = machine.text("homelink/bin/mycc");
        for (home, path) in [
            ("homelink", ["homelink", "src", "cache"]),
            ("home", ["home", "src/../src", "cache"]),
            ("src/../homelink", ["homelink/../home", "src", "cache"]),
        ] {
            let path = path.map(|name| machine.text(name)).join(":");
            let view = machine.view(&path, &[&named], &[home], &["src", "cache"]);
            for seen in [
                "homelink/bin/mycc",
                "home/bin/mycc",
                "home/pkg-config",
                "src/gcc",
                "cache/gfortran",
            ] {
                assert!(view.shows(&machine.path(seen), true), "{seen} {view:?}");
            }
            for hidden in [
                "home",
                "home/.ssh",
                "homelink/.ssh",
                "home/bin/x",
                "src/main.go",
                "cache/blobs",
            ] {
                assert!(
                    !view.shows(&machine.path(hidden), true),
                    "{hidden} {view:?}"
                );
            }
        }
    }

    #[test]
    fn a_header_by_a_link_out_of_the_systems_folders_is_shown() {
        let machine = Machine::new();
        machine
            .folder("include")
            .folder("other/sub")
            .folder("home/.ssh");
        fs::write(machine.path("other/v.h"), "").unwrap();
        symlink("../other/v.h", machine.path("include/v.h")).unwrap();
        symlink(machine.path("other/sub"), machine.path("include/sub")).unwrap();
        symlink("../home", machine.path("include/home")).unwrap();
        symlink("nothing", machine.path("include/none")).unwrap();
        let mut system = HostTree::default();
        system.show(&machine.path("include"));
        for name in ["include/v.h", "include/sub/w.h"] {
            assert!(!system.shows(&machine.path(name)), "{name}");
        }
        let private = Private::of([machine.path("home")], &[]);
        show_linked(&mut system, &machine.path("include"), &private);
        for name in ["include/v.h", "include/sub/w.h", "other/v.h"] {
            assert!(system.shows(&machine.path(name)), "{name}");
        }
        for name in ["other/x.h", "include/home/.ssh", "home/.ssh"] {
            assert!(!system.shows(&machine.path(name)), "{name}");
        }
    }
}
