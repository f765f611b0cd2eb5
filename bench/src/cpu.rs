//! CPU time of processes, as Linux tells it.

use std::fs;

/// Ticks in a second of what `/proc` shows, on every architecture that Go runs on.
const TICKS: f64 = 100.0;

/// CPU seconds of a process and of everything below it, whether it has ended or not. `None`: it is gone, or this is another
/// system.
pub fn of(process: u32) -> Option<f64> {
    let all: Vec<Process> = fs::read_dir("/proc")
        .ok()?
        .filter_map(|entry| Process::read(entry.ok()?.file_name().to_str()?.parse().ok()?))
        .collect();
    all.iter().find(|other| other.id == process)?;
    Some(ticks_below(&all, process) as f64 / TICKS)
}

fn ticks_below(all: &[Process], id: u32) -> u64 {
    let own = all.iter().filter(|process| process.id == id);
    let below = all.iter().filter(|process| process.parent == id);
    own.map(|process| process.times.iter().sum::<u64>())
        .chain(below.map(|process| ticks_below(all, process.id)))
        .sum()
}

/// CPU seconds of all processes that this one has started and seen end.
pub fn of_children() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let [.., user, system] = Process::parse(0, &stat)?.times;
    Some((user + system) as f64 / TICKS)
}

/// A line of `/proc/*/stat`.
#[derive(Debug, PartialEq)]
struct Process {
    id: u32,
    parent: u32,
    /// User and system time of itself, then of those of its children that it has seen end, with theirs.
    times: [u64; 4],
}

impl Process {
    fn read(id: u32) -> Option<Process> {
        Process::parse(id, &fs::read_to_string(format!("/proc/{id}/stat")).ok()?)
    }

    fn parse(id: u32, stat: &str) -> Option<Process> {
        // The name in parentheses may hold anything. After it come the state, the parent and, as the 14th field of all, user
        // time.
        let (_, rest) = stat.rsplit_once(')')?;
        let mut fields = rest.split_ascii_whitespace().skip(1);
        let parent = fields.next()?.parse().ok()?;
        let mut times = fields.skip(9);
        let mut next = || times.next()?.parse().ok();
        Some(Process {
            id,
            parent,
            times: [next()?, next()?, next()?, next()?],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_is_passed_over() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 100 200 0 0 11 22 33 44 20 0 1 0 5";
        let process = Process {
            id: 7,
            parent: 1,
            times: [11, 22, 33, 44],
        };
        assert_eq!(Process::parse(7, stat), Some(process));
        assert_eq!(Process::parse(7, "7 (short) S 1"), None);
    }

    #[test]
    fn processes_that_still_run_count_with_those_they_have_seen_end() {
        let process = |id, parent, times| Process { id, parent, times };
        let all = [
            process(1, 0, [1000; 4]),
            process(2, 1, [1, 1, 0, 0]),
            process(3, 2, [2, 0, 10, 0]),
            process(4, 3, [0, 5, 0, 0]),
        ];
        assert_eq!(ticks_below(&all, 2), 19);
    }
}
