//! SHA-256 of a file in which one text is read as zeros.
//!
//! This is what makes a content ID independent of the build ID that the file already carries.

use memchr::memmem::Finder;
use sha2::{Digest, Sha256};

static ZEROS: [u8; 4096] = [0; 4096];

/// Hashes a file given in pieces, with every occurrence of a text replaced by zero bytes.
///
/// Occurrences are found from left to right and do not overlap, also where one lies across pieces; the result does not
/// depend on how the file is cut. No more than one byte less than the text is held back between pieces.
pub(crate) struct ZeroingHasher<'t> {
    finder: Finder<'t>,
    hash: Sha256,
    /// The end of what was pushed, not hashed yet, because the text may begin in it. Always shorter than the text.
    held: Vec<u8>,
    /// Offset in the file of the next byte to be pushed.
    offset: usize,
    matches: Vec<usize>,
}

/// What a [`ZeroingHasher`] found.
pub(crate) struct Zeroed {
    /// SHA-256 of the file with the text as zeros.
    pub(crate) hash: [u8; 32],
    /// Where the text begins, in ascending order.
    pub(crate) matches: Vec<usize>,
}

impl<'t> ZeroingHasher<'t> {
    /// `text` must not be empty.
    pub(crate) fn new(text: &'t [u8]) -> Self {
        debug_assert!(!text.is_empty());
        ZeroingHasher {
            finder: Finder::new(text),
            hash: Sha256::new(),
            held: Vec::new(),
            offset: 0,
            matches: Vec::new(),
        }
    }

    /// Takes the next piece of the file.
    pub(crate) fn push(&mut self, piece: &[u8]) {
        let width = self.finder.needle().len();
        let mut piece = piece;
        if !self.held.is_empty() {
            let before = self.held.len();
            let reach = piece.len().min(width - 1);
            let mut seam = std::mem::take(&mut self.held);
            seam.extend_from_slice(&piece[..reach]);
            if let Some(at) = self.finder.find(&seam) {
                self.hash.update(&seam[..at]);
                self.zeros(width);
                self.matches.push(self.offset + at - before);
                // The text is longer than what was held, so the match ends inside this piece.
                self.advance(&mut piece, at + width - before);
            } else if reach < width - 1 {
                // The piece is used up, and the text may still begin anywhere in the last bytes.
                let keep = seam.len().min(width - 1);
                let (done, tail) = seam.split_at(seam.len() - keep);
                self.hash.update(done);
                self.held.extend_from_slice(tail);
                self.offset += reach;
                return;
            } else {
                self.hash.update(&seam[..before]);
            }
        }
        while let Some(at) = self.finder.find(piece) {
            self.hash.update(&piece[..at]);
            self.zeros(width);
            self.matches.push(self.offset + at);
            self.advance(&mut piece, at + width);
        }
        let keep = piece.len().min(width - 1);
        let (done, tail) = piece.split_at(piece.len() - keep);
        self.hash.update(done);
        self.held.extend_from_slice(tail);
        self.offset += piece.len();
    }

    /// Takes `count` zero bytes as the next piece.
    pub(crate) fn push_zeros(&mut self, mut count: usize) {
        while count > 0 {
            let step = count.min(ZEROS.len());
            self.push(&ZEROS[..step]);
            count -= step;
        }
    }

    /// Ends the file.
    pub(crate) fn finish(mut self) -> Zeroed {
        self.hash.update(&self.held);
        Zeroed {
            hash: self.hash.finalize().into(),
            matches: self.matches,
        }
    }

    fn zeros(&mut self, mut count: usize) {
        while count > 0 {
            let step = count.min(ZEROS.len());
            self.hash.update(&ZEROS[..step]);
            count -= step;
        }
    }

    fn advance(&mut self, piece: &mut &[u8], by: usize) {
        *piece = &piece[by..];
        self.offset += by;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, on the whole file at once.
    fn reference(file: &[u8], text: &[u8]) -> ([u8; 32], Vec<usize>) {
        let mut file = file.to_vec();
        let mut matches = Vec::new();
        let mut at = 0;
        while at + text.len() <= file.len() {
            if &file[at..at + text.len()] == text {
                file[at..at + text.len()].fill(0);
                matches.push(at);
                at += text.len();
            } else {
                at += 1;
            }
        }
        (Sha256::digest(&file).into(), matches)
    }

    proptest! {
        /// Two letters and short texts make matches, near misses and overlaps frequent.
        #[test]
        fn equals_the_definition_however_the_file_is_cut(
            file in prop::collection::vec(prop::sample::select(b"ab\0".to_vec()), 0..200),
            text in prop::collection::vec(prop::sample::select(b"ab".to_vec()), 1..6),
            cuts in prop::collection::vec(0usize..200, 0..20),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(file.len())).collect();
            cuts.extend([0, file.len()]);
            cuts.sort_unstable();
            let mut hasher = ZeroingHasher::new(&text);
            for pair in cuts.windows(2) {
                hasher.push(&file[pair[0]..pair[1]]);
            }
            let got = hasher.finish();
            let (hash, matches) = reference(&file, &text);
            prop_assert_eq!(got.hash, hash);
            prop_assert_eq!(got.matches, matches);
        }
    }
}
