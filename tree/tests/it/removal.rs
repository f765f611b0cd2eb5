//! Removing trees that were written to be hard to remove.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use gofarm_tree::{Folder, KEPT_DEPTH, Resolver};
use rustix::fs::{Mode, OFlags};

use crate::child::{command, plays};
use crate::trees::{Lab, labs, path};

fn chmod(path: impl AsRef<Path>, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A chain of folders, each in the one before, with a file and a link in each.
fn dig(lab: &Lab, top: &str, depth: usize) {
    fs::create_dir(lab.real(top)).unwrap();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let mut at = rustix::fs::open(lab.real(top), flags, Mode::empty()).unwrap();
    for _ in 0..depth {
        rustix::fs::mkdirat(&at, "d", Mode::RWXU).unwrap();
        rustix::fs::symlinkat(lab.host(), &at, "link").unwrap();
        rustix::fs::openat(&at, "file", OFlags::CREATE | OFlags::WRONLY, Mode::RWXU).unwrap();
        at = rustix::fs::openat(&at, "d", flags, Mode::empty()).unwrap();
    }
}

#[test]
fn links_are_removed_and_not_what_they_lead_to() {
    for lab in labs() {
        for link in ["a/link", "a/b/link", "a/b/c/link"] {
            lab.link(&lab.host(), link);
        }
        lab.link(Path::new("."), "a/here");
        lab.tree.remove(OsStr::new("a")).unwrap();
        assert!(!lab.real("a").exists());
        lab.assert_host_untouched();
        lab.tree.remove(OsStr::new("a")).unwrap();
    }
}

#[test]
fn a_tree_of_any_depth_is_removed_with_few_handles_and_a_small_stack() {
    for lab in labs() {
        dig(&lab, "deep", 4000);
        // Names that the removal would use itself.
        fs::create_dir_all(lab.real("deep/.gofarm-1/x")).unwrap();
        fs::write(lab.real("deep/.gofarm-2"), "").unwrap();
        let tree = lab.tree.try_clone().unwrap();
        let small = std::thread::Builder::new().stack_size(256 << 10);
        let removed = small
            .spawn(move || tree.remove(OsStr::new("deep")))
            .unwrap();
        removed.join().unwrap().unwrap();
        assert!(!lab.real("deep").exists());
        lab.assert_host_untouched();
    }
}

#[test]
fn a_wide_and_deep_tree_is_removed() {
    for lab in labs() {
        fs::create_dir(lab.real("wide")).unwrap();
        for number in 0..20 {
            dig(&lab, &format!("wide/{number}"), 40 + number);
        }
        lab.tree.remove(OsStr::new("wide")).unwrap();
        assert!(!lab.real("wide").exists());
    }
}

#[test]
fn names_that_are_no_text_are_removed() {
    for lab in labs() {
        fs::create_dir(lab.real("a")).unwrap();
        for name in [
            &b"new\nline"[..],
            b"\xff\xfe",
            b"*",
            b"-rf",
            b" ",
            b"...",
            b"\\",
        ] {
            let name = lab.real("a").join(OsStr::from_bytes(name));
            fs::create_dir(&name).unwrap();
            fs::write(name.join("file"), "").unwrap();
            symlink(lab.host(), name.join("link")).unwrap();
        }
        lab.tree.remove(OsStr::new("a")).unwrap();
        assert!(!lab.real("a").exists());
        lab.assert_host_untouched();
    }
}

/// As a user whom permissions concern.
#[test]
fn folders_that_nobody_may_read_write_or_enter_are_removed() {
    if let Some(folder) = plays("owner") {
        for resolver in [Resolver::of_this_machine(), Resolver::Walk] {
            let tree = Folder::open_with(&folder, resolver).unwrap();
            for (number, mode) in [0, 0o111, 0o222, 0o444, 0o555].into_iter().enumerate() {
                let name = number.to_string();
                let top = folder.join(&name);
                fs::create_dir_all(top.join("a/b")).unwrap();
                fs::write(top.join("a/b/file"), "").unwrap();
                fs::write(top.join("file"), "").unwrap();
                // One that has to be moved up while it may not be written.
                let deep = "d/".repeat(70);
                fs::create_dir_all(top.join(&deep)).unwrap();
                let parts: Vec<_> = Path::new(&deep).components().collect();
                for length in (1..=parts.len()).rev() {
                    let below: std::path::PathBuf = parts[..length].iter().collect();
                    chmod(top.join(below), mode);
                }
                for path in ["a/b", "a", ""] {
                    chmod(top.join(path), mode);
                }
                assert!(
                    fs::remove_dir_all(&top).is_err(),
                    "permissions mean nothing here"
                );
                tree.remove(OsStr::new(&name)).unwrap();
                assert!(!top.exists());
            }
        }
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    chmod(folder.path(), 0o777);
    let nobody = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
    ];
    let wrapper: &[&str] = match rustix::process::geteuid().is_root() {
        true => &nobody,
        false => &[],
    };
    let probe = command(wrapper, "no such test", "owner", folder.path()).output();
    if !probe.as_ref().is_ok_and(|probe| probe.status.success()) {
        eprintln!("not tested: this test cannot be run as another user: {probe:?}");
        return;
    }
    let test = "removal::folders_that_nobody_may_read_write_or_enter_are_removed";
    let output = command(wrapper, test, "owner", folder.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{output:?}"
    );
}

#[test]
fn wanted_folders_stay_and_everything_else_goes() {
    for lab in labs() {
        for file in [
            "keep/file",
            "keep/too/file",
            "keep/not/file",
            "go/keep/file",
            "file",
        ] {
            lab.write(file, b"x");
        }
        lab.link(&lab.host(), "keep/link");
        lab.link(&lab.host(), "link");
        fs::create_dir(lab.real("open")).unwrap();
        chmod(lab.real("open"), 0o777);
        let mut asked = Vec::new();
        lab.tree
            .retain(&mut |path, status| {
                asked.push(path.to_str().unwrap().to_owned());
                path.starts_with("keep") && !path.ends_with("not") && status.mode == 0o755
                    || path == Path::new("open") && status.mode == 0o755
            })
            .unwrap();
        asked.sort();
        assert_eq!(asked, ["go", "keep", "keep/not", "keep/too", "open"]);
        let left: Vec<_> = fs::read_dir(lab.real("")).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
        let left: Vec<_> = fs::read_dir(lab.real("keep")).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
        assert_eq!(fs::read_dir(lab.real("keep/too")).unwrap().count(), 0);
        lab.assert_host_untouched();
    }
}

#[test]
fn folders_are_kept_down_to_a_depth() {
    for lab in labs() {
        dig(&lab, "deep", 1500);
        lab.tree.retain(&mut |_, _| true).unwrap();
        let kept = format!("deep{}", "/d".repeat(KEPT_DEPTH - 1));
        assert_eq!(fs::read_dir(lab.real(&kept)).unwrap().count(), 0);
        lab.tree.folder(path(&kept)).unwrap();
    }
}
