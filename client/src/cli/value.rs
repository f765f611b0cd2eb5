//! The values of flags: what is accepted, in Go's spelling, and in which words the rest is refused.

use super::quoted;

/// How the value of a flag is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueKind {
    /// `-flag`, or `-flag=` and a word that strconv.ParseBool takes; never a separate word.
    Bool,
    /// -buildvcs: as `Bool`, and `auto`.
    BoolOrAuto,
    /// Any text.
    Text,
    /// As strconv.ParseInt takes it with base 0.
    Int,
    /// Arguments of a tool, with an optional `pattern=` before them (cmd/go/internal/load/flag.go).
    PerPackage,
    /// One of these words. Empty means: as if not given.
    OneOf(&'static [&'static str]),
    /// -compiler.
    Compiler,
    /// -covermode.
    CoverMode,
    /// -C, which is handled before flags are: wherever it is met as a flag, it stands at the wrong place.
    NotHere,
}

impl ValueKind {
    /// The flag may stand without a value and never takes the next word.
    pub fn is_bool(self) -> bool {
        matches!(self, ValueKind::Bool | ValueKind::BoolOrAuto)
    }

    /// The value in its canonical spelling.
    ///
    /// # Errors
    /// The end of the message: what is wrong with the value.
    pub fn check(self, value: &str) -> Result<String, String> {
        match self {
            ValueKind::Bool => parse_bool(value).map(|on| on.to_string()),
            ValueKind::BoolOrAuto if matches!(value, "" | "auto") => Ok("auto".to_owned()),
            ValueKind::BoolOrAuto => match parse_bool(value) {
                Ok(on) => Ok(on.to_string()),
                Err(_) => Err("value is neither 'auto' nor a valid bool".to_owned()),
            },
            ValueKind::Text => Ok(value.to_owned()),
            ValueKind::Int => parse_int(value).map(|number| number.to_string()),
            ValueKind::PerPackage => check_per_package(value).map(|()| value.to_owned()),
            ValueKind::OneOf(words) if value.is_empty() || words.contains(&value) => {
                Ok(value.to_owned())
            }
            ValueKind::OneOf(words) => Err(format!("valid values are {}", words.join(", "))),
            ValueKind::Compiler if matches!(value, "gc" | "gccgo") => Ok(value.to_owned()),
            ValueKind::Compiler => Err(format!("unknown compiler {value:?}")),
            ValueKind::CoverMode if matches!(value, "" | "set" | "count" | "atomic") => {
                Ok(value.to_owned())
            }
            ValueKind::CoverMode => {
                Err(r#"valid modes are "set", "count", or "atomic""#.to_owned())
            }
            ValueKind::NotHere => Err("-C flag must be first flag on command line".to_owned()),
        }
    }
}

/// strconv.ParseBool.
pub(super) fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("parse error".to_owned()),
    }
}

/// strconv.ParseInt(text, 0, 64), but for underscores, which no one writes into a flag.
pub(super) fn parse_int(text: &str) -> Result<i64, String> {
    let (sign, digits) = match text.as_bytes().first() {
        Some(b'-') => ("-", &text[1..]),
        Some(b'+') => ("", &text[1..]),
        _ => ("", text),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = if let Some(hex) = lower.strip_prefix("0x") {
        (16, hex)
    } else if let Some(octal) = lower.strip_prefix("0o") {
        (8, octal)
    } else if let Some(binary) = lower.strip_prefix("0b") {
        (2, binary)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (8, &lower[1..])
    } else {
        (10, lower.as_str())
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err("parse error".to_owned());
    }
    i64::from_str_radix(&format!("{sign}{digits}"), radix)
        .map_err(|_| "value out of range".to_owned())
}

/// PerPackageFlag.Set.
fn check_per_package(value: &str) -> Result<(), String> {
    let value = value.trim();
    let mut arguments = value;
    if !value.is_empty() && !value.starts_with('-') {
        match value.find('=') {
            None => return Err("missing =<value> in <pattern>=<value>".to_owned()),
            Some(0) => return Err("missing <pattern> in <pattern>=<value>".to_owned()),
            Some(at) => arguments = &value[at + 1..],
        }
        if value.starts_with(['\'', '"']) {
            let quote = &value[..1];
            return Err(format!(
                "parameter may not start with quote character {quote}"
            ));
        }
    }
    quoted::split(arguments).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_those_of_go() {
        for (text, number) in [
            ("4", Ok(4)),
            ("0x10", Ok(16)),
            ("010", Ok(8)),
            ("-1", Ok(-1)),
            ("+3", Ok(3)),
        ] {
            assert_eq!(parse_int(text), number, "{text}");
        }
        for text in ["", "x", "4.5", "--1", "0x", "0x-1", "1e3"] {
            assert_eq!(parse_int(text).unwrap_err(), "parse error", "{text}");
        }
        assert_eq!(
            parse_int("99999999999999999999").unwrap_err(),
            "value out of range"
        );
    }

    #[test]
    fn per_package_arguments_are_read_as_cmd_go_reads_them() {
        for value in [
            "",
            "-N -l",
            "all=-N -l",
            "./...=-S",
            "-ldflags='a b'",
            "all=",
        ] {
            assert_eq!(ValueKind::PerPackage.check(value).as_deref(), Ok(value));
        }
        for (value, message) in [
            ("x", "missing =<value> in <pattern>=<value>"),
            ("=-N", "missing <pattern> in <pattern>=<value>"),
            ("'all=-N'", "parameter may not start with quote character '"),
            ("all='-N", "unterminated ' string"),
        ] {
            assert_eq!(ValueKind::PerPackage.check(value).unwrap_err(), message);
        }
    }
}
