//! The ar archives of the Go toolchain: reading them strictly, and appending members as cmd/go does.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

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

/// Why members could not be appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Opening, reading or writing failed.
    #[error("appending to the archive {}: {action} {} failed: {source}", archive.display(), path.display())]
    Io {
        /// The archive.
        archive: PathBuf,
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A member has no file name, or is another length than the system said when it was opened.
    #[error("appending to the archive {}: {} {problem}", archive.display(), path.display())]
    Member {
        /// The archive.
        archive: PathBuf,
        /// The member's file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
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

/// Appends files to an archive in place, byte for byte as cmd/go's own pack step does.
///
/// The archive must exist; it is not parsed. On an error it may hold a part of what was asked for and must be thrown away.
/// It must not share its inode with anything that has to stay as it is (a hard link into a store, say).
pub fn append_members<P: AsRef<Path>>(archive: &Path, members: &[P]) -> Result<(), AppendError> {
    let io_error = |action, path: &Path| {
        let path = path.to_path_buf();
        let archive = archive.to_path_buf();
        move |source| AppendError::Io {
            archive,
            action,
            path,
            source,
        }
    };
    let mut out = OpenOptions::new()
        .append(true)
        .open(archive)
        .map_err(io_error("opening", archive))?;
    for path in members {
        let path = path.as_ref();
        let bad_member = |problem: String| AppendError::Member {
            archive: archive.to_path_buf(),
            path: path.to_path_buf(),
            problem,
        };
        let name = path
            .file_name()
            .ok_or_else(|| bad_member("has no file name".to_owned()))?;
        let mut source = File::open(path).map_err(io_error("opening", path))?;
        let size = source
            .metadata()
            .map_err(io_error("reading the size of", path))?
            .len();
        out.write_all(&header(name.as_encoded_bytes(), size))
            .map_err(io_error("writing the header of", path))?;
        let copied = io::copy(&mut source, &mut out).map_err(io_error("copying", path))?;
        if copied != size {
            return Err(bad_member(format!(
                "changed while it was read: {size} bytes when opened, {copied} copied"
            )));
        }
        if size % 2 == 1 {
            out.write_all(&[0])
                .map_err(io_error("writing the padding of", path))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn archive_of(files: &[(&str, &[u8])]) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let archive = folder.path().join("a");
        std::fs::write(&archive, MAGIC).unwrap();
        let paths: Vec<PathBuf> = files
            .iter()
            .map(|(name, content)| {
                let path = folder.path().join(name);
                std::fs::write(&path, content).unwrap();
                path
            })
            .collect();
        append_members(&archive, &paths).unwrap();
        std::fs::read(archive).unwrap()
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
    fn a_missing_member_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let archive = folder.path().join("a");
        std::fs::write(&archive, MAGIC).unwrap();
        let missing = folder.path().join("x.o");
        let error = append_members(&archive, &[&missing])
            .unwrap_err()
            .to_string();
        assert!(error.contains(missing.to_str().unwrap()), "{error}");
        assert!(error.contains("opening"), "{error}");
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
