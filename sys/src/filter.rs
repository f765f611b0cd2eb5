//! Which system calls stop a process for its observer.

/// Said with a call of another architecture's table (32-bit code on a 64-bit system): its number means something else there.
pub const FOREIGN_CALL: u32 = 1;

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e; // AUDIT_ARCH_X86_64
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7; // AUDIT_ARCH_AARCH64

/// Calls with this bit are of the x32 table.
#[cfg(target_arch = "x86_64")]
const X32_BIT: u32 = 0x4000_0000;

/// A seccomp filter. All calls but those that it names run at full speed.
#[derive(Debug, Clone)]
pub struct Filter {
    pub(crate) program: Vec<libc::sock_filter>,
}

impl Filter {
    /// `observed` stop the process for its observer, `refused` fail as if the system did not know them.
    pub fn new(observed: &[i64], refused: &[i64]) -> Filter {
        const NUMBER: u32 = 0; // offsetof(struct seccomp_data, nr)
        const ARCH: u32 = 4; // offsetof(struct seccomp_data, arch)
        let load = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
        let equal = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
        let end = (libc::BPF_RET | libc::BPF_K) as u16;
        let line = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
        let mut program = vec![
            line(load, 0, 0, ARCH),
            line(equal, 1, 0, ARCHITECTURE),
            line(end, 0, 0, libc::SECCOMP_RET_TRACE | FOREIGN_CALL),
            line(load, 0, 0, NUMBER),
        ];
        #[cfg(target_arch = "x86_64")]
        {
            let set = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
            program.push(line(set, 0, 1, X32_BIT));
            program.push(line(end, 0, 0, libc::SECCOMP_RET_TRACE | FOREIGN_CALL));
        }
        let refuse = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
        let answers = observed
            .iter()
            .map(|number| (*number, libc::SECCOMP_RET_TRACE))
            .chain(refused.iter().map(|number| (*number, refuse)));
        for (number, answer) in answers {
            program.push(line(equal, 0, 1, number as u32));
            program.push(line(end, 0, 0, answer));
        }
        program.push(line(end, 0, 0, libc::SECCOMP_RET_ALLOW));
        Filter { program }
    }
}
