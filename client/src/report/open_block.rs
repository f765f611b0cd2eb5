//! The block of an action, at once or, so that nobody has to hold all of a long log, as that comes piece by piece.

use super::cgo_text::CgoText;
use super::diagnostics::{Diagnostics, Subject};

/// So much is gathered before it is made ready: what is shorter is made ready as one text.
const GATHERED: usize = 64 << 10;
/// A line that is longer is made ready in parts.
const LONGEST_LINE: usize = 256 << 10;

/// How far a block has come. See [`Diagnostics::more`].
///
/// Text is made ready by whole lines. A line of more than 256 KiB comes in parts that end at a blank where there is one; at
/// another seam a path stays as the worker calls it.
#[derive(Debug, Default)]
pub struct OpenBlock {
    /// What has come and is not made ready yet.
    pending: Vec<u8>,
    /// What stands before it.
    before: Before,
    /// A position in generated code was met: see [`CgoText::PositionsAndNames`].
    positions: bool,
}

/// What stands before a part of a text, as far as it matters to what is replaced in the part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Before {
    #[default]
    Nothing,
    /// The end of a line, or a blank.
    Byte(u8),
    /// The first part of a word.
    Word,
}

impl OpenBlock {
    /// Whether nothing has come.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty() && self.before == Before::Nothing
    }

    /// Takes out what can be made ready: lines, and parts of a line that is very long.
    fn ready(&mut self) -> Option<Vec<u8>> {
        if self.pending.len() < GATHERED {
            return None;
        }
        let end = match memchr::memrchr(b'\n', &self.pending) {
            Some(end) => end + 1,
            None if self.pending.len() < LONGEST_LINE => return None,
            None => match memchr::memrchr(b' ', &self.pending) {
                Some(end) => end + 1,
                None => whole_characters(&self.pending),
            },
        };
        let rest = self.pending.split_off(end);
        Some(std::mem::replace(&mut self.pending, rest))
    }
}

/// How much of the text has no part of a character at its end.
fn whole_characters(text: &[u8]) -> usize {
    let tail = text.iter().rev().take(4);
    let continued = tail.take_while(|byte| **byte & 0xc0 == 0x80).count();
    let begins = text.len() - continued;
    match begins.checked_sub(1).map(|lead| text[lead]) {
        Some(0xc0..) if begins > 1 => begins - 1,
        _ => text.len(),
    }
}

impl Diagnostics<'_> {
    /// The block for a log of tools that succeeded or failed: the header and the text. Nothing for an empty log.
    pub fn block(&self, subject: &Subject<'_>, log: &[u8], cgo: CgoText) -> Vec<u8> {
        let mut block = OpenBlock::default();
        let mut text = self.more(subject, cgo, &mut block, log);
        text.extend(self.rest(subject, cgo, &mut block));
        text
    }

    /// The block for an action that failed: its text, or, when it said nothing, which program failed how. `program` is
    /// what was run, where that is known.
    pub fn failure(
        &self,
        subject: &Subject<'_>,
        log: &[u8],
        cgo: CgoText,
        program: Option<&str>,
        exit_code: i32,
    ) -> Vec<u8> {
        if !log.is_empty() {
            return self.block(subject, log, cgo);
        }
        let mut line = format!("{}: ", subject.import_path).into_bytes();
        if let Some(program) = program {
            line.extend_from_slice(&self.real_paths(program.as_bytes()));
            line.extend_from_slice(b": ");
        }
        line.extend_from_slice(format!("exit status {exit_code}\n").as_bytes());
        line
    }

    /// Takes more of a log. Returns what can be shown of it by now; the first text begins with the header.
    pub fn more(
        &self,
        subject: &Subject<'_>,
        cgo: CgoText,
        block: &mut OpenBlock,
        log: &[u8],
    ) -> Vec<u8> {
        block.pending.extend_from_slice(log);
        match block.ready() {
            Some(text) => self.part(subject, cgo, block, text),
            None => Vec::new(),
        }
    }

    /// What is left when all of the log has come; nothing for an empty log.
    pub fn rest(&self, subject: &Subject<'_>, cgo: CgoText, block: &mut OpenBlock) -> Vec<u8> {
        let mut text = std::mem::take(&mut block.pending);
        let ends = match text.last() {
            Some(last) => *last == b'\n',
            None => matches!(block.before, Before::Nothing | Before::Byte(b'\n')),
        };
        if !ends {
            text.push(b'\n');
        }
        match text.is_empty() {
            true => text,
            false => self.part(subject, cgo, block, text),
        }
    }

    fn part(
        &self,
        subject: &Subject<'_>,
        cgo: CgoText,
        block: &mut OpenBlock,
        text: Vec<u8>,
    ) -> Vec<u8> {
        let context = match block.before {
            Before::Nothing => None,
            Before::Byte(byte) => Some(byte),
            // A letter: nothing that is replaced begins within a word.
            Before::Word => Some(b'x'),
        };
        block.before = match text.last() {
            Some(&byte @ (b'\n' | b' ')) => Before::Byte(byte),
            _ => Before::Word,
        };
        let Some(context) = context else {
            let mut shown = self.header(subject).into_bytes();
            shown.extend(self.refined(subject, cgo, &mut block.positions, text));
            return shown;
        };
        let mut with_context = Vec::with_capacity(text.len() + 1);
        with_context.push(context);
        with_context.extend(text);
        let mut shown = self.refined(subject, cgo, &mut block.positions, with_context);
        // None of what is replaced begins with a blank, the end of a line or a letter that is followed by something else.
        shown.remove(0);
        shown
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    fn real(root: &str) -> Option<PathBuf> {
        (root == "/__gofarm__/main").then(|| PathBuf::from("/no/such/repo"))
    }

    fn diagnostics() -> Diagnostics<'static> {
        Diagnostics {
            cwd: Path::new("/no/such/repo"),
            real: &real,
            utf8: false,
        }
    }

    fn subject() -> Subject<'static> {
        Subject {
            import_path: "m/a",
            description: "m/a",
            folder: Some(Path::new("/no/such/repo/a")),
        }
    }

    /// What is shown of a log that comes in pieces of this size, and the most that was held.
    fn shown(log: &[u8], piece: usize) -> (Vec<u8>, usize) {
        let (diagnostics, subject, cgo) = (diagnostics(), subject(), CgoText::PositionsAndNames);
        let mut block = OpenBlock::default();
        let (mut shown, mut held) = (Vec::new(), 0);
        for piece in log.chunks(piece) {
            shown.extend(diagnostics.more(&subject, cgo, &mut block, piece));
            held = held.max(block.pending.capacity());
        }
        shown.extend(diagnostics.rest(&subject, cgo, &mut block));
        (shown, held)
    }

    #[test]
    fn a_long_log_is_shown_as_in_one_piece_and_never_held() {
        let line = "/__gofarm__/main/a/x.go:9[/__gofarm__/w/x.cgo1.go:12]: bad _Ctype_int\n\t/__gofarm__/main/a/y.go:1: \u{2018}q\u{2019}\n";
        let log = line.repeat(20_000);
        let expected = format!(
            "# m/a\n{}",
            "a/x.go:9: bad C.int\n\ta/y.go:1: 'q'\n".repeat(20_000)
        );
        let whole = diagnostics().block(&subject(), log.as_bytes(), CgoText::PositionsAndNames);
        assert!(whole == expected.as_bytes());
        for piece in [1000, 64 << 10, 1 << 20] {
            let (shown, held) = shown(log.as_bytes(), piece);
            assert!(shown == expected.as_bytes(), "{piece}");
            assert!(held <= 2 * (GATHERED + piece), "{piece}: {held}");
        }
        // Without an end of the last line.
        let (shown, _) = shown(&log.as_bytes()[..log.len() - 1], 1000);
        assert!(shown == expected.as_bytes());
        assert_eq!(super::tests::shown(b"", 1).0, b"");
    }

    #[test]
    fn a_line_without_an_end_is_shown_in_parts_that_change_nothing_of_it() {
        let word = "x\u{e9}".repeat(4 << 20);
        let (text, held) = shown(word.as_bytes(), 60_000);
        assert!(text == format!("# m/a\n{word}\n").as_bytes());
        assert!(held <= 4 * LONGEST_LINE, "{held}");

        let words = "see /__gofarm__/main/b/z.go ".repeat(100_000);
        let (text, _) = shown(words.as_bytes(), 60_000);
        let expected = "see ./b/z.go ".repeat(100_000);
        assert!(text == format!("# m/a\n{expected}\n").as_bytes());
    }

    #[test]
    fn bytes_that_are_no_text_pass_in_whatever_parts() {
        let log: Vec<u8> = (0..=255).collect::<Vec<u8>>().repeat(10_000);
        let (text, _) = shown(&log, 12_345);
        let mut expected = b"# m/a\n".to_vec();
        expected.extend(&log);
        expected.push(b'\n');
        assert!(text == expected);
    }
}
