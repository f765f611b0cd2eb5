//! What was written to a target, remembered.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use gofarm_proto::Digest;

/// Remembers what was written to a target, so that an unchanged program is not stamped and written again.
pub(super) struct Record {
    target: PathBuf,
    file: PathBuf,
    made_of: String,
}

impl Record {
    pub fn new(target: &Path, records: &Path, digests: &[Digest], build_id: &str) -> Record {
        let name = blake3_name(target);
        Record {
            target: target.to_owned(),
            file: records.join(name),
            made_of: format!("{digests:?} {build_id}"),
        }
    }

    /// The file's times and place: any write to it changes them.
    fn state(&self, metadata: &Metadata) -> String {
        format!(
            "{} {} {} {}.{:09} {}.{:09}",
            self.made_of,
            metadata.len(),
            metadata.ino(),
            metadata.mtime(),
            metadata.mtime_nsec(),
            metadata.ctime(),
            metadata.ctime_nsec()
        )
    }

    pub fn holds(&self) -> bool {
        let kept = fs::read_to_string(&self.file);
        let there = fs::metadata(&self.target);
        matches!((kept, there), (Ok(kept), Ok(there)) if kept == self.state(&there))
    }

    /// `written` is what the system says of the very file that was written or read, by its handle: at its path may be somebody
    /// else's by now. A record that cannot be kept costs a write next time.
    pub fn keep(&self, written: &Metadata) {
        if let Some(folder) = self.file.parent() {
            let _ = fs::create_dir_all(folder);
            let _ = fs::write(&self.file, self.state(written));
        }
    }
}

fn blake3_name(path: &Path) -> String {
    Digest::of(path.as_os_str().as_encoded_bytes()).hex()
}
