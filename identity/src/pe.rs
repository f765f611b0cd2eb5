//! The checksum of PE files.
//!
//! Go's own linker leaves it zero, but GNU ld fills it in when it links for Go, over a file that holds the build ID. Go then
//! writes the sum of its FIPS module into the file and does not care for the checksum, nor does cmd/go when it writes the
//! final ID. So the checksum of a finished binary is that of a file that never was on disk; it can be brought up to date only
//! by what a changed byte adds to it.

use std::ops::Range;

use crate::fields::{Fields, Order};

/// The range of a checksum before the file's length is added: 16-bit words added with their carries never make zero.
const FOLDED: Range<u32> = 1..0x1_0000;

/// A PE file's checksum, and what it has to become.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Checksum {
    /// Where it stands, four bytes.
    field: usize,
    /// The sum of the file's 16-bit words, carries not yet added in.
    sum: i64,
}

/// The checksum of a file that has one. `Err` if there is a number that cannot be the checksum of a file of this length.
pub(crate) fn checksum(file: &[u8]) -> Result<Option<Checksum>, ()> {
    let Some((field, value)) = field(file).filter(|&(_, value)| value != 0) else {
        return Ok(None);
    };
    let folded = value.wrapping_sub(file.len() as u32);
    if !FOLDED.contains(&folded) {
        return Err(());
    }
    let sum = folded.into();
    Ok(Some(Checksum { field, sum }))
}

impl Checksum {
    /// Takes the bytes of a range out of the sum, before they are changed.
    pub(crate) fn leave(&mut self, file: &[u8], range: &Range<usize>) {
        self.sum -= words(file, range);
    }

    /// Takes the bytes of a range into the sum, after they were changed.
    pub(crate) fn enter(&mut self, file: &[u8], range: &Range<usize>) {
        self.sum += words(file, range);
    }

    /// Writes the checksum into the file.
    pub(crate) fn write(&self, file: &mut [u8]) {
        // Adding carries in again is reckoning modulo 0xffff, with 0xffff in the place of 0.
        let folded = (self.sum - 1).rem_euclid(0xffff) as u32 + 1;
        let value = folded.wrapping_add(file.len() as u32);
        file[self.field..self.field + 4].copy_from_slice(&value.to_le_bytes());
    }
}

/// The sum of the 16-bit words that a range has a part in.
fn words(file: &[u8], range: &Range<usize>) -> i64 {
    let end = range.end.next_multiple_of(2).min(file.len());
    file[range.start & !1..end]
        .chunks(2)
        .map(|word| i64::from(word[0]) + word.get(1).map_or(0, |&high| i64::from(high) << 8))
        .sum()
}

/// Where a PE file's optional header has room for the checksum, and what stands there; `None` if this is no PE file.
fn field(file: &[u8]) -> Option<(usize, u32)> {
    if !file.starts_with(b"MZ") {
        return None;
    }
    let fields = Fields {
        bytes: file,
        order: Order::Little,
    };
    let header = fields.word(0x3c, false)?;
    if file.get(header..header.checked_add(4)?)? != b"PE\0\0" {
        return None;
    }
    // Signature and COFF file header take 24 bytes; the checksum stands at 64 of the optional header, in both widths.
    let at = header.checked_add(24 + 64)?;
    Some((at, fields.u32(at)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FIELD: usize = 0x40 + 24 + 64;

    /// A PE header and this body, with the checksum as the format defines it.
    fn file(body: &[u8]) -> Vec<u8> {
        let mut file = vec![0; FIELD + 4];
        file[..2].copy_from_slice(b"MZ");
        file[0x3c] = 0x40;
        file[0x40..0x44].copy_from_slice(b"PE\0\0");
        file.extend_from_slice(body);
        let mut sum: u32 = 0;
        for word in file.chunks(2) {
            sum += u32::from(word[0]) + (u32::from(*word.get(1).unwrap_or(&0)) << 8);
            sum = (sum & 0xffff) + (sum >> 16);
        }
        let value = sum + file.len() as u32;
        file[FIELD..FIELD + 4].copy_from_slice(&value.to_le_bytes());
        file
    }

    proptest! {
        #[test]
        fn a_change_brought_up_to_date_is_the_checksum_of_the_changed_file(
            mut body in prop::collection::vec(any::<u8>(), 1..60),
            new in prop::collection::vec(any::<u8>(), 1..60),
            at in 0usize..60,
        ) {
            let mut changed = file(&body);
            let at = at % body.len();
            let length = new.len().min(body.len() - at);
            body[at..at + length].copy_from_slice(&new[..length]);

            let range = FIELD + 4 + at..FIELD + 4 + at + length;
            let mut sum = checksum(&changed).unwrap().unwrap();
            sum.leave(&changed, &range);
            changed[range.clone()].copy_from_slice(&new[..length]);
            sum.enter(&changed, &range);
            sum.write(&mut changed);
            prop_assert_eq!(changed, file(&body));
        }
    }

    #[test]
    fn no_checksum_and_a_wrong_one() {
        let mut file = file(b"x");
        assert_eq!(checksum(&file[1..]), Ok(None));
        file[FIELD + 2] = 7;
        assert_eq!(checksum(&file), Err(()));
        file[FIELD..FIELD + 4].fill(0);
        assert_eq!(checksum(&file), Ok(None));
    }
}
