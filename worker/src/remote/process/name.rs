//! What a worker is called when nobody says.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};
use std::path::Path;

/// The file in the cache folder that tells the workers of one host apart. Locked by the worker that has the folder.
const FILE: &str = "worker";

/// A name that is held: no other worker has it while this lives.
#[derive(Debug)]
pub(super) struct WorkerName {
    pub name: String,
    _lock: File,
}

/// The host's name and a number that stays with the cache folder.
///
/// # Errors
///
/// When the folder cannot be written, and when another worker has it: two workers of one name would be taken for one.
pub(super) fn worker_name(cache: &Path, given: Option<String>) -> io::Result<WorkerName> {
    std::fs::create_dir_all(cache)?;
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(cache.join(FILE))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(io::Error::new(
                io::ErrorKind::ResourceBusy,
                "another gofarm-worker uses it; give each worker a folder of its own",
            ));
        }
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let mut id = String::new();
    file.read_to_string(&mut id)?;
    if id.trim().is_empty() {
        id = new_id();
        file.write_all(id.as_bytes())?;
    }
    let name = match given {
        Some(name) => name,
        None => {
            let host = nix::unistd::gethostname().map_err(io::Error::from)?;
            format!("{}-{}", host.to_string_lossy(), id.trim())
        }
    };
    Ok(WorkerName { name, _lock: file })
}

/// Eight hexadecimal digits from what differs between machines, processes and moments.
fn new_id() -> String {
    let mut hasher = blake3::Hasher::new();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    hasher.update(&now.unwrap_or_default().as_nanos().to_le_bytes());
    hasher.update(&std::process::id().to_le_bytes());
    // The kernel's own random number for this boot, where there is one.
    hasher.update(&std::fs::read("/proc/sys/kernel/random/uuid").unwrap_or_default());
    hasher.finalize().to_hex()[..8].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_stays_with_the_folder_and_belongs_to_one_worker() {
        let folder = tempfile::tempdir().unwrap();
        let first = worker_name(folder.path(), None).unwrap();
        let second = worker_name(folder.path(), None).unwrap_err();
        assert_eq!(second.kind(), io::ErrorKind::ResourceBusy);
        let name = first.name.clone();
        drop(first);
        assert_eq!(worker_name(folder.path(), None).unwrap().name, name);
        let given = worker_name(folder.path(), Some("w1".to_owned())).unwrap();
        assert_eq!(given.name, "w1");
    }
}
