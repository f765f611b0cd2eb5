//! Standard error, which holds up nobody who was told to stop.
//!
//! A pipe that nobody reads any more holds up for ever whoever writes to it, and with it everything that is done between two
//! lines, such as ending a build. So nothing is written before there is room for it, and when a command that was told to stop finds
//! none for a second, it goes on as one whose standard error is closed.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// What is written at once, bytes. A pipe that has room has it for so much (`PIPE_BUF`).
const PIECE: usize = 4096;
/// Between two looks at whether there is room or the command was told to stop.
const LOOK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};
const AT_ONCE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};
/// So many looks without room, after it was told to stop, are a second.
const LOOKS: u32 = 20;

/// Of this process.
static STOP: Stop = Stop::new();

/// The command was told to stop: from now on standard error has a second for each text.
pub(crate) fn stopping() {
    STOP.told.store(true, Ordering::Relaxed);
}

/// Standard error of this process. Not buffered.
#[derive(Debug)]
pub struct Stderr;

impl Write for Stderr {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        STOP.write(&mut io::stderr().lock(), text)
    }

    /// Locked for the whole text, so that texts of several threads do not mix.
    fn write_all(&mut self, text: &[u8]) -> io::Result<()> {
        STOP.write_all(&mut io::stderr().lock(), text)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Stop {
    told: AtomicBool,
    /// Nobody reads any more.
    unread: AtomicBool,
}

impl Stop {
    const fn new() -> Stop {
        Stop {
            told: AtomicBool::new(false),
            unread: AtomicBool::new(false),
        }
    }

    /// Writes what there is room for.
    fn write(&self, to: &mut (impl Write + AsFd), text: &[u8]) -> io::Result<usize> {
        let mut looks = 0;
        let unread = self.unread.load(Ordering::Relaxed);
        while !has_room(to.as_fd(), if unread { &AT_ONCE } else { &LOOK }) {
            looks += u32::from(self.told.load(Ordering::Relaxed));
            if unread || looks >= LOOKS {
                self.unread.store(true, Ordering::Relaxed);
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
        to.write(&text[..text.len().min(PIECE)])
    }

    fn write_all(&self, to: &mut (impl Write + AsFd), mut text: &[u8]) -> io::Result<()> {
        while !text.is_empty() {
            match self.write(to, text) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => text = &text[written..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn has_room(to: BorrowedFd<'_>, within: &Timespec) -> bool {
    let mut asked = [PollFd::from_borrowed_fd(to, PollFlags::OUT)];
    match poll(&mut asked, Some(within)) {
        Ok(ready) => ready > 0,
        Err(rustix::io::Errno::INTR) => false,
        // What cannot be asked is written to.
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::time::{Duration, Instant};

    use super::*;

    /// More than a pipe takes.
    const LONG: usize = 4 << 20;

    #[test]
    fn a_reader_that_is_slow_gets_all_of_it() {
        let (mut reader, mut writer) = io::pipe().unwrap();
        let text: Vec<u8> = (0..LONG).map(|at| (at % 251) as u8).collect();
        std::thread::scope(|scope| {
            let read = scope.spawn(move || {
                let mut read = Vec::new();
                reader.read_to_end(&mut read).map(|_| read)
            });
            let stop = Stop::new();
            stop.write_all(&mut writer, &text).unwrap();
            // Whoever reads is heard to the end also when it is to stop.
            stop.told.store(true, Ordering::Relaxed);
            stop.write_all(&mut writer, &text).unwrap();
            drop(writer);
            let read = read.join().unwrap().unwrap();
            assert!(read == [&text[..], &text].concat());
        });
    }

    #[test]
    fn nobody_reads_and_who_is_to_stop_goes_on() {
        let (_reader, mut writer) = io::pipe().unwrap();
        let stop = Stop::new();
        std::thread::scope(|scope| {
            let written = scope.spawn(|| stop.write_all(&mut writer, &vec![b'x'; LONG]));
            stop.told.store(true, Ordering::Relaxed);
            let error = written.join().unwrap().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        });
        // Once is enough.
        let begun = Instant::now();
        for _ in 0..100 {
            assert!(stop.write_all(&mut writer, b"x").is_err());
        }
        assert!(begun.elapsed() < Duration::from_secs(50));
    }
}
