//! Programs that the kernel opens by itself when it runs another: the interpreter of a script, the loader of a program.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A script may name a script; the kernel follows five.
const MOST: usize = 5;
const PT_INTERP: u32 = 3;

/// All that runs when this file is run, in order, without the file itself.
pub(super) fn of(program: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut program = program.to_owned();
    while found.len() <= MOST {
        let Some(next) = head(&program).and_then(|head| named(&head)) else {
            break;
        };
        found.push(next.clone());
        program = next;
    }
    found
}

/// The first page of a file, in which both kinds of names stand.
fn head(program: &Path) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    File::open(program)
        .ok()?
        .take(4096)
        .read_to_end(&mut head)
        .ok()?;
    Some(head)
}

fn named(head: &[u8]) -> Option<PathBuf> {
    let text = match head.strip_prefix(b"#!") {
        Some(line) => line
            .split(|byte| *byte == b'\n')
            .next()?
            .split(|byte| matches!(byte, b' ' | b'\t'))
            .find(|word| !word.is_empty())?,
        None => loader(head)?,
    };
    let path = Path::new(OsStr::from_bytes(text));
    path.is_absolute().then(|| path.to_owned())
}

/// The loader that a 64-bit ELF file of this machine's byte order names.
fn loader(head: &[u8]) -> Option<&[u8]> {
    if !head.starts_with(b"\x7fELF\x02") {
        return None;
    }
    let word = |at: usize| Some(u64::from_ne_bytes(head.get(at..at + 8)?.try_into().ok()?));
    let half = |at: usize| Some(u16::from_ne_bytes(head.get(at..at + 2)?.try_into().ok()?));
    let table = usize::try_from(word(32)?).ok()?;
    let (size, count) = (usize::from(half(54)?), usize::from(half(56)?));
    for entry in 0..count {
        let at = table.checked_add(entry.checked_mul(size)?)?;
        let kind = u32::from_ne_bytes(head.get(at..at.checked_add(4)?)?.try_into().ok()?);
        if kind == PT_INTERP {
            let start = usize::try_from(word(at + 8)?).ok()?;
            let text = head.get(start..)?;
            return text.split(|byte| *byte == 0).next();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_runs_its_interpreter_and_that_its_loader() {
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("s");
        std::fs::write(&script, "#! /bin/sh -e\n").unwrap();
        let found = of(&script);
        assert_eq!(found[0], Path::new("/bin/sh"));
        assert!(found[1].to_string_lossy().contains("/ld-"), "{found:?}");
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn damaged_heads_name_nothing() {
        for head in [
            &b"#!"[..],
            b"#! \n",
            b"#!sh\n",
            b"\x7fELF\x02",
            &[b"\x7fELF\x02".as_slice(), &[0xff; 100]].concat(),
        ] {
            assert_eq!(named(head), None);
        }
    }
}
