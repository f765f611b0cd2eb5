//! ptrace, and waiting for what it stops.

#![allow(unsafe_code, reason = "each block says why it is sound")]

use std::io;
use std::mem::size_of_val;
use std::ptr;

/// What a thread under observation did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It ended with this exit code.
    Exited(i32),
    /// A signal ended it.
    Killed(i32),
    /// It stands still until it is resumed: for an event, before or behind a system call, or because of a signal.
    Stopped {
        /// The signal, without the mark of a system call.
        signal: i32,
        /// Why, if not for a signal that is about to be delivered.
        event: Event,
    },
}

/// Why a thread stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A signal is about to be delivered.
    Signal,
    /// It made a system call that the filter names, and has not carried it out.
    Filtered,
    /// It is behind a system call.
    Call,
    /// It made a process or a thread; [`event_message`] names it.
    Child,
    /// It runs another program; [`event_message`] is the thread it was before, whose number is gone.
    Exec,
    /// It has just been taken under observation, or goes on after a stop of its whole process, or is part of one.
    Stop,
    /// Another one.
    Other,
}

/// How a thread goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resume {
    /// Until the next event.
    Run,
    /// Until it is behind the system call that it is in.
    ToCallExit,
    /// Not: it stays stopped like its process, and events are heard.
    Listen,
}

/// A system call that is about to be carried out.
#[derive(Debug, Clone, Copy)]
pub struct CallStop {
    /// Its number.
    pub number: i64,
    /// Its arguments.
    pub args: [u64; 6],
    /// What the filter said with it.
    pub filter_data: u32,
}

/// What a system call returned.
#[derive(Debug, Clone, Copy)]
pub struct CallExit {
    /// Its value, or the negative error number.
    pub value: i64,
    /// True when it failed.
    pub failed: bool,
}

/// Takes a process that does not know of it under observation; all that it starts is from then on, too. When this process ends, they
/// are killed: without an observer the calls that a filter names fail.
///
/// # Errors
/// The process is gone, or the system does not allow it.
pub fn seize(pid: i32) -> io::Result<()> {
    let options = libc::PTRACE_O_TRACESYSGOOD
        | libc::PTRACE_O_TRACEFORK
        | libc::PTRACE_O_TRACEVFORK
        | libc::PTRACE_O_TRACECLONE
        | libc::PTRACE_O_TRACEEXEC
        | libc::PTRACE_O_TRACESECCOMP
        | libc::PTRACE_O_EXITKILL;
    // SAFETY: PTRACE_SEIZE takes numbers only and touches no memory of this process.
    let done = unsafe {
        libc::ptrace(
            libc::PTRACE_SEIZE,
            pid,
            ptr::null_mut::<libc::c_void>(),
            options as usize as *mut libc::c_void,
        )
    };
    result(done)
}

/// Lets a thread that is stopped go on. A signal other than 0 is delivered to it.
///
/// # Errors
/// ESRCH: it is not stopped, or no more. SIGKILL may come at any moment.
pub fn resume(tid: i32, how: Resume, signal: i32) -> io::Result<()> {
    let request = match how {
        Resume::Run => libc::PTRACE_CONT,
        Resume::ToCallExit => libc::PTRACE_SYSCALL,
        Resume::Listen => libc::PTRACE_LISTEN,
    };
    // SAFETY: these requests take numbers only and touch no memory of this process.
    let done = unsafe {
        libc::ptrace(
            request,
            tid,
            ptr::null_mut::<libc::c_void>(),
            signal as usize as *mut libc::c_void,
        )
    };
    result(done)
}

/// `struct ptrace_syscall_info` of linux/ptrace.h as words: operation and architecture, instruction pointer, stack pointer, then
/// what the operation has: number, six arguments, the filter's data; or value and whether it is an error.
type CallInfo = [u64; 11];

const OPERATION_EXIT: u64 = 2;
const OPERATION_SECCOMP: u64 = 3;

fn call_info(tid: i32) -> io::Result<CallInfo> {
    let mut info: CallInfo = [0; 11];
    // SAFETY: the kernel writes at most as many bytes as it is told, the size of `info`, which lives until then; any bytes
    // are a value of it.
    let done = unsafe {
        libc::ptrace(
            libc::PTRACE_GET_SYSCALL_INFO,
            tid,
            size_of_val(&info) as *mut libc::c_void,
            (&raw mut info).cast::<libc::c_void>(),
        )
    };
    result(done)?;
    Ok(info)
}

/// The system call before which a thread stopped for the filter.
///
/// # Errors
/// The thread is gone, or did not stop for that.
pub fn call_stop(tid: i32) -> io::Result<CallStop> {
    let [head, _, _, number, args @ .., data] = call_info(tid)?;
    // The first byte in memory is the operation.
    match u64::from(head.to_ne_bytes()[0]) {
        OPERATION_SECCOMP => Ok(CallStop {
            number: number as i64,
            args,
            filter_data: u32::from_ne_bytes([
                data.to_ne_bytes()[0],
                data.to_ne_bytes()[1],
                data.to_ne_bytes()[2],
                data.to_ne_bytes()[3],
            ]),
        }),
        _ => Err(io::Error::from_raw_os_error(libc::ESRCH)),
    }
}

/// What the system call returned behind which a thread stopped.
///
/// # Errors
/// The thread is gone, or did not stop for that.
pub fn call_exit(tid: i32) -> io::Result<CallExit> {
    let info = call_info(tid)?;
    match u64::from(info[0].to_ne_bytes()[0]) {
        OPERATION_EXIT => Ok(CallExit {
            value: info[3] as i64,
            failed: info[4].to_ne_bytes()[0] != 0,
        }),
        _ => Err(io::Error::from_raw_os_error(libc::ESRCH)),
    }
}

/// What an event is about.
///
/// # Errors
/// The thread is gone.
pub fn event_message(tid: i32) -> io::Result<i32> {
    let mut message: libc::c_ulong = 0;
    // SAFETY: the kernel writes one c_ulong, which lives until then.
    let done = unsafe {
        libc::ptrace(
            libc::PTRACE_GETEVENTMSG,
            tid,
            ptr::null_mut::<libc::c_void>(),
            (&raw mut message).cast::<libc::c_void>(),
        )
    };
    result(done)?;
    Ok(message as i32)
}

/// Waits for the next change of a thread that the calling thread observes or of a child that it started, and of no other.
/// `None` when there is none left.
///
/// # Errors
/// Only what waitpid(2) names.
pub fn wait() -> io::Result<Option<(i32, Status)>> {
    loop {
        let mut status = 0;
        // SAFETY: the kernel writes one int, which lives until then.
        let tid = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL | libc::__WNOTHREAD) };
        if tid > 0 {
            return Ok(Some((tid, decode(status))));
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EINTR) => {}
            Some(libc::ECHILD) => return Ok(None),
            _ => return Err(error),
        }
    }
}

fn decode(status: i32) -> Status {
    if libc::WIFEXITED(status) {
        return Status::Exited(libc::WEXITSTATUS(status));
    }
    if libc::WIFSIGNALED(status) {
        return Status::Killed(libc::WTERMSIG(status));
    }
    let signal = libc::WSTOPSIG(status);
    let event = match status >> 16 {
        0 if signal & 0x80 != 0 => Event::Call,
        0 => Event::Signal,
        libc::PTRACE_EVENT_SECCOMP => Event::Filtered,
        libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK | libc::PTRACE_EVENT_CLONE => {
            Event::Child
        }
        libc::PTRACE_EVENT_EXEC => Event::Exec,
        libc::PTRACE_EVENT_STOP => Event::Stop,
        _ => Event::Other,
    };
    Status::Stopped {
        signal: signal & 0x7f,
        event,
    }
}

/// Copies from the memory of a thread's process; says how many bytes there were.
///
/// # Errors
/// Nothing is mapped there, or the process is gone.
pub fn read_memory(tid: i32, address: u64, into: &mut [u8]) -> io::Result<usize> {
    let local = libc::iovec {
        iov_base: into.as_mut_ptr().cast(),
        iov_len: into.len(),
    };
    let remote = libc::iovec {
        iov_base: address as usize as *mut libc::c_void,
        iov_len: into.len(),
    };
    // SAFETY: the kernel writes at most the length of `into` to it, which is borrowed for as long; the other address is of
    // another process, and a wrong one is an error.
    let read = unsafe { libc::process_vm_readv(tid, &raw const local, 1, &raw const remote, 1, 0) };
    usize::try_from(read).map_err(|_| io::Error::last_os_error())
}

fn result(done: libc::c_long) -> io::Result<()> {
    if done == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
