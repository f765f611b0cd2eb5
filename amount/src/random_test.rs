//! What is shown is read back, and what is written is read as arithmetic has it: on random amounts.

use std::time::Duration;

use proptest::prelude::*;

use crate::{Size, TimeSpan, parse_size, parse_time_span};

/// Numbers of all lengths alike.
fn any_length(bits: u32) -> impl Strategy<Value = u64> {
    (any::<u64>(), 0..bits).prop_map(move |(number, shift)| number >> (64 - bits + shift))
}

proptest! {
    #[test]
    fn a_size_that_is_shown_is_read_back(bytes in any_length(64)) {
        let shown = Size(bytes).to_string();
        let read = parse_size(&shown).unwrap();
        prop_assert_eq!(Size(read).to_string(), shown);
        // At least two digits are shown.
        prop_assert!(bytes.abs_diff(read) <= bytes / 19);
    }

    #[test]
    fn a_time_span_that_is_shown_is_read_back(ms in any_length(43)) {
        let span = Duration::from_millis(ms);
        let shown = TimeSpan(span).to_string();
        let read = parse_time_span(&shown).unwrap();
        prop_assert_eq!(TimeSpan(read).to_string(), shown);
        let left_out = match span.as_secs() {
            0..10 => 10,
            10..60 => 100,
            60..3600 => 1_000,
            _ => 60_000,
        };
        prop_assert!(read <= span && span - read < Duration::from_millis(left_out));
    }

    #[test]
    fn a_size_is_its_number_times_its_unit(whole in 0u64..1000, tenth in 0u64..10, unit in 0usize..12, gap in " ?") {
        let (unit, scale) = [
            ("KiB", 1u64 << 10), ("mib", 1 << 20), ("GiB", 1 << 30), ("tib", 1 << 40), ("PiB", 1 << 50), ("B", 1),
            ("kB", 1_000), ("MB", 1_000_000), ("gb", 1_000_000_000), ("TB", 1_000_000_000_000), ("PB", 1_000_000_000_000_000),
            ("b", 1),
        ][unit];
        let read = parse_size(&format!("{whole}.{tenth}{gap}{unit}"));
        prop_assert_eq!(read, Ok(whole * scale + tenth * scale / 10));
    }

    #[test]
    fn a_time_span_is_the_sum_of_its_parts(d in 0u64..1000, h in 0u64..100, m in 0u64..100, s in 0u64..100, ms in 0u64..5000) {
        let seconds = ((d * 24 + h) * 60 + m) * 60 + s;
        let read = parse_time_span(&format!("{d}d{h}h{m}m{s}s{ms}ms"));
        prop_assert_eq!(read, Ok(Duration::from_secs(seconds) + Duration::from_millis(ms)));
    }
}
