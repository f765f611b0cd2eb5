//! What can be known of a file without reading it.

use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use rustix::fs::{FileType, Stat};

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link, wherever it leads.
    Link,
    /// A named pipe. Opening one may wait for ever.
    Pipe,
    /// A socket.
    Socket,
    /// A device. Opening one may do anything.
    Device,
    /// None of these.
    Unknown,
}

/// Which file it is, whatever it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileId {
    /// The number of its filesystem.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
}

/// What the system says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// What it is.
    pub kind: Kind,
    /// Which it is.
    pub id: FileId,
    /// Permissions, with the three bits above them.
    pub mode: u32,
    /// How many names it has.
    pub names: u64,
    /// The user it belongs to.
    pub owner: u32,
    /// Bytes.
    pub size: u64,
}

impl Kind {
    pub(crate) fn of(kind: FileType) -> Kind {
        match kind {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Folder,
            FileType::Symlink => Kind::Link,
            FileType::Fifo => Kind::Pipe,
            FileType::Socket => Kind::Socket,
            FileType::CharacterDevice | FileType::BlockDevice => Kind::Device,
            FileType::Unknown => Kind::Unknown,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::File => "a file",
            Kind::Folder => "a folder",
            Kind::Link => "a symbolic link",
            Kind::Pipe => "a named pipe",
            Kind::Socket => "a socket",
            Kind::Device => "a device",
            Kind::Unknown => "of no known kind",
        })
    }
}

impl Status {
    #[allow(
        clippy::unnecessary_cast,
        clippy::cast_sign_loss,
        reason = "the types differ between architectures; a size is not negative"
    )]
    pub(crate) fn of(stat: &Stat) -> Status {
        Status {
            kind: Kind::of(FileType::from_raw_mode(stat.st_mode)),
            id: FileId {
                device: stat.st_dev as u64,
                inode: stat.st_ino as u64,
            },
            mode: stat.st_mode & 0o7777,
            names: stat.st_nlink as u64,
            owner: stat.st_uid,
            size: stat.st_size as u64,
        }
    }

    /// Likewise, from what the standard library found out.
    pub fn of_metadata(metadata: &Metadata) -> Status {
        let file_type = metadata.file_type();
        let kind = if file_type.is_file() {
            Kind::File
        } else if file_type.is_dir() {
            Kind::Folder
        } else if file_type.is_symlink() {
            Kind::Link
        } else if file_type.is_fifo() {
            Kind::Pipe
        } else if file_type.is_socket() {
            Kind::Socket
        } else if file_type.is_char_device() || file_type.is_block_device() {
            Kind::Device
        } else {
            Kind::Unknown
        };
        Status {
            kind,
            id: FileId {
                device: metadata.dev(),
                inode: metadata.ino(),
            },
            mode: metadata.mode() & 0o7777,
            names: metadata.nlink(),
            owner: metadata.uid(),
            size: metadata.len(),
        }
    }

    /// Whether it belongs to the user of this process.
    pub fn is_own(&self) -> bool {
        self.owner == rustix::process::geteuid().as_raw()
    }
}
