//! Go's quoted strings.

/// The text between the quotes of what `strconv.Quote` and `%q` write (GOROOT/src/strconv/quote.go), for the characters that occur in
/// flags and paths: what can be printed stays as it is.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0b' => out.push_str("\\v"),
            '\x0c' => out.push_str("\\f"),
            c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", c as u32)),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn it_is_what_go_writes() {
        assert_eq!(
            quoted("-I\"/a b\\c\"\t\u{1}\u{b}\u{7f}é"),
            r#"-I\"/a b\\c\"\t\x01\v\x7fé"#
        );
    }
}
