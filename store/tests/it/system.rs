//! What the system refuses: a full disk, a read-only folder, another filesystem. Each in a mount namespace of its
//! own, where a small filesystem is mounted.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use gofarm_store::{DiskStore, DiskStoreOptions, ErrorClass, StoreError};

use crate::child::{command, plays};

/// Runs `test` again as `role` inside the namespaces that `unshare` makes with these options, after `setup` (shell,
/// with the folder in `$1`). Where the system allows no such namespace, says on the terminal that nothing was tested.
fn in_namespace(unshare: &[&str], setup: &str, test: &str, role: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let shell = ["sh", "-ec", r#"eval "$2"; shift 2; exec "$@""#, "sh"];
    let wrapper = [&["unshare"], unshare, &shell, &[path, setup]].concat();
    // The same without the test: can this system do it at all?
    let mut probe = command(&wrapper, "no such test", role, folder.path());
    let probe = probe.stdout(Stdio::null()).stderr(Stdio::piped()).output();
    if !probe.as_ref().is_ok_and(|probe| probe.status.success()) {
        // Past the capture of the test harness: this is not a test that passed.
        let reason = match &probe {
            Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
            Err(e) => e.to_string(),
        };
        let unshare = unshare.join(" ");
        let text =
            format!("NOT TESTED: {test}: the system allows no `unshare {unshare}`: {reason}\n");
        let mut terminal = std::io::stderr();
        terminal.write_all(text.as_bytes()).unwrap();
        return;
    }
    let output = command(&wrapper, test, role, folder.path())
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "the test did not run: {text}");
}

fn open(root: &Path) -> Result<DiskStore, StoreError> {
    DiskStore::open(root, DiskStoreOptions::default())
}

#[test]
fn a_full_disk_is_named_and_leaves_the_store_sound() {
    if let Some(folder) = plays("writer") {
        let store = open(&folder.join("disk")).unwrap();
        let held = store.put_bytes(b"held").unwrap();
        let large = vec![1; 3 << 20];
        let file = folder.join("large");
        fs::write(&file, &large).unwrap();
        for error in [
            store.put_bytes(&large).unwrap_err(),
            store.put_file(&file).unwrap_err(),
            // Another filesystem, so it has to be copied.
            store.adopt_file(&file).unwrap_err(),
        ] {
            assert!(matches!(error, StoreError::Full { .. }), "{error}");
            assert_eq!(error.class(), ErrorClass::Environment);
            assert_eq!(
                error.to_string(),
                format!(
                    "cannot write below {}: the disk is full; free some space there, or set a smaller size bound or another folder for the cache",
                    folder.join("disk").display()
                )
            );
        }
        assert!(file.exists(), "a file that was not adopted stays");
        // What failed has left nothing: the space is there again.
        let fits = store.put_bytes(&large[..600 << 10]).unwrap();
        assert_eq!(store.read(&fits).unwrap().len(), 600 << 10);
        assert_eq!(store.read(&held).unwrap(), b"held");
        assert_eq!(store.usage().unwrap().blobs, 2);
        return;
    }
    in_namespace(
        &["-rm"],
        r#"mkdir -p "$1/disk"; mount -t tmpfs -o size=1m tmpfs "$1/disk""#,
        "system::a_full_disk_is_named_and_leaves_the_store_sound",
        "writer",
    );
}

#[test]
fn a_read_only_filesystem_is_named() {
    if let Some(folder) = plays("opener") {
        let error = open(&folder.join("disk/cache")).unwrap_err();
        assert!(matches!(error, StoreError::ReadOnly { .. }), "{error}");
        assert_eq!(error.class(), ErrorClass::Environment);
        assert_eq!(
            error.to_string(),
            format!(
                "cannot write below {}: the filesystem is read-only; mount it for writing or choose another folder for the cache",
                folder.join("disk/cache").display()
            )
        );
        return;
    }
    in_namespace(
        &["-rm"],
        r#"mkdir -p "$1/disk"; mount -t tmpfs -o ro tmpfs "$1/disk""#,
        "system::a_read_only_filesystem_is_named",
        "opener",
    );
}

/// A cache that became read-only after it was filled, as in an image.
#[test]
fn a_filled_cache_that_became_read_only_is_named() {
    if let Some(folder) = plays("opener") {
        let error = open(&folder.join("disk")).unwrap_err();
        assert!(matches!(error, StoreError::ReadOnly { .. }), "{error}");
        return;
    }
    in_namespace(
        &["-rm"],
        r#"cd "$1"; mkdir -p disk; mount -t tmpfs tmpfs disk; cd disk
           mkdir cas actions quarantine findings sessions tmp
           mount -o remount,ro "$1/disk"; cd /"#,
        "system::a_filled_cache_that_became_read_only_is_named",
        "opener",
    );
}

/// Without a mapped user even root has no power over permissions.
#[test]
fn a_folder_without_permission_is_named() {
    if let Some(folder) = plays("opener") {
        let error = open(&folder.join("shut/cache")).unwrap_err();
        assert!(matches!(error, StoreError::Denied { .. }), "{error}");
        assert_eq!(error.class(), ErrorClass::Environment);
        assert_eq!(
            error.to_string(),
            format!(
                "cannot create the folder {}: permission denied; give this user access to it or choose another folder for the cache",
                folder.join("shut/cache").display()
            )
        );
        return;
    }
    in_namespace(
        &["-U"],
        r#"test -d "$1/shut" || mkdir "$1/shut"; chmod 0555 "$1/shut""#,
        "system::a_folder_without_permission_is_named",
        "opener",
    );
}

#[test]
fn another_filesystem_gets_and_gives_copies() {
    if let Some(folder) = plays("linker") {
        let store = open(&folder.join("cache")).unwrap();
        let disk = folder.join("disk");
        let digest = store.put_bytes(b"content").unwrap();
        let dest = disk.join("dest");
        store.link(&digest, &dest).unwrap();
        assert_eq!(fs::read(&dest).unwrap(), b"content");
        let error = store.link(&digest, &dest).unwrap_err();
        assert!(matches!(error, StoreError::Exists { .. }), "{error}");

        let output = disk.join("output");
        fs::write(&output, b"output").unwrap();
        let digest = store.adopt_file(&output).unwrap();
        assert!(!output.exists());
        assert_eq!(store.read(&digest).unwrap(), b"output");

        // A copy that does not fit leaves nothing at all.
        let large = store.put_bytes(&vec![1; 3 << 20]).unwrap();
        let error = store.link(&large, &disk.join("large")).unwrap_err();
        assert!(matches!(&error, StoreError::Full { folder, .. } if *folder == disk));
        let left = fs::read_dir(&disk).unwrap().map(|e| e.unwrap().file_name());
        assert_eq!(left.collect::<Vec<_>>(), ["dest"]);
        return;
    }
    in_namespace(
        &["-rm"],
        r#"mkdir -p "$1/disk"; mount -t tmpfs -o size=1m tmpfs "$1/disk""#,
        "system::another_filesystem_gets_and_gives_copies",
        "linker",
    );
}
