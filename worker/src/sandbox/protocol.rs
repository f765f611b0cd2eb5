//! What the worker and its launcher say to each other: length-prefixed messages over a socket pair.
//!
//! The worker sends one [`Setup`], is answered by [`Ready`], and then sends one [`Command`] after the other, each
//! answered by [`Started`] and [`Finished`], or by [`Failed`]: those of one action, then those of the next. The end of the
//! stream, at any moment, is the order to kill what runs and to leave: it comes when the worker cancels, and also when the
//! worker dies.

use std::io::{self, Read, Write};

use prost::Message;

/// A message longer than this is not one of ours.
const LONGEST: usize = 64 << 20;

/// Worker to launcher, once: the surroundings of all commands.
#[derive(Clone, PartialEq, Message)]
pub struct Setup {
    /// Absent: commands run in the machine's own file tree and network.
    #[prost(message, optional, tag = "1")]
    pub sandbox: Option<Sandbox>,
}

/// What the commands see instead of the machine.
#[derive(Clone, PartialEq, Message)]
pub struct Sandbox {
    /// An empty folder to build the new root on.
    #[prost(string, tag = "1")]
    pub root: String,
    /// Mounted in order.
    #[prost(message, repeated, tag = "2")]
    pub mounts: Vec<Mount>,
    /// Symbolic links to make in the new root.
    #[prost(message, repeated, tag = "3")]
    pub links: Vec<Link>,
    /// Absolute paths of folders to make in the new root, where they are not there yet.
    #[prost(string, repeated, tag = "4")]
    pub folders: Vec<String>,
}

/// One file or folder of the machine, seen at a path of the sandbox.
#[derive(Clone, PartialEq, Message)]
pub struct Mount {
    /// Path on the machine.
    #[prost(string, tag = "1")]
    pub from: String,
    /// Absolute path in the sandbox.
    #[prost(string, tag = "2")]
    pub to: String,
    /// Whether it can be written to.
    #[prost(bool, tag = "3")]
    pub writable: bool,
}

/// A symbolic link.
#[derive(Clone, PartialEq, Message)]
pub struct Link {
    /// Absolute path in the sandbox.
    #[prost(string, tag = "1")]
    pub path: String,
    /// Where it points.
    #[prost(string, tag = "2")]
    pub target: String,
}

/// Worker to launcher: run this.
#[derive(Clone, PartialEq, Message)]
pub struct Command {
    /// Never empty. A first element without a slash is looked up in the PATH of `env`.
    #[prost(string, repeated, tag = "1")]
    pub argv: Vec<String>,
    /// Absolute path of a folder that is there.
    #[prost(string, tag = "2")]
    pub cwd: String,
    /// The whole environment, `NAME=value`, by name.
    #[prost(btree_map = "string, string", tag = "3")]
    pub env: std::collections::BTreeMap<String, String>,
    /// The first of an action, for which nothing may be left of the one before.
    #[prost(bool, tag = "4")]
    pub begins_action: bool,
}

/// Launcher to worker.
#[derive(Clone, PartialEq, Message)]
pub struct Report {
    /// Absent in a message of another version.
    #[prost(oneof = "Event", tags = "1, 2, 3, 4")]
    pub event: Option<Event>,
}

/// What a [`Report`] says.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Event {
    /// The surroundings stand.
    #[prost(message, tag = "1")]
    Ready(Ready),
    /// The command runs.
    #[prost(message, tag = "2")]
    Started(Started),
    /// The command has ended.
    #[prost(message, tag = "3")]
    Finished(Finished),
    /// The surroundings could not be made, or the command not be started.
    #[prost(message, tag = "4")]
    Failed(Failed),
}

/// See [`Event::Ready`].
#[derive(Clone, PartialEq, Message)]
pub struct Ready {}

/// See [`Event::Started`].
#[derive(Clone, PartialEq, Message)]
pub struct Started {
    /// The process, which leads a process group of its own.
    #[prost(int32, tag = "1")]
    pub pid: i32,
}

/// See [`Event::Finished`].
#[derive(Clone, PartialEq, Message)]
pub struct Finished {
    /// Exit code; meaningless when `signal` is not 0.
    #[prost(int32, tag = "1")]
    pub code: i32,
    /// The signal that ended it, or 0.
    #[prost(int32, tag = "2")]
    pub signal: i32,
    /// CPU time of this and all earlier commands of the action and their children, microseconds.
    #[prost(uint64, tag = "3")]
    pub user_us: u64,
    /// Likewise, in the kernel.
    #[prost(uint64, tag = "4")]
    pub system_us: u64,
    /// Largest resident set of one process of the action up to now, bytes.
    #[prost(uint64, tag = "5")]
    pub peak_memory: u64,
    /// From the moment when it was started to its end, microseconds.
    #[prost(uint64, tag = "6")]
    pub wall_us: u64,
    /// A process that it started is still there and cannot be found.
    #[prost(bool, tag = "7")]
    pub escaped: bool,
    /// The command has changed the launcher itself, which is not fit for another action.
    #[prost(bool, tag = "8")]
    pub spoiled: bool,
}

/// See [`Event::Failed`].
#[derive(Clone, PartialEq, Message)]
pub struct Failed {
    /// What was tried and what the system said.
    #[prost(string, tag = "1")]
    pub reason: String,
    /// The system's error number, or 0. Always 0 with `surroundings`, where the same numbers mean other things: ENOSPC is not a
    /// full disk but too many namespaces.
    #[prost(int32, tag = "2")]
    pub errno: i32,
    /// It is the surroundings that could not be made, whatever the command.
    #[prost(bool, tag = "3")]
    pub surroundings: bool,
}

/// Puts a message with its length in front.
pub fn frame(message: &impl Message) -> Vec<u8> {
    let body = message.encode_to_vec();
    let mut frame = Vec::with_capacity(body.len() + 4);
    // Bounded by the reader; a command line of 4 GiB does not exist.
    frame.extend_from_slice(&(body.len() as u32).to_le_bytes());
    frame.extend_from_slice(&body);
    frame
}

/// The length that the first four bytes of a frame announce.
pub fn frame_length(prefix: [u8; 4]) -> io::Result<usize> {
    let length = u32::from_le_bytes(prefix) as usize;
    if length > LONGEST {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a message of {length} bytes is announced"),
        ));
    }
    Ok(length)
}

/// Reads one message. `None` at the end of the stream.
pub fn receive<M: Message + Default>(stream: &mut impl Read) -> io::Result<Option<M>> {
    let mut prefix = [0; 4];
    match stream.read_exact(&mut prefix) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let mut body = vec![0; frame_length(prefix)?];
    stream.read_exact(&mut body)?;
    M::decode(body.as_slice())
        .map(Some)
        .map_err(io::Error::from)
}

/// Writes one message.
pub fn send(stream: &mut impl Write, message: &impl Message) -> io::Result<()> {
    stream.write_all(&frame(message))
}
