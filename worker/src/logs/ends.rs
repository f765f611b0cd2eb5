//! The beginning and the end of bytes that cannot be kept as a whole.

/// So much of either, bytes. With the line between them it is less than [`gofarm_proto::INLINE_LOG`].
const MOST: usize = 7 << 10;

/// So much of the reason stands between them, characters of at most four bytes: it names paths.
const LONGEST_REASON: usize = 400;

/// Both ends of what comes piece by piece.
#[derive(Debug)]
pub(crate) struct Ends {
    /// The first bytes.
    beginning: Vec<u8>,
    /// The last bytes, of those that come after the beginning.
    end: Vec<u8>,
    /// Of all that came.
    length: u64,
}

impl Ends {
    /// Of so many bytes that are there, from which `read` fills a buffer at an offset; what it cannot read is left out.
    pub fn of(length: u64, read: impl Fn(u64, &mut [u8]) -> bool) -> Ends {
        let first = length.min(MOST as u64);
        let last = (length - first).min(MOST as u64);
        let part = |at, size: u64| {
            let mut bytes = vec![0; size as usize];
            match read(at, &mut bytes) {
                true => bytes,
                false => Vec::new(),
            }
        };
        Ends {
            beginning: part(0, first),
            end: part(length - last, last),
            length,
        }
    }

    /// Adds bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        if self.beginning.len() as u64 == self.length {
            let room = MOST.saturating_sub(self.beginning.len());
            let (first, behind) = rest.split_at(room.min(rest.len()));
            self.beginning.extend_from_slice(first);
            rest = behind;
        }
        self.length += bytes.len() as u64;
        // What is cut off here is longer than all that stood before.
        self.end
            .extend_from_slice(&rest[rest.len().saturating_sub(MOST)..]);
        self.end.drain(..self.end.len().saturating_sub(MOST));
    }

    /// Lets go of everything behind the first `length` bytes.
    pub fn truncate(&mut self, length: u64) {
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        let gone = self.length.saturating_sub(length);
        self.length -= gone;
        self.end.truncate(self.end.len().saturating_sub(size(gone)));
        self.beginning.truncate(size(length));
    }

    /// Whether nothing is missing between them.
    pub fn is_whole(&self) -> bool {
        self.missing() == 0
    }

    fn missing(&self) -> u64 {
        self.length - (self.beginning.len() + self.end.len()) as u64
    }

    /// Hands out what there is from `start` on.
    pub fn each(&self, start: u64, mut piece: impl FnMut(&[u8])) {
        let end_at = self.length - self.end.len() as u64;
        for (at, bytes) in [(0, &self.beginning), (end_at, &self.end)] {
            let skipped = usize::try_from(start.saturating_sub(at)).unwrap_or(usize::MAX);
            piece(bytes.get(skipped..).unwrap_or_default());
        }
    }

    /// Both, by whole lines where there are any, and between them a line that says why there is no more.
    pub fn text(&self, why: &str) -> Vec<u8> {
        let beginning = match memchr::memrchr(b'\n', &self.beginning) {
            Some(last) => &self.beginning[..=last],
            None => &self.beginning,
        };
        let end = match memchr::memchr(b'\n', &self.end) {
            Some(first) => &self.end[first + 1..],
            None => &self.end,
        };
        let lost = self.length - (beginning.len() + end.len()) as u64;
        let why: String = why.chars().take(LONGEST_REASON).collect();
        let mut text = beginning.to_vec();
        if text.last().is_some_and(|last| *last != b'\n') {
            text.push(b'\n');
        }
        let note = format!("gofarm: {lost} bytes are left out here, they cannot be kept: {why}\n");
        text.extend_from_slice(note.as_bytes());
        text.extend_from_slice(end);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_and_the_line_between_stand_in_a_result() {
        let bytes: Vec<u8> = (0..100_000).map(|at| at as u8).collect();
        let mut pushed = Ends::of(0, |_, _| true);
        let pieces = [0..3, 3..3, 3..20_000, 20_000..99_999, 99_999..100_000];
        for piece in pieces {
            pushed.push(&bytes[piece]);
        }
        let read = Ends::of(100_000, |at, buffer| {
            buffer.copy_from_slice(&bytes[at as usize..][..buffer.len()]);
            true
        });
        for ends in [pushed, read] {
            assert!(ends.beginning == bytes[..MOST] && ends.end == bytes[100_000 - MOST..]);
            let longest = ends.text(&"\u{1f980}".repeat(1000));
            assert!(longest.len() <= gofarm_proto::INLINE_LOG);
        }
    }

    #[test]
    fn what_is_taken_back_and_what_cannot_be_read_is_in_no_end() {
        let mut ends = Ends::of(50, |_, _| false);
        ends.push(b"more");
        let mut found = Vec::new();
        ends.each(0, |piece| found.extend_from_slice(piece));
        assert_eq!(found, b"more");
        ends.truncate(52);
        ends.push(b"nth");
        assert_eq!(
            ends.text("x"),
            b"gofarm: 50 bytes are left out here, they cannot be kept: x\nmonth"
        );
        ends.truncate(10);
        assert_eq!((ends.end.len(), ends.missing()), (0, 10));
    }
}
