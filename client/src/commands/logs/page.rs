//! What one action has printed or prints.

use gofarm_proto::v1;

use super::json::json_line;
use crate::farm::Output;
use crate::outline::Outline;
use crate::report::OpenBlock;
use crate::say;

/// A line that is followed and longer than this is printed in parts, bytes.
pub(super) const LONGEST_LINE: usize = 256 << 10;

/// The output of one action, as it comes: as a block when it is asked for as it is, line by line when it is followed.
pub(super) struct Page<'a> {
    pub outline: &'a Outline,
    pub node: usize,
    pub json: bool,
    pub follow: bool,
    pub attempt: u32,
    /// How far the output of this attempt has come.
    pub position: u64,
    /// What is followed: the begun line.
    pub pending: Vec<u8>,
    /// What is followed: the header of this attempt is printed.
    pub headed: bool,
    /// Else: the block that has begun.
    pub open: OpenBlock,
}

impl Page<'_> {
    /// What is new in a piece, to be printed.
    pub fn new_in<'p>(&mut self, piece: &'p v1::ActionLogResponse) -> anyhow::Result<&'p [u8]> {
        if piece.attempt < self.attempt {
            return Ok(&[]);
        }
        let label = &self.outline.nodes[self.node].label;
        if piece.attempt > self.attempt {
            if self.attempt > 0 && self.position > 0 {
                say::err(&format!(
                    "gofarm: {label} is run again: attempt {}\n",
                    piece.attempt
                ));
                self.close()?;
                self.position = 0;
                self.headed = false;
            }
            self.attempt = piece.attempt;
        }
        // Of one that is over all comes in order; one that runs may have said more than the farm keeps meanwhile.
        let left_out = piece.offset.saturating_sub(self.position);
        if left_out > 0 && !self.follow {
            say::err(&format!(
                "gofarm: {left_out} bytes of the output of {label} are left out here; once it is over, all of it is there\n"
            ));
        }
        let known = self.position.saturating_sub(piece.offset);
        let new = usize::try_from(known)
            .ok()
            .and_then(|known| piece.data.get(known..))
            .unwrap_or_default();
        if !new.is_empty() {
            self.position = piece.offset + piece.data.len() as u64;
        }
        Ok(new)
    }

    pub fn take(&mut self, piece: &v1::ActionLogResponse) -> anyhow::Result<()> {
        let new = self.new_in(piece)?;
        if !self.follow {
            let text = self
                .outline
                .show(self.node, &mut self.open, Output::More(new));
            return self.write(text);
        }
        self.pending.extend_from_slice(new);
        match lines(&mut self.pending) {
            Some(lines) => self.print_lines(&lines),
            None => Ok(()),
        }
    }

    fn print_lines(&mut self, lines: &[u8]) -> anyhow::Result<()> {
        let text = self.followed(lines);
        self.write(text)
    }

    /// What is followed begins with the header of its block. The virtual paths are made real; a block's other refinements need whole
    /// lines and what stands before them.
    pub fn followed(&mut self, lines: &[u8]) -> Vec<u8> {
        if lines.is_empty() {
            return Vec::new();
        }
        let is_first = !std::mem::replace(&mut self.headed, true);
        self.outline
            .diagnostics(self.node, |diagnostics, subject, _| {
                let header = is_first.then(|| diagnostics.header(subject));
                let mut text = header.unwrap_or_default().into_bytes();
                text.extend(diagnostics.real_paths(lines));
                text
            })
    }

    fn write(&self, text: Vec<u8>) -> anyhow::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        say::out(&match self.json {
            true => json_line(self.outline, self.node, &text)?,
            false => text,
        })
    }

    /// Prints what is left of this attempt.
    fn close(&mut self) -> anyhow::Result<()> {
        if !self.follow {
            let text = self.outline.show(self.node, &mut self.open, Output::End);
            return self.write(text);
        }
        let pending = std::mem::take(&mut self.pending);
        self.print_lines(&pending)
    }

    /// `read`: all of it has come.
    pub fn end(mut self, read: bool) -> anyhow::Result<()> {
        if self.position == 0 && read {
            let label = &self.outline.nodes[self.node].label;
            say::err(&format!("gofarm: {label} has printed nothing\n"));
        }
        self.close()
    }
}

/// Takes out whole lines, or all of a line that is very long.
pub(super) fn lines(pending: &mut Vec<u8>) -> Option<Vec<u8>> {
    let end = match memchr::memrchr(b'\n', pending) {
        Some(end) => end + 1,
        None if pending.len() > LONGEST_LINE => pending.len(),
        None => return None,
    };
    let rest = pending.split_off(end);
    Some(std::mem::replace(pending, rest))
}
