//! Mounts in the tree, and processes that are started meanwhile.

use std::ffi::OsStr;
use std::fs;

use gofarm_tree::{Folder, Problem, Resolver};

use crate::child::{command, plays};
use crate::trees::{labs, path};

#[test]
fn a_folder_of_the_machine_that_is_mounted_in_the_tree_is_not_entered() {
    if let Some(folder) = plays("mounted") {
        for resolver in [Resolver::of_this_machine(), Resolver::Walk] {
            let tree = Folder::open_with(&folder.join("tree"), resolver).unwrap();
            let error = tree.entry(path("d/secret")).unwrap_err();
            assert!(matches!(error.problem, Problem::Mounted), "{error}");
            assert_eq!(error.at, "d");
            let error = tree.entry(path("file")).unwrap().open().unwrap_err();
            assert!(matches!(error.problem, Problem::Mounted), "{error}");
            for name in ["d", "file", "a"] {
                assert!(tree.remove(OsStr::new(name)).is_err(), "{name}");
            }
            assert!(tree.retain(&mut |_, _| true).is_err());
            assert_eq!(fs::read(folder.join("host/secret")).unwrap(), b"secret\n");
        }
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().to_str().unwrap();
    let setup = r#"cd "$1"; mkdir -p host tree/d tree/a/b; echo secret > host/secret; : > tree/file
        mount --bind host tree/d; mount --bind host/secret tree/file; mount --bind host tree/a/b
        shift; exec "$@""#;
    let wrapper = ["unshare", "-rm", "sh", "-ec", setup, "sh", text];
    let test = "surroundings::a_folder_of_the_machine_that_is_mounted_in_the_tree_is_not_entered";
    let probe = command(&wrapper, "no such test", "mounted", folder.path()).output();
    if !probe.as_ref().is_ok_and(|probe| probe.status.success()) {
        eprintln!("not tested: this machine allows no `unshare -rm`: {probe:?}");
        return;
    }
    let output = command(&wrapper, test, "mounted", folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{output:?}"
    );
}

#[test]
fn no_process_inherits_a_handle() {
    for lab in labs() {
        lab.write("a/file", b"x");
        let folder = lab.tree.folder(path("a")).unwrap();
        let entry = folder.child(OsStr::new("file")).unwrap();
        let file = entry.open().unwrap();
        #[allow(
            clippy::disallowed_methods,
            reason = "what is tested is an ordinary process"
        )]
        let listed = std::process::Command::new("ls")
            .args(["-l", "/proc/self/fd"])
            .output()
            .unwrap();
        drop(file);
        let listed = String::from_utf8_lossy(&listed.stdout);
        let tree = lab.real("");
        let name = tree.parent().unwrap().to_str().unwrap();
        assert!(!listed.contains(name), "{listed}");
    }
}
