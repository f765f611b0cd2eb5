//! A child that is held between fork and exec.

#![allow(unsafe_code, reason = "each block says why it is sound")]

use std::ffi::{CStr, CString, c_char};
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::ptr;

use crate::Filter;

/// A program and how it begins.
#[derive(Debug)]
pub struct Program<'a> {
    /// The file; it is not looked for on PATH.
    pub file: &'a CStr,
    /// All arguments, the name first.
    pub args: &'a [CString],
    /// The whole environment, `NAME=value`.
    pub env: &'a [CString],
    /// The working folder.
    pub folder: &'a CStr,
    /// Standard input, output and errors.
    pub stdio: [BorrowedFd<'a>; 3],
}

/// A child that waits until it may go on.
#[derive(Debug)]
pub struct Child {
    pid: i32,
    go: PipeWriter,
    failure: PipeReader,
}

impl Child {
    /// Forks. The child waits for [`release`](Child::release), puts itself under the filter and gives up the right to gain privileges,
    /// and runs the program. It ends when this process ends or the value is dropped before that.
    ///
    /// # Errors
    /// Of fork(2) and pipe(2).
    pub fn fork(program: &Program<'_>, filter: &Filter) -> io::Result<Child> {
        let pointers = |texts: &[CString]| -> Vec<*const c_char> {
            texts
                .iter()
                .map(|text| text.as_ptr())
                .chain([ptr::null()])
                .collect()
        };
        let (hold, go) = io::pipe()?;
        let (failure, report) = io::pipe()?;
        let (args, env) = (pointers(program.args), pointers(program.env));
        let prepared = Prepared {
            file: program.file.as_ptr(),
            args: args.as_ptr(),
            env: env.as_ptr(),
            folder: program.folder.as_ptr(),
            stdio: program.stdio.map(|file| file.as_raw_fd()),
            filter: libc::sock_fprog {
                len: filter.program.len() as u16,
                filter: filter.program.as_ptr().cast_mut(),
            },
            hold: hold.as_raw_fd(),
            go: go.as_raw_fd(),
            report: report.as_raw_fd(),
        };
        // SAFETY: the child is a copy of this one thread, and other threads may have held locks. It calls `run`, which
        // allocates nothing, takes no lock and makes system calls only, and never returns.
        let pid = unsafe { libc::fork() };
        match pid {
            -1 => Err(io::Error::last_os_error()),
            // SAFETY: all that `prepared` points to lives in the copied memory of this frame and of the caller's.
            0 => unsafe { prepared.run() },
            pid => Ok(Child { pid, go, failure }),
        }
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Lets it go on. What is returned says, once the child has ended or runs its program, why that could not be started.
    ///
    /// # Errors
    /// The child is gone.
    pub fn release(mut self) -> io::Result<StartFailure> {
        self.go.write_all(&[1])?;
        Ok(StartFailure(self.failure))
    }
}

/// Why a program could not be started.
#[derive(Debug)]
pub struct StartFailure(PipeReader);

impl StartFailure {
    /// `None` when it was started. Waits until that is known.
    pub fn read(mut self) -> Option<io::Error> {
        let mut errno = [0; 4];
        self.0.read_exact(&mut errno).ok()?;
        Some(io::Error::from_raw_os_error(i32::from_ne_bytes(errno)))
    }
}

struct Prepared {
    file: *const c_char,
    args: *const *const c_char,
    env: *const *const c_char,
    folder: *const c_char,
    stdio: [RawFd; 3],
    filter: libc::sock_fprog,
    hold: RawFd,
    go: RawFd,
    report: RawFd,
}

impl Prepared {
    /// The child.
    ///
    /// # Safety
    /// Only in a new process. The pointers lead to texts that end in 0, to lists of such that end in null, and to a filter of the
    /// named length.
    unsafe fn run(&self) -> ! {
        // SAFETY: system calls over what the caller vouches for and over values of this frame. Descriptors that are closed here
        // are copies that belong to this process, which has no other code to use them.
        unsafe {
            // Its own end of the pipe would keep it waiting for ever after its parent was killed.
            libc::close(self.go);
            let mut byte = 0_u8;
            loop {
                match libc::read(self.hold, (&raw mut byte).cast(), 1) {
                    1 => break,
                    -1 if *libc::__errno_location() == libc::EINTR => {}
                    _ => libc::_exit(127),
                }
            }
            if self.prepare() {
                libc::execve(self.file, self.args, self.env);
            }
            let errno = *libc::__errno_location();
            libc::write(self.report, (&raw const errno).cast(), 4);
            libc::_exit(127)
        }
    }

    /// All between the release and the program; false with errno when something failed.
    ///
    /// # Safety
    /// As [`run`](Prepared::run).
    unsafe fn prepare(&self) -> bool {
        // SAFETY: as in `run`.
        unsafe {
            // Copies above the three first, so that none is overwritten before it is used.
            let mut copies = [0; 3];
            for (copy, fd) in copies.iter_mut().zip(self.stdio) {
                *copy = libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3);
                if *copy < 0 {
                    return false;
                }
            }
            for (to, from) in copies.into_iter().enumerate() {
                if libc::dup2(from, to as i32) < 0 {
                    return false;
                }
            }
            // Rust ignores SIGPIPE, and this thread may have blocked signals.
            libc::signal(libc::SIGPIPE, libc::SIG_DFL);
            let mut none: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut none);
            libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
            libc::chdir(self.folder) == 0
                && libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && libc::prctl(
                    libc::PR_SET_SECCOMP,
                    libc::SECCOMP_MODE_FILTER,
                    &raw const self.filter,
                    0,
                    0,
                ) == 0
        }
    }
}
