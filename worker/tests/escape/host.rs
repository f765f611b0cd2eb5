//! What the actions must not reach: a folder that stands for the machine.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::future::Future;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use gofarm_proto::Digest;
use gofarm_proto::v1;
use gofarm_worker::{ExecuteError, Execution};
use tempfile::TempDir;

use crate::farm::*;

/// What may not get into the store.
const SECRET: &str = "!<arch>\nsecret of the machine\n";

/// Long enough for the slowest machine: it ends a test that would hang.
const HANGS: Duration = Duration::from_secs(120);

/// A folder on the filesystem of the store, so that a file in it could be moved.
///
/// `secret`, `w/secret` and `sub/secret` hold [`SECRET`], mode 0600. It reads as the magic of an archive, so that steps on
/// archives get as far as they can.
pub struct Host {
    folder: TempDir,
    before: BTreeMap<PathBuf, State>,
}

/// Everything about a file or folder that an action could change.
#[derive(Debug, PartialEq, Eq)]
struct State {
    mode: u32,
    inode: u64,
    links: u64,
    modified: (i64, i64),
    content: Option<Vec<u8>>,
}

impl Host {
    pub fn new() -> Host {
        let folder = tempfile::tempdir().unwrap();
        for sub in ["w", "sub"] {
            fs::create_dir(folder.path().join(sub)).unwrap();
        }
        for secret in ["secret", "w/secret", "sub/secret"] {
            let secret = folder.path().join(secret);
            fs::write(&secret, SECRET).unwrap();
            fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
        }
        let before = states(folder.path());
        Host { folder, before }
    }

    pub fn path(&self) -> &str {
        self.folder.path().to_str().unwrap()
    }

    /// Executes the action, looks whether anything was reached, and whether the worker is as useful as before.
    pub async fn attacked_by(
        &self,
        farm: &Farm,
        action: &v1::Action,
    ) -> Result<Execution, ExecuteError> {
        let outcome = does_not_hang(farm.execute(action)).await;
        self.assert_untouched(farm, &outcome);
        assert_usable(farm).await;
        self.assert_untouched(farm, &outcome);
        outcome
    }

    /// As [`attacked_by`](Host::attacked_by): the worker must refuse, and say this.
    pub async fn refuses(&self, farm: &Farm, action: &v1::Action, what: &str) {
        match self.attacked_by(farm, action).await {
            Err(error) => assert!(error.to_string().contains(what), "{what:?}: {error}"),
            Ok(execution) => panic!("not refused ({what}): {}", log(&execution)),
        }
    }

    pub fn assert_untouched(&self, farm: &Farm, after: &impl std::fmt::Debug) {
        assert_eq!(
            states(self.folder.path()),
            self.before,
            "the machine was changed; {after:?}"
        );
        let blob = farm.store.path(&Digest::of(SECRET.as_bytes()));
        assert!(!blob.exists(), "the secret is in the store; {after:?}");
    }
}

pub async fn does_not_hang<T>(work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(HANGS, work).await {
        Ok(outcome) => outcome,
        Err(_) => panic!("it hangs"),
    }
}

/// An ordinary action does what it should.
pub async fn assert_usable(farm: &Farm) {
    let mut action = host_action(vec![
        write("/__gofarm__/w/d/list", "listed\n"),
        sh("ls -A . .. ../main /__gofarm__/in; cat d/list ../main/a > out"),
    ]);
    action.inputs = vec![farm.input("/__gofarm__/main/a", b"input")];
    action.outputs = vec![output("out", "/__gofarm__/w/out")];
    let execution = does_not_hang(farm.execute(&action)).await.unwrap();
    assert_eq!(
        log(&execution),
        ".:\nd\n\n..:\nin\nmain\nw\n\n../main:\na\n\n/__gofarm__/in:\n"
    );
    assert_eq!(farm.output(&execution, "out").unwrap(), b"listed\ninput");
}

fn states(folder: &Path) -> BTreeMap<PathBuf, State> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            folders.extend(record(entry.unwrap().path(), &mut found));
        }
        record(folder, &mut found);
    }
    found
}

/// The path again, if it is a folder.
fn record(path: PathBuf, found: &mut BTreeMap<PathBuf, State>) -> Option<PathBuf> {
    let metadata = fs::symlink_metadata(&path).unwrap();
    let state = State {
        mode: metadata.mode(),
        inode: metadata.ino(),
        links: metadata.nlink(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        content: metadata.is_file().then(|| fs::read(&path).unwrap()),
    };
    found.insert(path.clone(), state);
    metadata.is_dir().then_some(path)
}
