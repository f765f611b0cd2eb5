//! The sandbox, seen from outside: which parts of this machine an action may see.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use gofarm_proto::EXEC_ROOT;
use gofarm_proto::v1::Place;

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

/// What all sandboxes of this worker have in common.
#[derive(Debug, Clone)]
pub(crate) struct SandboxView {
    devices: Vec<Mount>,
    /// For `host_tools`.
    system: Vec<Mount>,
    /// For `host_tools`: folders of the system that are symbolic links.
    links: Vec<Link>,
}

impl SandboxView {
    /// Looks at this machine. `path` is where compilers are looked for; `compilers` are words of the command lines of those that
    /// are used besides: `ccache`, `/opt/llvm/bin/clang`.
    pub fn of_this_machine(path: &str, compilers: &[String]) -> SandboxView {
        let mut system = Vec::new();
        let mut links = Vec::new();
        for folder in SYSTEM_FOLDERS {
            match fs::read_link(folder)
                .ok()
                .and_then(|target| target.to_str().map(str::to_owned))
            {
                Some(target) => links.push(Link {
                    path: folder.to_owned(),
                    target,
                }),
                None if Path::new(folder).is_dir() => system.push(read_only(folder, folder)),
                None => {}
            }
        }
        for place in compilers_elsewhere(path, compilers) {
            if let Some(place) = place.to_str() {
                system.push(read_only(place, place));
            }
        }
        // clang finds its own headers by /proc/self/exe.
        system.push(read_only("/proc", "/proc"));
        let devices = DEVICES.iter().filter(|device| Path::new(device).exists());
        SandboxView {
            devices: devices.map(|device| writable(device, device)).collect(),
            system,
            links,
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
        if host_tools {
            mounts.extend(self.system.iter().cloned());
            links.clone_from(&self.links);
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
        }
    }

    /// Whether a file of this machine is seen by an action, at its own path.
    pub fn shows(&self, path: &Path, host_tools: bool) -> bool {
        let at = |seen: &str| path.starts_with(seen);
        self.devices.iter().any(|mount| at(&mount.to))
            || host_tools
                && (self.system.iter().any(|mount| at(&mount.to))
                    || self.links.iter().any(|link| at(&link.path)))
    }
}

/// What an action sees of the compilers in PATH, and of these, that are not below the system's own folders: the prefix where a
/// compiler is installed as `prefix/bin/clang`, since its headers and libraries are there too.
fn compilers_elsewhere(path: &str, compilers: &[String]) -> BTreeSet<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let is_installed = |prefix: &Path| is_installed(prefix, home.as_deref());
    let mut shown = BTreeSet::new();
    let named = compilers.iter().map(|word| (word.as_str(), false));
    let named = named.filter(|(word, _)| !word.starts_with('-'));
    let on_path = COMPILERS.into_iter().map(|name| (name, true));
    for (name, with_folder) in on_path.chain(named) {
        let Some(found) = find_in_path(name, path) else {
            continue;
        };
        // The link as it is called, and what it leads to.
        let real = fs::canonicalize(&found).unwrap_or_else(|_| found.clone());
        for program in [found, real] {
            let Some(folder) = program.parent() else {
                continue;
            };
            let place = match folder.parent() {
                Some(prefix) if folder.ends_with("bin") && is_installed(prefix) => prefix,
                _ if with_folder || is_installed(folder) => folder,
                // A script, say. What else it would read beside itself is in no key.
                _ => &program,
            };
            // An action has a /tmp of its own, which is emptied after it.
            if !SYSTEM_FOLDERS
                .iter()
                .chain(&["/tmp"])
                .any(|system| place.starts_with(system))
            {
                shown.insert(place.to_owned());
            }
        }
    }
    shown
}

/// Whether a folder is one that programs are installed in with what belongs to them. The whole machine is none, nor is what a
/// user's own folder lies in, whose projects no action may see.
fn is_installed(prefix: &Path, home: Option<&Path>) -> bool {
    let is_all = prefix.parent().is_none();
    let is_home = home.is_some_and(|home| home.starts_with(prefix));
    let mut beside = ["include", "lib", "lib64", "libexec"].iter();
    !is_all && !is_home && beside.any(|name| prefix.join(name).is_dir())
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
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_compiler_outside_the_system_is_shown_with_its_prefix() {
        let made = |folder: &str| {
            let prefix = tempfile::tempdir_in(folder).unwrap();
            let bin = prefix.path().join("bin");
            fs::create_dir(&bin).unwrap();
            fs::create_dir(prefix.path().join("lib")).unwrap();
            fs::write(bin.join("clang"), "").unwrap();
            fs::set_permissions(bin.join("clang"), fs::Permissions::from_mode(0o755)).unwrap();
            (prefix, bin)
        };
        let (hidden, bin) = made("/tmp");
        let view = SandboxView::of_this_machine(bin.to_str().unwrap(), &[]);
        assert!(!view.shows(&hidden.path().join("bin/clang"), true));
        let (prefix, bin) = made("/var/tmp");
        let header = prefix.path().join("lib/clang/21/include/stddef.h");
        assert!(!SandboxView::of_this_machine("/usr/bin", &[]).shows(&header, true));
        let clang = bin.join("clang").to_str().unwrap().to_owned();
        let words = ["ccache".to_owned(), clang, "-m64".to_owned()];
        assert!(SandboxView::of_this_machine("/usr/bin", &words).shows(&header, true));
        let view = SandboxView::of_this_machine(bin.to_str().unwrap(), &[]);
        assert!(view.shows(&prefix.path().join("lib/clang/21/include/stddef.h"), true));
        assert!(!view.shows(&prefix.path().join("lib"), false));
        fs::remove_dir(prefix.path().join("lib")).unwrap();
        let view = SandboxView::of_this_machine(bin.to_str().unwrap(), &[]);
        assert!(view.shows(&bin.join("clang"), true));
        assert!(!view.shows(&prefix.path().join("secret"), true));
        let view = SandboxView::of_this_machine("/usr/bin", &words);
        assert!(view.shows(&bin.join("clang"), true));
        assert!(!view.shows(&bin.join("settings"), true));
        assert!(view.shows(Path::new("/usr/include/stdio.h"), true));
        assert!(!view.shows(Path::new("/usr/include/stdio.h"), false));
        assert!(!view.shows(Path::new("/home"), true));
    }
    #[test]
    fn neither_the_whole_machine_nor_a_users_folder_is_an_installation() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir_all(home.path().join("opt/lib")).unwrap();
        fs::create_dir(home.path().join("lib")).unwrap();
        assert!(is_installed(&home.path().join("opt"), Some(home.path())));
        assert!(!is_installed(home.path(), Some(home.path())));
        assert!(!is_installed(
            home.path().parent().unwrap(),
            Some(home.path())
        ));
        // A service may have no home.
        assert!(!is_installed(Path::new("/"), None));
    }
}
