//! The linker flags that cgo records in a package's object code.
//!
//! cgo writes each flag as `//go:cgo_ldflag "..."` (cmd/cgo/out.go), the compiler keeps the text between the quotes and
//! writes all such directives as JSON before the object code (cmd/compile/internal/gc/obj.go). Nothing else of the
//! package depends on them, and the linker takes them for the C linker only.

use crate::archive::{self, MAGIC};
use crate::package::PackageError;
use crate::quoted::quoted;

/// What stands before the directives.
const SECTION: &[u8] = b"\n$$  // cgo\n";

/// Length of the header of an archive's member, and where in it the length of the member stands.
const HEADER: usize = 60;
const SIZE: std::ops::Range<usize> = 48..58;

/// The object file of a package (`-linkobj`, with the members that the pack step appended) as it would be if cgo had been
/// given the linker flags `to` instead of `from`.
///
/// # Errors
/// It is no such file, or does not record the flags `from`, one behind the other.
pub fn restore_cgo_flags(
    object: &[u8],
    from: &[String],
    to: &[String],
) -> Result<Vec<u8>, PackageError> {
    let members = archive::members(object).map_err(PackageError::Object)?;
    let unknown = || PackageError::NoFlags(from.join(" "));
    let member = members.first().ok_or_else(unknown)?;
    let content = &object[member.content.clone()];
    let begin = memchr::memmem::find(content, SECTION).ok_or_else(unknown)? + SECTION.len();
    let length = memchr::memchr(b'\n', &content[begin..]).ok_or_else(unknown)?;
    let directives = &content[begin..begin + length];
    let (old, new) = (recorded(from), recorded(to));
    let at = memchr::memmem::find(directives, old.as_bytes()).ok_or_else(unknown)?;
    let content = [
        &content[..begin + at],
        new.as_bytes(),
        &content[begin + at + old.len()..],
    ]
    .concat();

    let mut header = object[member.whole.start..member.whole.start + HEADER].to_vec();
    header[SIZE].copy_from_slice(format!("{:<10}", content.len()).as_bytes());
    let padding: &[u8] = if content.len() % 2 == 1 { &[0] } else { &[] };
    Ok([
        &MAGIC[..],
        &header,
        &content,
        padding,
        &object[member.whole.end..],
    ]
    .concat())
}

/// Directives as the compiler writes them.
fn recorded(flags: &[String]) -> String {
    let flags = flags
        .iter()
        .map(|flag| format!("[\"cgo_ldflag\",\"{}\"]", json(&quoted(flag))));
    flags.collect::<Vec<_>>().join(",")
}

/// The text between the quotes of a JSON string as encoding/json writes it.
fn json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.push_str(&format!("\\u{:04x}", c as u32));
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(directives: &str, rest: &[u8]) -> Vec<u8> {
        let content =
            format!("go object linux amd64\n\n$$\n\n$$\n\n$$  // cgo\n{directives}\n$$\n\n!\n");
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(
            format!(
                "{:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n",
                "_go_.o",
                0,
                0,
                0,
                644,
                content.len()
            )
            .as_bytes(),
        );
        out.extend_from_slice(content.as_bytes());
        if content.len() % 2 == 1 {
            out.push(0);
        }
        out.extend_from_slice(rest);
        out
    }

    #[test]
    fn flags_of_another_length_are_put_in_their_place_and_nothing_else_changes() {
        let text = |flags: &str| {
            format!(r#"[["cgo_import_static","x"],{flags},["cgo_import_dynamic","y"]]"#)
        };
        let words = |flags: &[&str]| {
            flags
                .iter()
                .map(|flag| flag.to_string())
                .collect::<Vec<_>>()
        };
        let one = object(
            &text(r#"["cgo_ldflag","-L../main/a"],["cgo_ldflag","-lx"]"#),
            b"",
        );
        let other = object(
            &text(r#"["cgo_ldflag","-L/a \u0026 \\\"b"],["cgo_ldflag","-lx"]"#),
            b"",
        );
        let (short, long) = (
            words(&["-L../main/a", "-lx"]),
            words(&["-L/a & \"b", "-lx"]),
        );
        assert_eq!(restore_cgo_flags(&one, &short, &long).unwrap(), other);
        assert_eq!(restore_cgo_flags(&other, &long, &short).unwrap(), one);
        assert!(restore_cgo_flags(&one, &long, &short).is_err());
    }
}
