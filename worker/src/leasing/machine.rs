//! The CPUs and the memory that this process is really granted, which in a container is not what the machine has.

use std::fs;
use std::path::{Path, PathBuf};

/// What this process may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    /// CPUs: those that the scheduler may put it on, and no more than the control group's quota, rounded up. At least 1.
    pub cpus: usize,
    /// Memory that it may ever hold, bytes: the machine's, or the lowest limit of its control groups.
    pub memory: u64,
    /// What of `memory` is free or can be freed at the moment, bytes.
    pub memory_available: u64,
}

/// Asks the kernel.
pub fn machine() -> Machine {
    let groups = ControlGroups::of_this_process(Path::new("/"));
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    granted(affinity(), &meminfo, &groups)
}

fn granted(affinity: usize, meminfo: &str, groups: &ControlGroups) -> Machine {
    let cpus = match groups.cpu_quota() {
        Some(quota) => affinity.min(quota.ceil() as usize),
        None => affinity,
    };
    let total = meminfo_bytes(meminfo, "MemTotal:").unwrap_or(u64::MAX);
    // Kernels before 3.14 do not estimate it.
    let available = meminfo_bytes(meminfo, "MemAvailable:")
        .or_else(|| meminfo_bytes(meminfo, "MemFree:"))
        .unwrap_or(total);
    let (memory, room) = match groups.memory() {
        Some((limit, used)) => (total.min(limit), limit.saturating_sub(used)),
        None => (total, total),
    };
    Machine {
        cpus: cpus.max(1),
        memory,
        memory_available: available.min(room),
    }
}

/// How many CPUs the scheduler may put this process on.
fn affinity() -> usize {
    let set = nix::sched::sched_getaffinity(nix::unistd::Pid::from_raw(0));
    match set {
        Ok(set) => (0..nix::sched::CpuSet::count())
            .filter(|&cpu| set.is_set(cpu).unwrap_or(false))
            .count(),
        // More CPUs than the set can hold.
        Err(_) => std::thread::available_parallelism().map_or(1, usize::from),
    }
}

fn meminfo_bytes(meminfo: &str, name: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// The folders of the control groups that this process is in, from its own up to the topmost that it can see.
#[derive(Debug, Default)]
struct ControlGroups {
    unified: Vec<PathBuf>,
    cpu: Vec<PathBuf>,
    memory: Vec<PathBuf>,
}

impl ControlGroups {
    /// `root` is `/`; another folder in tests.
    fn of_this_process(root: &Path) -> ControlGroups {
        let mounts = fs::read_to_string(root.join("proc/self/mountinfo")).unwrap_or_default();
        let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
        let mut found = ControlGroups::default();
        // `9:cpu,cpuacct:/a/b`, or `0::/a/b` for version 2.
        for line in groups.lines() {
            let mut fields = line.splitn(3, ':');
            let (Some(_), Some(controllers), Some(path)) =
                (fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            let has = |name| controllers.split(',').any(|controller| controller == name);
            let folders = |controller| folders(root, &mounts, controller, path);
            if controllers.is_empty() {
                found.unified = folders(None);
            }
            if has("cpu") {
                found.cpu = folders(Some("cpu"));
            }
            if has("memory") {
                found.memory = folders(Some("memory"));
            }
        }
        found
    }

    /// CPUs' worth of time that the tightest group allows.
    fn cpu_quota(&self) -> Option<f64> {
        let number = |text: &str| text.trim().parse::<f64>().ok();
        let unified = self.unified.iter().filter_map(|folder| {
            let text = fs::read_to_string(folder.join("cpu.max")).ok()?;
            let (quota, period) = text.split_once(' ')?;
            Some(number(quota)? / number(period)?)
        });
        let old = self.cpu.iter().filter_map(|folder| {
            let read = |name: &str| number(&fs::read_to_string(folder.join(name)).ok()?);
            // -1: none.
            let quota = read("cpu.cfs_quota_us").filter(|&quota| quota > 0.0)?;
            Some(quota / read("cpu.cfs_period_us")?)
        });
        unified.chain(old).min_by(f64::total_cmp)
    }

    /// Limit and use of the group that leaves the least room, bytes.
    fn memory(&self) -> Option<(u64, u64)> {
        let read = |folder: &Path, limit: &str, used: &str, reclaimable: &str| {
            let number = |name: &str| {
                fs::read_to_string(folder.join(name))
                    .ok()?
                    .trim()
                    .parse::<u64>()
                    .ok()
            };
            let stat = fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
            // The page cache counts as use and goes when it has to.
            let cache = stat
                .lines()
                .find_map(|line| line.strip_prefix(reclaimable)?.trim().parse::<u64>().ok());
            let used = number(used).unwrap_or(0).saturating_sub(cache.unwrap_or(0));
            Some((number(limit)?, used))
        };
        let unified = self
            .unified
            .iter()
            .filter_map(|folder| read(folder, "memory.max", "memory.current", "inactive_file "));
        let old = self.memory.iter().filter_map(|folder| {
            let (limit, used) = ("memory.limit_in_bytes", "memory.usage_in_bytes");
            read(folder, limit, used, "total_inactive_file ")
        });
        unified
            .chain(old)
            .min_by_key(|(limit, used)| limit.saturating_sub(*used))
    }
}

/// The folders of one hierarchy: `controller` names that of version 1; `None` is version 2.
fn folders(root: &Path, mounts: &str, controller: Option<&str>, path: &str) -> Vec<PathBuf> {
    let mount = mounts.lines().find_map(|line| {
        // `36 35 98:0 /root /mount/point options - fstype source superoptions`
        let (left, right) = line.split_once(" - ")?;
        let mut left = left.split(' ').skip(3);
        let (mounted, point) = (left.next()?, left.next()?);
        let mut right = right.split(' ');
        let (fstype, options) = (right.next()?, right.nth(1).unwrap_or(""));
        let wanted = match controller {
            None => fstype == "cgroup2",
            Some(name) => fstype == "cgroup" && options.split(',').any(|option| option == name),
        };
        wanted.then_some((mounted, point))
    });
    let Some((mounted, point)) = mount else {
        return Vec::new();
    };
    let point = root.join(point.trim_start_matches('/'));
    // In a container the mount may begin below the group's own path, or the path be seen from the container's root.
    let below = path
        .strip_prefix(mounted)
        .filter(|_| mounted != "/")
        .unwrap_or(path);
    let below = Path::new(below.trim_start_matches('/'));
    below.ancestors().map(|group| point.join(group)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMINFO: &str =
        "MemTotal:       8388608 kB\nMemFree:        1048576 kB\nMemAvailable:   4194304 kB\n";
    const GIB: u64 = 1 << 30;

    fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn version_2_the_tightest_group_counts() {
        let root = root(&[
            (
                "proc/self/mountinfo",
                "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n",
            ),
            ("proc/self/cgroup", "0::/a/b\n"),
            ("sys/fs/cgroup/a/cpu.max", "250000 100000\n"),
            ("sys/fs/cgroup/a/b/cpu.max", "max 100000\n"),
            ("sys/fs/cgroup/a/b/memory.max", "2147483648\n"),
            ("sys/fs/cgroup/a/b/memory.current", "1610612736\n"),
            (
                "sys/fs/cgroup/a/b/memory.stat",
                "anon 5\ninactive_file 536870912\n",
            ),
        ]);
        let machine = granted(8, MEMINFO, &ControlGroups::of_this_process(root.path()));
        assert_eq!(
            machine,
            Machine {
                cpus: 3,
                memory: 2 * GIB,
                memory_available: GIB
            }
        );
    }

    #[test]
    fn version_1_in_a_container() {
        let root = root(&[
            (
                "proc/self/mountinfo",
                "40 30 0:30 /docker/x /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n\
                 41 30 0:31 /docker/x /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
            ),
            (
                "proc/self/cgroup",
                "9:cpu,cpuacct:/docker/x\n8:memory:/docker/x\n",
            ),
            ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "150000\n"),
            ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "1073741824\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "0\n"),
        ]);
        let machine = granted(8, MEMINFO, &ControlGroups::of_this_process(root.path()));
        assert_eq!(
            machine,
            Machine {
                cpus: 2,
                memory: GIB,
                memory_available: GIB
            }
        );
    }

    #[test]
    fn without_limits_it_is_the_machine() {
        let root = root(&[("proc/self/cgroup", "0::/\n")]);
        let machine = granted(8, MEMINFO, &ControlGroups::of_this_process(root.path()));
        assert_eq!(
            machine,
            Machine {
                cpus: 8,
                memory: 8 * GIB,
                memory_available: 4 * GIB
            }
        );
    }

    #[test]
    fn this_machine_has_something() {
        let machine = machine();
        assert!(machine.cpus >= 1 && machine.memory_available > 0);
        assert!(machine.memory >= machine.memory_available, "{machine:?}");
    }
}
