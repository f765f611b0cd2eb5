//! Go's quoted strings, as `%q` and `strconv.Quote` write them (GOROOT/src/strconv/quote.go).

/// Reads one double-quoted Go string at the start of `text`.
///
/// Returns its bytes and how much of `text` it took, quotes included; `None` when there is no complete
/// quoted string. Bytes, because hash inputs need not be UTF-8.
pub(crate) fn unquote_prefix(text: &str) -> Option<(Vec<u8>, usize)> {
    let rest = text.strip_prefix('"')?;
    let mut out = Vec::with_capacity(rest.len());
    let mut chars = rest.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((out, at + 2)),
            '\\' => {
                let (at, c) = chars.next()?;
                let simple = match c {
                    'a' => Some(0x07),
                    'b' => Some(0x08),
                    'f' => Some(0x0c),
                    'n' => Some(b'\n'),
                    'r' => Some(b'\r'),
                    't' => Some(b'\t'),
                    'v' => Some(0x0b),
                    '\\' | '"' | '\'' => Some(c as u8),
                    _ => None,
                };
                if let Some(byte) = simple {
                    out.push(byte);
                    continue;
                }
                let digits = match c {
                    'x' => 2,
                    'u' => 4,
                    'U' => 8,
                    _ => return None,
                };
                let value = u32::from_str_radix(rest.get(at + 1..at + 1 + digits)?, 16).ok()?;
                for _ in 0..digits {
                    chars.next()?;
                }
                if c == 'x' {
                    out.push(u8::try_from(value).ok()?);
                } else {
                    let c = char::from_u32(value)?;
                    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                }
            }
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    None
}

/// The bytes of a text that is exactly one quoted string.
pub(crate) fn unquote(text: &str) -> Option<Vec<u8>> {
    let (bytes, len) = unquote_prefix(text)?;
    (len == text.len()).then_some(bytes)
}

/// Writes a string as `strconv.Quote` does.
pub(crate) fn quote(text: &str) -> String {
    format!("\"{}\"", gofarm_identity::quoted(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_escape_of_strconv_quote_is_read() {
        assert_eq!(
            unquote(r#""a\"b\\c\n\t\x00\xff\u00e9\U0001F600é""#).unwrap(),
            b"a\"b\\c\n\t\x00\xff\xc3\xa9\xf0\x9f\x98\x80\xc3\xa9"
        );
    }

    #[test]
    fn text_after_the_closing_quote_is_not_part_of_it() {
        assert_eq!(unquote_prefix(r#""a" b"#), Some((b"a".to_vec(), 3)));
        assert_eq!(unquote(r#""a" b"#), None);
    }

    #[test]
    fn an_unfinished_or_unknown_escape_is_refused() {
        for text in [r#""abc"#, r#""\q""#, r#""\x1""#, "abc"] {
            assert_eq!(unquote(text), None, "{text}");
        }
    }

    #[test]
    fn quote_and_unquote_are_inverse() {
        let text = "-I\"/a b\\c\"\t\u{1}é";
        assert_eq!(unquote(&quote(text)).unwrap(), text.as_bytes());
    }
}
