//! What the output of a step says of why it failed, found while it comes: it may be too long to be looked through later.

use memchr::memmem;

/// How programs say that memory ran out when it was not themselves who were killed: gcc of its children, Go's runtime.
const OUT_OF_MEMORY: [&[u8]; 3] = [
    b"fatal error: killed signal terminated program",
    b"fatal error: runtime: out of memory",
    b"fatal error: runtime: cannot allocate memory",
];

/// How programs, in the words of libc and of Go, say that the disk is full.
const FULL: [&[u8]; 2] = [b"no space left on device", b"disk quota exceeded"];

/// What every libc, and Go, says of a file that is not there.
const NOT_THERE: &[u8] = b"no such file or directory";

/// So much of the lines that say so is kept, bytes: the first files that are missing are the ones of interest.
const MOST_LINES: usize = 64 << 10;

/// Takes pieces of output, in any case of letters. A phrase across the seam of two pieces is not found; pieces are whole lines
/// unless these are very long.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// Memory ran out.
    pub out_of_memory: bool,
    /// The disk is full.
    pub full: bool,
    /// The lines that say that a file is not there.
    pub not_there: Vec<u8>,
}

impl Said {
    pub fn hear(&mut self, text: &[u8]) {
        let lower = text.to_ascii_lowercase();
        let says = |phrase: &[u8]| memmem::find(&lower, phrase).is_some();
        self.out_of_memory |= OUT_OF_MEMORY.iter().any(|phrase| says(phrase));
        self.full |= FULL.iter().any(|phrase| says(phrase));
        if !says(NOT_THERE) {
            return;
        }
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let room = MOST_LINES.saturating_sub(self.not_there.len());
            if line.len() <= room && memmem::find(&line.to_ascii_lowercase(), NOT_THERE).is_some() {
                self.not_there.extend_from_slice(line);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_in_any_piece_is_found() {
        let mut said = Said::default();
        said.hear(b"a\nopen /x: No such file or directory\nb\n");
        assert!(!said.out_of_memory && !said.full);
        said.hear(b"write: No Space Left On Device\n");
        said.hear(b"gcc: fatal error: Killed signal terminated program cc1\n");
        said.hear(b"open /y: no such file or directory");
        assert!(said.out_of_memory && said.full);
        let lines = "open /x: No such file or directory\nopen /y: no such file or directory";
        assert_eq!(String::from_utf8(said.not_there).unwrap(), lines);
    }

    #[test]
    fn of_many_lines_the_first_are_kept() {
        let mut said = Said::default();
        for _ in 0..100 {
            said.hear(&b"open /x: no such file or directory\n".repeat(1000));
        }
        assert!(said.not_there.len() <= MOST_LINES);
        assert!(said.not_there.len() > MOST_LINES - 100);
    }
}
