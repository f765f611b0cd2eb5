//! The observer: what stops, why, and how it goes on.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;

use gofarm_sys::{CallStop, Event, FOREIGN_CALL, Resume, Status};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::calls::{self, Asks, Call, Named};
use super::{interpreter, place};
use crate::{Access, Kind, LeftBehind, ObserveError, Outcome};

/// Errors with which the kernel tells itself to make a call again (ERESTARTSYS to ERESTART_RESTARTBLOCK, linux/errno.h).
const AGAIN: std::ops::RangeInclusive<i32> = 512..=516;

pub(super) struct Observer<'a> {
    /// The command's own process.
    main: i32,
    left_behind: LeftBehind,
    each: &'a mut dyn FnMut(Access),
    /// Threads that have not ended, as far as they have been heard of.
    alive: HashSet<i32>,
    /// Paths of calls that threads are in.
    asked: HashMap<i32, Vec<(PathBuf, Kind)>>,
    /// The process of each thread.
    processes: HashMap<i32, u32>,
    /// Some process may have another root folder.
    rooted: bool,
    /// New threads are killed as they are heard of.
    ending: bool,
    error: Option<ObserveError>,
}

impl<'a> Observer<'a> {
    pub fn new(main: i32, left_behind: LeftBehind, each: &'a mut dyn FnMut(Access)) -> Self {
        Observer {
            main,
            left_behind,
            each,
            alive: HashSet::from([main]),
            asked: HashMap::new(),
            processes: HashMap::new(),
            rooted: false,
            ending: false,
            error: None,
        }
    }

    /// Until nothing is left.
    pub fn run(mut self) -> Result<ExitStatus, ObserveError> {
        let mut ended = None;
        loop {
            let changed = gofarm_sys::wait().map_err(|source| ObserveError::System {
                doing: "wait",
                source,
            });
            let (tid, status) = match changed {
                Ok(Some(changed)) => changed,
                Ok(None) => break,
                Err(error) => {
                    self.end();
                    return Err(error);
                }
            };
            match status {
                Status::Exited(code) => {
                    if tid == self.main {
                        ended = Some(ExitStatus::from_raw(code << 8));
                    }
                    self.gone(tid);
                }
                Status::Killed(signal) => {
                    if tid == self.main {
                        ended = Some(ExitStatus::from_raw(signal));
                    }
                    self.gone(tid);
                }
                Status::Stopped { signal, event } => {
                    if self.alive.insert(tid) && self.ending {
                        self.kill(tid);
                    }
                    // ESRCH: it was killed meanwhile, and its end is heard of next.
                    let _ = self.stopped(tid, signal, event);
                }
            }
        }
        match (self.error, ended) {
            (Some(error), _) => Err(error),
            (None, Some(status)) => Ok(status),
            (None, None) => Err(ObserveError::System {
                doing: "wait",
                source: io::Error::from_raw_os_error(libc::ECHILD),
            }),
        }
    }

    fn gone(&mut self, tid: i32) {
        self.alive.remove(&tid);
        self.asked.remove(&tid);
        self.processes.remove(&tid);
        if tid == self.main && self.left_behind == LeftBehind::Kill {
            self.end();
        }
    }

    /// Kills all that is alive, and from now on all that is heard of.
    fn end(&mut self) {
        self.ending = true;
        for tid in &self.alive {
            self.kill(*tid);
        }
    }

    fn kill(&self, tid: i32) {
        let _ = kill(Pid::from_raw(tid), Signal::SIGKILL);
    }

    fn stopped(&mut self, tid: i32, signal: i32, event: Event) -> io::Result<()> {
        match event {
            Event::Filtered => self.enters(tid),
            Event::Call => {
                self.leaves(tid)?;
                gofarm_sys::resume(tid, Resume::Run, 0)
            }
            Event::Exec => {
                let before = gofarm_sys::event_message(tid)?;
                self.runs(tid, before);
                gofarm_sys::resume(tid, Resume::Run, 0)
            }
            // The signal that stopped the whole process, or SIGTRAP.
            Event::Stop if signal != libc::SIGTRAP => gofarm_sys::resume(tid, Resume::Listen, 0),
            // A new thread is heard of when it stops itself, before it runs: its number here may be old by now.
            Event::Stop | Event::Child | Event::Other => self.goes_on(tid, 0),
            Event::Signal => self.goes_on(tid, signal),
        }
    }

    fn goes_on(&self, tid: i32, signal: i32) -> io::Result<()> {
        let how = if self.asked.contains_key(&tid) {
            Resume::ToCallExit
        } else {
            Resume::Run
        };
        gofarm_sys::resume(tid, how, signal)
    }

    /// Before a call.
    fn enters(&mut self, tid: i32) -> io::Result<()> {
        let stop = gofarm_sys::call_stop(tid)?;
        if stop.filter_data == FOREIGN_CALL {
            self.foreign(tid);
            return Ok(());
        }
        let asked: Vec<(PathBuf, Kind)> = match calls::call(stop.number) {
            Some(Call::Paths(named)) => named
                .iter()
                .filter_map(|named| self.named(tid, &stop, *named))
                .collect(),
            Some(Call::Folder(folder)) => place::open_folder(tid, stop.args[folder] as i32)
                .map(|folder| (folder, Kind::List))
                .into_iter()
                .collect(),
            None => Vec::new(),
        };
        if stop.number == libc::SYS_chroot {
            self.rooted = true;
        }
        if asked.is_empty() {
            return gofarm_sys::resume(tid, Resume::Run, 0);
        }
        self.asked.insert(tid, asked);
        gofarm_sys::resume(tid, Resume::ToCallExit, 0)
    }

    fn named(&self, tid: i32, stop: &CallStop, named: Named) -> Option<(PathBuf, Kind)> {
        let kind = match named.asks {
            Asks::Kind(kind) => kind,
            Asks::Open(flags) => calls::open(stop.args[flags]),
            Asks::OpenHow(how) => calls::open(place::number(tid, stop.args[how])?),
            Asks::Look(flags) => Kind::Look {
                follow: stop.args[flags] as i32 & libc::AT_SYMLINK_NOFOLLOW == 0,
            },
            Asks::LookFollow(flags) => Kind::Look {
                follow: stop.args[flags] as i32 & libc::AT_SYMLINK_FOLLOW != 0,
            },
        };
        let text = place::text(tid, stop.args[named.path])?;
        // Without a path a call is about what is open already; so is execveat, but there that is what runs.
        if text.is_empty() && kind != Kind::Execute {
            return None;
        }
        let folder = named
            .folder
            .map_or(libc::AT_FDCWD, |folder| stop.args[folder] as i32);
        Some((place::absolute(tid, folder, &text, self.rooted)?, kind))
    }

    /// Behind a call.
    fn leaves(&mut self, tid: i32) -> io::Result<()> {
        let Some(asked) = self.asked.remove(&tid) else {
            return Ok(());
        };
        let exit = gofarm_sys::call_exit(tid)?;
        let outcome = match i32::try_from(-exit.value) {
            _ if !exit.failed => Outcome::Found,
            Ok(libc::ENOENT | libc::ENOTDIR) => Outcome::Absent,
            Ok(errno) if AGAIN.contains(&errno) => return Ok(()),
            Ok(errno) => Outcome::Failed(errno),
            Err(_) => Outcome::Failed(0),
        };
        for (path, kind) in asked {
            self.tell(tid, path, kind, outcome);
        }
        Ok(())
    }

    /// Another program runs. Whichever thread asked for it is the process's only one now, and has its number.
    fn runs(&mut self, tid: i32, before: i32) {
        let asked = self.asked.remove(&before);
        self.asked.remove(&tid);
        if before != tid {
            self.alive.remove(&before);
            self.processes.remove(&before);
        }
        for (path, kind) in asked.into_iter().flatten() {
            let interpreters = interpreter::of(&path);
            self.tell(tid, path, kind, Outcome::Found);
            for path in interpreters {
                self.tell(tid, path, Kind::Execute, Outcome::Found);
            }
        }
    }

    fn tell(&mut self, tid: i32, path: PathBuf, kind: Kind, outcome: Outcome) {
        let process = *self
            .processes
            .entry(tid)
            .or_insert_with(|| place::process_of(tid));
        (self.each)(Access {
            process,
            path,
            kind,
            outcome,
        });
    }

    fn foreign(&mut self, tid: i32) {
        if self.error.is_none() {
            self.error = Some(ObserveError::ForeignCalls {
                process: place::process_of(tid),
                program: fs::read_link(format!("/proc/{tid}/exe"))
                    .map(|program| program.display().to_string())
                    .unwrap_or_default(),
            });
        }
        self.end();
    }
}
