//! Text of others, made safe for a terminal and for a log that is read by line.
//!
//! What tools print, what a farm answers, names of packages, files, workers and users: all of it may have been written by
//! somebody who means harm. A terminal obeys control characters: they move the cursor, overwrite what was said before, set
//! the title, answer as if somebody had typed. So everything that is printed passes through here, and what a terminal
//! would obey is written out instead: `\x1b`. Ordinary text stays as it is, byte for byte.
//!
//! # What stays and what does not
//!
//! - Line feeds and tabs stay, and a carriage return right before a line feed. Any other carriage return would overwrite
//!   its line.
//! - The other control characters of ASCII and DEL are written out as `\x1b`, those of Latin 1 (U+0080 to U+009F: U+009B begins a
//!   sequence as ESC [ does) as `\u009b`.
//! - So are marks that make text read in another order than it has: U+202A to U+202E and U+2066 to U+2069.
//! - Bytes that are no UTF-8 stay, but for 0x80 to 0x9F: terminals that are not in UTF-8 mode obey those.

use std::borrow::Cow;

/// Text that does nothing but show itself. See [the crate](crate).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Printable<'a>(Cow<'a, [u8]>);

impl<'a> Printable<'a> {
    /// Makes text printable. It may have several lines.
    pub fn new(text: &'a (impl AsRef<[u8]> + ?Sized)) -> Printable<'a> {
        Printable(printable(text.as_ref(), Lines::Many))
    }

    /// As [`new`](Self::new), for what has to stay on one line: line feeds are written out as well, but for one at the end.
    pub fn line(text: &'a (impl AsRef<[u8]> + ?Sized)) -> Printable<'a> {
        Printable(printable(text.as_ref(), Lines::One))
    }

    /// The bytes to be written.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Of text that was a string before.
impl std::fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

/// JSON with what a terminal would obey written as JSON's own escapes. It means what it did before: outside of strings JSON has
/// none of these characters.
pub fn printable_json(json: &str) -> Cow<'_, str> {
    if !json.chars().any(|c| is_obeyed(c) && c != '\r') {
        return Cow::Borrowed(json);
    }
    let mut safe = String::with_capacity(json.len() + 64);
    for c in json.chars() {
        match is_obeyed(c) && c != '\r' {
            true => safe.push_str(&format!("\\u{:04x}", u32::from(c))),
            false => safe.push(c),
        }
    }
    Cow::Owned(safe)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Lines {
    Many,
    One,
}

fn printable(text: &[u8], lines: Lines) -> Cow<'_, [u8]> {
    if lines == Lines::Many && is_harmless(text) {
        return Cow::Borrowed(text);
    }
    let (body, end) = match (lines, text) {
        (Lines::One, [body @ .., b'\n']) => (body, &b"\n"[..]),
        _ => (text, &b""[..]),
    };
    let mut safe = Vec::with_capacity(text.len() + 64);
    for chunk in body.utf8_chunks() {
        let mut chars = chunk.valid().chars().peekable();
        while let Some(c) = chars.next() {
            let stays = match c {
                '\n' => lines == Lines::Many,
                '\r' => lines == Lines::Many && chars.peek() == Some(&'\n'),
                c => !is_obeyed(c),
            };
            match (stays, u32::from(c)) {
                (true, _) => safe.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                (false, 0x0a) => safe.extend_from_slice(b"\\n"),
                (false, 0x0d) => safe.extend_from_slice(b"\\r"),
                (false, code @ ..0x80) => {
                    safe.extend_from_slice(format!("\\x{code:02x}").as_bytes())
                }
                (false, code) => safe.extend_from_slice(format!("\\u{code:04x}").as_bytes()),
            }
        }
        for &byte in chunk.invalid() {
            match byte {
                0x80..=0x9f => safe.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
                byte => safe.push(byte),
            }
        }
    }
    safe.extend_from_slice(end);
    Cow::Owned(safe)
}

/// Most text is ASCII with line feeds and tabs, and megabytes of it may come at once.
fn is_harmless(text: &[u8]) -> bool {
    text.iter()
        .all(|&byte| matches!(byte, b'\n' | b'\t' | b' '..=b'~'))
}

/// What a terminal does something about, but for line feeds and tabs.
fn is_obeyed(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        c => c.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn many(text: &[u8]) -> Vec<u8> {
        Printable::new(text).as_bytes().to_vec()
    }

    #[test]
    fn ordinary_text_stays_as_it_is() {
        for text in [
            "",
            "# example.com/m\n./x.go:3:2: undefined: x\n",
            "wörter, 日本語, ‘quotes’, 👍🏽\n\ttab\n",
            "of Windows\r\n",
        ] {
            assert_eq!(many(text.as_bytes()), text.as_bytes());
        }
        assert_eq!(many(b"latin \xe9 1\n"), b"latin \xe9 1\n");
    }

    #[test]
    fn what_a_terminal_would_obey_is_written_out() {
        for (text, shown) in [
            (&b"\x1b]0;title\x07"[..], &br"\x1b]0;title\x07"[..]),
            (b"\x1b[2J\x1b[1;1H", br"\x1b[2J\x1b[1;1H"),
            (b"all is well\rnothing is", br"all is well\rnothing is"),
            (b"\x08\x7f\x00", br"\x08\x7f\x00"),
            ("\u{9b}31m".as_bytes(), br"\u009b31m"),
            (b"\x9b31m\xc2", b"\\x9b31m\xc2"),
            ("a\u{202e}b\u{2066}".as_bytes(), br"a\u202eb\u2066"),
        ] {
            assert_eq!(
                String::from_utf8_lossy(&many(text)),
                String::from_utf8_lossy(shown)
            );
        }
    }

    #[test]
    fn no_byte_sequence_leaves_anything_to_obey() {
        // All pairs of bytes, with something around them.
        for first in 0..=255u8 {
            for second in 0..=255u8 {
                let safe = many(&[b'a', first, second, b'z']);
                let text = String::from_utf8_lossy(&safe);
                let obeyed = |c: char| is_obeyed(c) && c != '\r';
                assert!(!text.chars().any(obeyed), "{first:x} {second:x}");
                for chunk in safe.utf8_chunks() {
                    let raw = chunk.invalid().iter();
                    assert!(raw.clone().all(|byte| !(0x80..0xa0).contains(byte)));
                }
            }
        }
    }

    #[test]
    fn a_line_stays_one() {
        let line = Printable::line("said\n2026 ERROR forged\r\n\n");
        assert_eq!(line.to_string(), "said\\n2026 ERROR forged\\r\\n\n");
    }

    #[test]
    fn json_means_what_it_did() {
        let json = "{\"a\": \"\u{9b}31m \u{202e}\u{7f}\"}\n";
        let safe = printable_json(json);
        assert_eq!(safe, "{\"a\": \"\\u009b31m \\u202e\\u007f\"}\n");
        assert_eq!(printable_json("{\"a\": \"ö\"}"), "{\"a\": \"ö\"}");
    }
}
