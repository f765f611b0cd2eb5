//! What lies in a folder of the system: names, sizes and times of its files, which change with any package upgrade and are
//! the same on machines of one image.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, FileType};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, Stat};

/// A header folder with more files than this is an accident, not a toolchain.
pub(crate) const MAX_FILES: usize = 200_000;

/// A folder that changed so shortly before it was listed may change again without its time showing it.
const SETTLED_NS: i64 = 2_000_000_000;

/// A folder of the system, and what was in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The folder.
    pub folder: PathBuf,
    /// Whether the folders below count.
    pub deep: bool,
    /// BLAKE3 of names, sizes and modification times. A file that is written where it stands changes it, although its folder
    /// does not change.
    pub digest: [u8; 32],
    /// The folder and the folders below it, in the order of the bytes of their paths.
    pub folders: Vec<ListedFolder>,
}

/// The names in one folder. They need not be read again while nothing came to the folder or went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedFolder {
    /// From where the listing begins.
    pub below: PathBuf,
    /// Which folder it was, and when something last came to it or went.
    pub state: FolderState,
    /// What was in it.
    pub names: Vec<u8>,
}

/// Which folder is at a path, and when something last came to it or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FolderState {
    /// The file system.
    pub device: u64,
    /// The folder in it.
    pub inode: u64,
    /// Nanoseconds since the epoch; 0 where the folder was too fresh to be trusted, or its file system does not say the truth.
    pub changed: i64,
}

/// Finds what is known of a folder from an earlier listing, by its path from where the listing begins.
pub type Known<'a> = dyn Fn(&Path) -> Option<(FolderState, &'a [u8])> + 'a;

impl Listing {
    /// Lists a folder. One that cannot be read is empty.
    ///
    /// # Errors
    ///
    /// There are more than 200,000 files.
    pub fn of(folder: &Path, deep: bool) -> io::Result<Listing> {
        Listing::made_at(folder, deep, now())
    }

    fn made_at(folder: &Path, deep: bool, now: i64) -> io::Result<Listing> {
        let mut folders = Vec::new();
        let digest = walk(folder, deep, now, &|_| None, Some(&mut folders))?;
        folders.sort_unstable_by(|a, b| a.below.as_os_str().cmp(b.below.as_os_str()));
        Ok(Listing {
            folder: folder.to_owned(),
            deep,
            digest,
            folders,
        })
    }

    /// The digest of a folder that was listed before: of every file the size and times are looked at, but names are read only
    /// where some have come or gone.
    ///
    /// # Errors
    ///
    /// There are more than 200,000 files.
    pub fn digest_of(folder: &Path, deep: bool, known: &Known<'_>) -> io::Result<[u8; 32]> {
        walk(folder, deep, now(), known, None)
    }
}

fn walk(
    folder: &Path,
    deep: bool,
    now: i64,
    known: &Known<'_>,
    mut kept: Option<&mut Vec<ListedFolder>>,
) -> io::Result<[u8; 32]> {
    // By folder, so that nothing has to be put together or sorted that is longer than a name: a build that finds nothing
    // to do spends most of its time here and in the like.
    let mut hasher = blake3::Hasher::new_derive_key("gofarm folder of the system v3");
    let mut folders = vec![PathBuf::new()];
    // Folders that links lead to, each listed once: links may go round.
    let mut linked = BTreeSet::from_iter(folder.canonicalize());
    let mut count = 0;
    let mut file_systems = FileSystems::default();
    let mut line = Vec::new();
    while let Some(below) = folders.pop() {
        let path = folder.join(&below);
        let mut names = Vec::new();
        if let Some((opened, mut state)) = open(&path, now) {
            if !file_systems.tell_of_changes(&opened, state.device) {
                state.changed = 0;
            }
            let read;
            let listed = match known(&below) {
                Some((known, names)) if known == state && state.changed != 0 => names,
                _ => {
                    read = read_names(&path);
                    &read
                }
            };
            for (kind, name) in entries(listed) {
                if let Some((found, led_to)) = look(&opened, &path, deep, (kind, name), &mut linked)
                {
                    names.push((name, found, led_to));
                }
            }
            count += names.len();
            if count > MAX_FILES {
                return Err(io::Error::other(format!("more than {MAX_FILES} files")));
            }
            write_line(&mut line, &below, &names);
            let deeper = names.iter().filter(|(_, found, _)| found.is_none());
            folders.extend(deeper.map(|(name, ..)| below.join(name)));
            if let Some(kept) = &mut kept {
                kept.push(ListedFolder {
                    below,
                    state,
                    names: listed.to_vec(),
                });
            }
        } else {
            write_line(&mut line, &below, &[]);
        }
        hasher.update(&line);
    }
    Ok(*hasher.finalize().as_bytes())
}

/// A name in a folder; what was found there, nothing for a folder to be listed itself; and where it leads if it is a link.
type Entry<'a> = (&'a OsStr, Option<[u8; 25]>, Option<PathBuf>);

/// Looks at an entry of a folder; `None` where it does not count.
fn look(
    opened: &OwnedFd,
    folder: &Path,
    deep: bool,
    (kind, name): (u8, &OsStr),
    linked: &mut BTreeSet<PathBuf>,
) -> Option<(Option<[u8; 25]>, Option<PathBuf>)> {
    if kind == FOLDER {
        return deep.then_some((None, None));
    }
    let follows = match kind {
        // What counts is what a compiler or a linker reads, and where that is.
        LINK => AtFlags::empty(),
        _ => AtFlags::SYMLINK_NOFOLLOW,
    };
    // What a link leads to that is not there comes and goes like a file.
    let file = rustix::fs::statat(opened, name, follows).ok()?;
    let led_to = match kind {
        LINK => fs::read_link(folder.join(name)).ok(),
        _ => None,
    };
    let found = match rustix::fs::FileType::from_raw_mode(file.st_mode) {
        rustix::fs::FileType::Directory if !deep => return None,
        rustix::fs::FileType::Directory => {
            let is_new = led_to.is_none() || is_new(&folder.join(name), linked);
            (!is_new).then_some(SEEN)
        }
        rustix::fs::FileType::RegularFile => Some(stamp(&file)),
        _ if deep => Some(stamp(&file)),
        _ => return None,
    };
    Some((found, led_to))
}

fn write_line(line: &mut Vec<u8>, below: &Path, names: &[Entry<'_>]) {
    line.clear();
    put(line, below.as_os_str());
    line.extend((names.len() as u64).to_le_bytes());
    for (name, found, led_to) in names {
        put(line, name);
        line.extend(found.unwrap_or([0; 25]));
        put(line, led_to.as_deref().unwrap_or(Path::new("")).as_os_str());
    }
}

/// Opens a folder to look at what is in it, and says which it is. Before its names are read: what comes while they are read
/// then shows.
fn open(folder: &Path, now: i64) -> Option<(OwnedFd, FolderState)> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(CWD, folder, flags, Mode::empty()).ok()?;
    let stat = rustix::fs::fstat(&opened).ok()?;
    let changed = stat.st_ctime * 1_000_000_000 + stat.st_ctime_nsec as i64;
    let state = FolderState {
        device: stat.st_dev,
        inode: stat.st_ino,
        changed: settled(changed, now),
    };
    Some((opened, state))
}

/// Of which file systems a folder's time says whether names came or went, by device.
#[derive(Default)]
struct FileSystems(Vec<(u64, bool)>);

impl FileSystems {
    /// Whether the folders of the file system that this one is in have another time when names came or went, and are other ones
    /// when it is mounted in another way.
    ///
    /// A folder of overlayfs has time and inode of the uppermost layer that has it, while its names come from all: with another layer
    /// below, by the next mount, or with a name that came to a layer, both are the same. The number of a mount would tell mounts
    /// apart, but not what is done to a layer, and none lasts longer than its container. A network file system has caches, and
    /// one in user space says what it likes. So of others than these names are read each time, which takes some milliseconds.
    #[cfg(target_os = "linux")]
    fn tell_of_changes(&mut self, folder: &OwnedFd, device: u64) -> bool {
        // linux/magic.h: ext2 to ext4, XFS, Btrfs, tmpfs, F2FS, bcachefs, SquashFS, EROFS, ZFS.
        const LOCAL: [i64; 9] = [
            0xef53,
            0x5846_5342,
            0x9123_683e,
            0x0102_1994,
            0xf2f5_2010,
            0xca45_1a4e,
            0x7371_7368,
            0xe0f5_e1e2,
            0x2fc1_2fc1,
        ];
        if let Some((_, tell)) = self.0.iter().find(|(known, _)| *known == device) {
            return *tell;
        }
        #[allow(
            clippy::unnecessary_cast,
            reason = "on other processors it is of another type"
        )]
        let tell = rustix::fs::fstatfs(folder)
            .is_ok_and(|system| LOCAL.contains(&(system.f_type as i64 & 0xffff_ffff)));
        self.0.push((device, tell));
        tell
    }

    #[cfg(not(target_os = "linux"))]
    fn tell_of_changes(&mut self, _: &OwnedFd, _: u64) -> bool {
        true
    }
}

const FILE: u8 = b'f';
const FOLDER: u8 = b'd';
const LINK: u8 = b'l';

/// The names in a folder in their order, each with its kind before and a zero byte behind it.
fn read_names(folder: &Path) -> Vec<u8> {
    let kind = |kind: FileType| match () {
        () if kind.is_symlink() => LINK,
        () if kind.is_dir() => FOLDER,
        () => FILE,
    };
    let mut names: Vec<(OsString, u8)> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name(), kind(entry.file_type().ok()?))))
        .collect();
    names.sort_unstable();
    let mut bytes = Vec::new();
    for (name, kind) in names {
        bytes.push(kind);
        bytes.extend(name.into_vec());
        bytes.push(0);
    }
    bytes
}

fn entries(names: &[u8]) -> impl Iterator<Item = (u8, &OsStr)> {
    names.split(|&b| b == 0).filter_map(|entry| {
        let (kind, name) = entry.split_first()?;
        Some((*kind, OsStr::from_bytes(name)))
    })
}

/// Whether no link has led to the same folder yet.
fn is_new(link: &Path, linked: &mut BTreeSet<PathBuf>) -> bool {
    link.canonicalize()
        .is_ok_and(|folder| linked.insert(folder))
}

/// Stands for a folder that a link leads to and another one has led to before.
const SEEN: [u8; 25] = [2; 25];

/// Size and modification time of a file, never all zero bytes as those that stand for a folder.
fn stamp(file: &Stat) -> [u8; 25] {
    let mut stamp = [1; 25];
    stamp[1..9].copy_from_slice(&(file.st_size as u64).to_le_bytes());
    stamp[9..17].copy_from_slice(&file.st_mtime.to_le_bytes());
    stamp[17..25].copy_from_slice(&(file.st_mtime_nsec as i64).to_le_bytes());
    stamp
}

/// When a folder changed that is listed now, nanoseconds since the epoch; 0 where that is too fresh to be trusted.
pub fn settled(changed: i64, now: i64) -> i64 {
    match now - changed > SETTLED_NS {
        true => changed,
        false => 0,
    }
}

/// Nanoseconds since the epoch, as the times of files are compared.
pub fn nanos(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos() as i64)
}

fn now() -> i64 {
    nanos(SystemTime::now())
}

/// A name with its length before it.
fn put(line: &mut Vec<u8>, name: &OsStr) {
    line.extend((name.len() as u64).to_le_bytes());
    line.extend(name.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a folder is as it was: with what is known of it, and without, which must say the same.
    fn holds(listing: &Listing) -> bool {
        let known = |below: &Path| {
            let known = listing.folders.iter().find(|known| known.below == below)?;
            Some((known.state, known.names.as_slice()))
        };
        let quick = walk(&listing.folder, listing.deep, later(), &known, None).unwrap();
        let slow = Listing::of(&listing.folder, listing.deep).unwrap().digest;
        assert_eq!(quick, slow);
        slow == listing.digest
    }

    /// When everything that was written has settled.
    fn later() -> i64 {
        now() + 2 * SETTLED_NS
    }

    #[test]
    fn names_that_are_known_are_never_believed_of_a_folder_that_changed() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path();
        for name in ["a", "a/b", "a/b/c", "d"] {
            fs::create_dir(root.join(name)).unwrap();
            fs::write(root.join(name).join("x.h"), name).unwrap();
        }
        std::os::unix::fs::symlink("../d", root.join("a/to")).unwrap();
        // Times of files come from a clock that ticks every few milliseconds.
        let tick = || std::thread::sleep(std::time::Duration::from_millis(12));
        let change = |what: &str| {
            tick();
            let (verb, name) = what.split_once(' ').unwrap();
            let at = |name: &str| root.join(name);
            match verb {
                "write" => fs::write(at(name), what),
                "remove" => fs::remove_file(at(name)),
                "fell" => fs::remove_dir_all(at(name)),
                "make" => fs::create_dir(at(name)),
                "fifo" => {
                    rustix::fs::mknodat(CWD, at(name), rustix::fs::FileType::Fifo, Mode::RUSR, 0)
                        .map_err(io::Error::from)
                }
                _ => match what.split(' ').collect::<Vec<_>>().as_slice() {
                    ["link", name, to] => std::os::unix::fs::symlink(to, at(name)),
                    ["move", name, to] => fs::rename(at(name), at(to)),
                    _ => unreachable!(),
                },
            }
            .unwrap();
        };
        for deep in [true, false] {
            let listing = Listing::made_at(root, deep, later()).unwrap();
            assert!(holds(&listing));
            for what in [
                "write a/x.h",
                "write y.h",
                "move y.h z.h",
                "remove z.h",
                "make e",
                "fell e",
                "fifo f",
                "remove f",
                "remove a/b/x.h",
                "write a/b/x.h",
                "move a/b b",
                "move b a/b",
                "move d e",
                "make d",
                "write d/x.h",
                "remove a/to",
                "link a/to ../e",
                "move e/x.h e/y.h",
                "fell a/b/c",
                "link a/b/c ..",
                "remove a/b/c",
                "write a/b/c",
                "remove a/b/c",
                "make a/b/c",
                "write a/b/c/x.h",
                "remove a/to",
                "link a/to ../d",
                "fell e",
            ] {
                change(what);
                holds(&listing);
            }
            let again = Listing::made_at(root, deep, later()).unwrap();
            let (opened, state) = open(root, later()).unwrap();
            let tells = FileSystems::default().tell_of_changes(&opened, state.device);
            let mut known = again.folders.iter().map(|folder| folder.state.changed != 0);
            assert!(known.all(|known| known == tells));
            assert!(holds(&again));
        }
    }

    #[test]
    fn a_file_that_is_written_where_it_stands_changes_the_listing() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("sub");
        std::fs::create_dir(&below).unwrap();
        std::fs::write(below.join("a.h"), "1").unwrap();
        let listing = Listing::of(folder.path(), true).unwrap();
        let flat = Listing::of(folder.path(), false).unwrap();
        assert!(holds(&listing) && holds(&flat));
        std::fs::write(below.join("a.h"), "12").unwrap();
        assert!(!holds(&listing));
        assert!(holds(&flat));
        std::fs::write(folder.path().join("libx.a"), "x").unwrap();
        assert!(!holds(&flat));
    }

    #[test]
    fn what_links_lead_to_is_listed_too() {
        let folder = tempfile::tempdir().unwrap();
        let [headers, one, two] = ["headers", "one", "two"].map(|name| folder.path().join(name));
        for made in [&headers, &one, &two] {
            std::fs::create_dir(made).unwrap();
        }
        std::fs::write(one.join("a.h"), "1").unwrap();
        std::fs::write(two.join("a.h"), "1").unwrap();
        let link =
            |to: &Path, name: &str| std::os::unix::fs::symlink(to, headers.join(name)).unwrap();
        link(&one, "sub");
        link(&headers, "round");
        link(&one.join("a.h"), "b.h");
        let listing = Listing::of(&headers, true).unwrap();
        assert!(holds(&listing));
        std::fs::write(one.join("c.h"), "").unwrap();
        assert!(!holds(&listing));
        std::fs::remove_file(one.join("c.h")).unwrap();
        assert!(holds(&listing));
        std::fs::write(one.join("a.h"), "12").unwrap();
        let changed = Listing::of(&headers, true).unwrap();
        assert_ne!(changed, listing);
        std::fs::remove_file(headers.join("sub")).unwrap();
        link(&two, "sub");
        assert!(!holds(&changed));
    }

    #[test]
    fn a_file_and_a_folder_of_one_name_are_two_listings() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().join("a");
        std::fs::write(&name, "").unwrap();
        let listing = Listing::of(folder.path(), true).unwrap();
        std::fs::remove_file(&name).unwrap();
        assert!(!holds(&listing));
        std::fs::create_dir(&name).unwrap();
        assert!(!holds(&listing));
    }
}
