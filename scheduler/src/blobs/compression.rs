//! Bytes as they travel.

use std::borrow::Cow;

use bytes::Bytes;

/// The fastest level that finds most of the redundancy of object code.
const LEVEL: i32 = 1;

/// One zstd frame and true, or the bytes as they are where that is no gain.
pub(super) fn pack(plain: Vec<u8>, wanted: bool) -> (Bytes, bool) {
    if wanted
        && let Ok(packed) = zstd::bulk::compress(&plain, LEVEL)
        && packed.len() < plain.len()
    {
        return (packed.into(), true);
    }
    (plain.into(), false)
}

/// The plain bytes, if there are at most `most` of them. The reason is for a person.
pub(super) fn unpack(data: &[u8], packed: bool, most: usize) -> Result<Cow<'_, [u8]>, String> {
    if packed {
        return zstd::bulk::decompress(data, most)
            .map(Cow::Owned)
            .map_err(|e| format!("not a zstd frame of at most {most} bytes: {e}"));
    }
    if data.len() > most {
        return Err(format!("{} bytes where at most {most} may be", data.len()));
    }
    Ok(Cow::Borrowed(data))
}
