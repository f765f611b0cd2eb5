//! Observation by ptrace and a seccomp filter.

mod calls;
mod interpreter;
mod observer;
mod place;

use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::{self, PipeReader, Read};
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::thread;

use gofarm_sys::{Child, Program, StartFailure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{Access, ObserveError, Observed, Request};
use observer::Observer;

/// Runs a command to its end and tells every path that it and its descendants asked the kernel for, each when it was asked. Standard
/// input is empty. The calling thread is the observer and is busy for as long.
///
/// # Errors
/// The program cannot be started, the system does not allow observation, or something ran that cannot be observed. Then nothing of
/// the command runs any more.
pub fn observe(request: &Request, each: &mut dyn FnMut(Access)) -> Result<Observed, ObserveError> {
    // A thread of its own would do as well, but then `each` had to be `Send`: what a thread waits for are only the processes that it
    // started itself.
    let system = |doing| move |source| ObserveError::System { doing, source };
    let (out, out_writer) = io::pipe().map_err(system("pipe"))?;
    let (err, err_writer) = io::pipe().map_err(system("pipe"))?;
    let nothing = File::open("/dev/null").map_err(system("open /dev/null"))?;
    let child = {
        let texts = Texts::of(request)?;
        let program = Program {
            file: &texts.file,
            args: &texts.args,
            env: &texts.env,
            folder: &texts.folder,
            stdio: [nothing.as_fd(), out_writer.as_fd(), err_writer.as_fd()],
        };
        Child::fork(&program, &calls::filter()).map_err(system("fork"))?
    };
    drop((out_writer, err_writer));
    let pid = child.pid();
    let failure = match begin(child) {
        Ok(failure) => failure,
        Err(source) => {
            end(pid);
            return Err(ObserveError::System {
                doing: "ptrace",
                source,
            });
        }
    };
    let stdout = thread::spawn(|| read(out));
    let stderr = thread::spawn(|| read(err));
    let ended = Observer::new(pid, request.left_behind, each).run();
    let collect = |output: thread::JoinHandle<Vec<u8>>| output.join().unwrap_or_default();
    let (stdout, stderr) = (collect(stdout), collect(stderr));
    if let Some(source) = failure.read() {
        return Err(ObserveError::Start {
            program: request.program.display().to_string(),
            source,
        });
    }
    Ok(Observed {
        status: ended?,
        stdout,
        stderr,
    })
}

fn begin(child: Child) -> io::Result<StartFailure> {
    gofarm_sys::seize(child.pid())?;
    child.release()
}

/// Of a child that was not let go.
fn end(pid: i32) {
    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    while let Ok(Some(_)) = gofarm_sys::wait() {}
}

fn read(mut from: PipeReader) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What was read until an error is all there is.
    let _ = from.read_to_end(&mut bytes);
    bytes
}

/// A request as the kernel wants it.
struct Texts {
    file: CString,
    args: Vec<CString>,
    env: Vec<CString>,
    folder: CString,
}

impl Texts {
    fn of(request: &Request) -> Result<Texts, ObserveError> {
        let text = |text: &OsStr| {
            CString::new(text.as_bytes()).map_err(|_| ObserveError::ZeroByte {
                program: request.program.display().to_string(),
            })
        };
        let name = request.program.as_os_str();
        Ok(Texts {
            file: text(name)?,
            args: std::iter::once(name)
                .chain(request.args.iter().map(OsString::as_os_str))
                .map(text)
                .collect::<Result<_, _>>()?,
            env: request
                .env
                .iter()
                .map(|(name, value)| {
                    let mut line = name.clone().into_vec();
                    line.push(b'=');
                    line.extend_from_slice(value.as_bytes());
                    text(OsStr::from_bytes(&line))
                })
                .collect::<Result<_, _>>()?,
            folder: text(request.folder.as_os_str())?,
        })
    }
}
