//! The ad-hoc code signature of Mach-O files, in the one form that the Go toolchain writes.
//!
//! A signature is a super blob with a single blob in it, the code directory: a header, an identifier, and the SHA-256 of
//! each page of the file before the signature. The layout and its constants are those of Apple's `osfmk/kern/cs_blobs.h`;
//! the choices (version, flags, identifier) those of cmd/internal/codesign, the same from Go 1.24 to 1.27.

use std::ops::Range;

use sha2::{Digest, Sha256};

const PAGE_BITS: u8 = 12;
const PAGE: usize = 1 << PAGE_BITS;
const HASH: usize = 32;

/// The identifier, with the zero byte that ends it. It means nothing in an ad-hoc signature.
const IDENTIFIER: &[u8] = b"a.out\0";

/// The super blob's header and the one entry of its index.
const SUPER_BLOB: usize = 12 + 8;

/// The code directory's header: 13 words and the padding word of version 0x20200, then four quad words.
const DIRECTORY: usize = 13 * 4 + 4 + 4 * 8;

const MAGIC_EMBEDDED_SIGNATURE: u32 = 0xfade_0cc0;
const MAGIC_CODE_DIRECTORY: u32 = 0xfade_0c02;
const VERSION_WITH_EXEC_SEGMENT: u32 = 0x2_0400;
const FLAGS_ADHOC_LINKER_SIGNED: u32 = 0x2_0002;
const HASH_TYPE_SHA256: u8 = 2;
const EXEC_SEGMENT_MAIN_BINARY: u64 = 1;

/// The length of the signature of a file whose signature begins at `code` bytes.
pub(crate) fn size(code: usize) -> usize {
    SUPER_BLOB + DIRECTORY + IDENTIFIER.len() + code.div_ceil(PAGE) * HASH
}

/// The signature of `code`, the file up to where its signature begins.
///
/// `text` is the place of the segment `__TEXT` in the file. `None` if a number is too big for its field: signatures of this
/// form exist only for files below 4 GiB.
pub(crate) fn sign(code: &[u8], text: &Range<u64>, executable: bool) -> Option<Vec<u8>> {
    let size = size(code.len());
    let mut out = Vec::with_capacity(size);
    let mut word = |number: usize| -> Option<()> {
        out.extend_from_slice(&u32::try_from(number).ok()?.to_be_bytes());
        Some(())
    };
    let directory_size = size - SUPER_BLOB;

    word(MAGIC_EMBEDDED_SIGNATURE as usize)?;
    word(size)?;
    word(1)?; // entries in the index
    word(0)?; // slot of the code directory
    word(SUPER_BLOB)?; // its offset

    word(MAGIC_CODE_DIRECTORY as usize)?;
    word(directory_size)?;
    word(VERSION_WITH_EXEC_SEGMENT as usize)?;
    word(FLAGS_ADHOC_LINKER_SIGNED as usize)?;
    word(DIRECTORY + IDENTIFIER.len())?; // offset of the hashes
    word(DIRECTORY)?; // offset of the identifier
    word(0)?; // special slots
    word(code.len().div_ceil(PAGE))?; // code slots
    word(code.len())?;
    out.extend_from_slice(&[HASH as u8, HASH_TYPE_SHA256, 0, PAGE_BITS]);
    out.extend_from_slice(&[0; 4 * 4]); // padding, scatter offset, team offset, padding
    out.extend_from_slice(&[0; 8]); // the 64-bit code limit, used above 4 GiB only
    let flags = if executable {
        EXEC_SEGMENT_MAIN_BINARY
    } else {
        0
    };
    for quad in [text.start, text.end - text.start, flags] {
        out.extend_from_slice(&quad.to_be_bytes());
    }

    out.extend_from_slice(IDENTIFIER);
    for page in code.chunks(PAGE) {
        out.extend_from_slice(&Sha256::digest(page));
    }
    debug_assert_eq!(out.len(), size);
    Some(out)
}
