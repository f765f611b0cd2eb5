//! How the tools of Go use the memory that there is.
//!
//! Compilers and linkers are short-lived Go programs, and their garbage collector is set for long-lived ones: it starts
//! early and takes a sixth of a cold build's CPU time. Where a slot has memory to spare they may let more garbage lie.
//! What they write does not depend on it, so it is in no key. Measured on a cold build of cmd/gofmt with two slots:
//! GOGC=400 takes 0.80 of the time of GOGC=100, and 1.2 times the memory.

const GIB: u64 = 1 << 30;

/// Variables for every tool of a worker that gives its slots this much memory together.
///
/// `GOMEMLIMIT` brings the collector back to work before a slot's share is used up: it is a goal of the collector, not a
/// limit at which a tool would fail.
pub fn go_tools(memory: u64, slots: usize) -> Vec<(String, String)> {
    let share = memory / slots.max(1) as u64;
    let percent = match share {
        share if share >= 3 * GIB / 2 => "400",
        share if share >= 3 * GIB / 4 => "200",
        _ => return Vec::new(),
    };
    vec![
        ("GOGC".to_owned(), percent.to_owned()),
        ("GOMEMLIMIT".to_owned(), share.to_string()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_collect_less_where_memory_is_plenty() {
        let percent = |memory, slots| {
            go_tools(memory, slots)
                .first()
                .map(|(_, percent)| percent.clone())
        };
        assert_eq!(percent(16 * GIB, 8).as_deref(), Some("400"));
        assert_eq!(percent(8 * GIB, 8).as_deref(), Some("200"));
        assert_eq!(percent(4 * GIB, 8), None);
        assert_eq!(go_tools(4 * GIB, 2)[1].1, (2 * GIB).to_string());
    }
}
