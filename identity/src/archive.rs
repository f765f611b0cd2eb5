//! The ar archives of the Go toolchain: reading them strictly, and appending members as cmd/go does.

use std::io::{self, Read, Write};
use std::ops::Range;

/// What every archive begins with.
pub const MAGIC: &[u8; 8] = b"!<arch>\n";

/// Length of the header before each member.
const HEADER: usize = 60;

/// Length of the name in a member's header.
const NAME: usize = 16;

/// Why bytes are not an archive of the Go toolchain.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ParseError {
    /// The first eight bytes are others.
    #[error("not an ar archive: it does not begin with \"!<arch>\"")]
    Magic,
    /// A member's header is cut off, or has something else where its fields should be.
    #[error("bad ar archive: malformed member header at offset {offset}")]
    Header {
        /// Where the header begins, in bytes.
        offset: usize,
    },
    /// A member is longer than the rest of the file.
    #[error("bad ar archive: the member {name:?} at offset {offset} is cut off")]
    CutOff {
        /// Where its header begins, in bytes.
        offset: usize,
        /// The member's name.
        name: String,
    },
}

/// Why a member could not be appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Reading or writing failed.
    #[error("{action}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The content is longer or shorter than was said.
    #[error("it changed while it was read: it had {size} bytes, and {copied} were copied")]
    Size {
        /// What was said, bytes.
        size: u64,
        /// What came, bytes; not more than one more.
        copied: u64,
    },
}

/// One member of an archive, as ranges of the archive's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The name, without the spaces that fill its field.
    pub name: String,
    /// Header, content and padding: what a copy into another archive has to take.
    pub whole: Range<usize>,
    /// The content alone.
    pub content: Range<usize>,
}

/// The members of an archive, in order.
///
/// Strict: every byte of the file belongs to the magic text or to a member, numbers are numbers, and a member of odd
/// length is followed by one byte of padding, zero (as Go's tools write) or a newline (as other ar programs do).
pub fn members(archive: &[u8]) -> Result<Vec<Member>, ParseError> {
    if !archive.starts_with(MAGIC) {
        return Err(ParseError::Magic);
    }
    let mut members = Vec::new();
    let mut offset = MAGIC.len();
    while offset < archive.len() {
        let member = member_at(archive, offset)?;
        offset = member.whole.end;
        members.push(member);
    }
    Ok(members)
}

/// The member whose header begins at `offset`.
fn member_at(archive: &[u8], offset: usize) -> Result<Member, ParseError> {
    let bad = || ParseError::Header { offset };
    let header = archive.get(offset..offset + HEADER).ok_or_else(bad)?;
    if &header[58..] != b"`\n" {
        return Err(bad());
    }
    for (field, radix) in [(16..28, 10), (28..34, 10), (34..40, 10), (40..48, 8)] {
        number(&header[field], radix).ok_or_else(bad)?;
    }
    let name = std::str::from_utf8(&header[..NAME]).map_err(|_| bad())?;
    let name = name.trim_end_matches(' ').to_owned();
    let size = number(&header[48..58], 10).ok_or_else(bad)?;
    let start = offset + HEADER;
    let cut_off = || ParseError::CutOff {
        offset,
        name: name.clone(),
    };
    let content = usize::try_from(size)
        .ok()
        .and_then(|size| start.checked_add(size))
        .filter(|&end| end <= archive.len())
        .map(|end| start..end)
        .ok_or_else(cut_off)?;
    let end = match (content.len() % 2, archive.get(content.end)) {
        (0, _) => content.end,
        (_, Some(0 | b'\n')) => content.end + 1,
        (_, None) => return Err(cut_off()),
        _ => return Err(bad()),
    };
    Ok(Member {
        name,
        whole: offset..end,
        content,
    })
}

/// A number at the left of a field filled with spaces.
fn number(field: &[u8], radix: u32) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?.trim_end_matches(' ');
    // `from_str_radix` alone would take a leading plus.
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    u64::from_str_radix(text, radix).ok()
}

/// The header of a member: no owner, no time, mode 0644, the name cut to 16 bytes.
fn header(name: &[u8], size: u64) -> Vec<u8> {
    let mut header = Vec::with_capacity(HEADER);
    header.extend_from_slice(&name[..name.len().min(NAME)]);
    header.resize(NAME, b' ');
    header.extend_from_slice(
        format!("{:<12}{:<6}{:<6}{:<8o}{size:<10}`\n", 0, 0, 0, 0o644).as_bytes(),
    );
    header
}

/// Appends a member to an archive that is open at its end, byte for byte as cmd/go's own pack step does. `size` is the length of
/// the content, bytes.
///
/// The archive is not parsed. On an error it may hold a part of what was asked for and must be thrown away.
/// It must not share its inode with anything that has to stay as it is (a hard link into a store, say).
pub fn append_member(
    archive: &mut impl Write,
    name: &str,
    size: u64,
    content: &mut impl Read,
) -> Result<(), AppendError> {
    let failed = |action| move |source| AppendError::Io { action, source };
    archive
        .write_all(&header(name.as_bytes(), size))
        .map_err(failed("writing its header"))?;
    let mut content = content.take(size.saturating_add(1));
    let copied = io::copy(&mut content, archive).map_err(failed("copying it"))?;
    if copied != size {
        return Err(AppendError::Size { size, copied });
    }
    if size % 2 == 1 {
        archive
            .write_all(&[0])
            .map_err(failed("writing its padding"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn archive_of(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut archive = MAGIC.to_vec();
        for &(name, mut content) in files {
            append_member(&mut archive, name, content.len() as u64, &mut content).unwrap();
        }
        archive
    }

    #[test]
    fn members_are_written_as_cmd_go_packs_them() {
        let archive = archive_of(&[("odd.o", b"123"), ("a_rather_long_name.o", b"even")]);
        let expected = concat!(
            "!<arch>\n",
            "odd.o           0           0     0     644     3         `\n123\0",
            "a_rather_long_na0           0     0     644     4         `\neven",
        );
        assert_eq!(String::from_utf8(archive).unwrap(), expected);
    }

    #[test]
    fn members_are_found_again() {
        let archive = archive_of(&[("odd.o", b"123"), ("b", b""), ("c", b"even")]);
        let found = members(&archive).unwrap();
        let contents: Vec<(&str, &[u8])> = found
            .iter()
            .map(|member| (&*member.name, &archive[member.content.clone()]))
            .collect();
        assert_eq!(
            contents,
            [("odd.o", &b"123"[..]), ("b", b""), ("c", b"even")]
        );
        assert_eq!(found[0].whole, 8..8 + 60 + 4);
        assert_eq!(found[2].whole.end, archive.len());
    }

    #[test]
    fn what_is_no_archive_is_refused() {
        assert_eq!(members(b"!<thin>\n"), Err(ParseError::Magic));
        let archive = archive_of(&[("odd.o", b"123")]);
        let cut_off = Err(ParseError::CutOff {
            offset: 8,
            name: "odd.o".into(),
        });
        // Without its padding, without its last byte, with one byte too many, and with half a header.
        assert_eq!(members(&archive[..archive.len() - 1]), cut_off);
        assert_eq!(members(&archive[..archive.len() - 2]), cut_off);
        let offset = archive.len();
        let longer = [&archive[..], b"x"].concat();
        assert_eq!(members(&longer), Err(ParseError::Header { offset }));
        assert_eq!(
            members(&archive[..40]),
            Err(ParseError::Header { offset: 8 })
        );
        for (at, byte) in [
            (8 + 48, b'+'),
            (8 + 16, b'x'),
            (8 + 58, b'\''),
            (8 + 63, b'x'),
        ] {
            let mut bad = archive.clone();
            bad[at] = byte;
            assert_eq!(
                members(&bad),
                Err(ParseError::Header { offset: 8 }),
                "at {at}"
            );
        }
    }

    #[test]
    fn a_member_of_another_length_than_was_said_is_an_error() {
        for size in [2, 4] {
            let mut archive = MAGIC.to_vec();
            let error = append_member(&mut archive, "x.o", size, &mut &b"123"[..]).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("it changed while it was read: it had {size} bytes, and 3 were copied")
            );
        }
    }

    proptest! {
        /// Whatever stands in a file, its members are in order, in the file, and leave nothing over.
        #[test]
        fn members_cover_the_file_or_it_is_refused(at in 0usize..140, byte in any::<u8>()) {
            let mut archive = archive_of(&[("odd.o", b"123"), ("c", b"even")]);
            let at = at % archive.len();
            archive[at] = byte;
            if let Ok(members) = members(&archive) {
                let mut end = MAGIC.len();
                for member in members {
                    prop_assert_eq!(member.whole.start, end);
                    prop_assert!(member.content.end <= member.whole.end);
                    end = member.whole.end;
                }
                prop_assert_eq!(end, archive.len());
            }
        }
    }
}
