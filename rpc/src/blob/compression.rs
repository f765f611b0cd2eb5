//! When bytes are compressed on their way, and how.

use std::io;

use bytes::Bytes;

use crate::address::FarmAddresses;

/// The fastest level that finds most of the redundancy of object code: about 400 MB/s and a third of the size.
const LEVEL: i32 = 1;

/// Whether blobs are compressed on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// Unless the farm is on this machine.
    #[default]
    Auto,
    /// Always, and asked for when reading.
    Always,
    /// Never; what comes compressed all the same is understood.
    Never,
}

impl Compression {
    pub(super) fn applies(self, farm: &FarmAddresses) -> bool {
        match self {
            Compression::Auto => !farm.is_loopback(),
            Compression::Always => true,
            Compression::Never => false,
        }
    }
}

/// One zstd frame and true, or the bytes as they are where that is no gain.
pub(super) fn pack(bytes: Bytes, wanted: bool) -> (Bytes, bool) {
    if wanted
        && let Ok(packed) = zstd::bulk::compress(&bytes, LEVEL)
        && packed.len() < bytes.len()
    {
        return (packed.into(), true);
    }
    (bytes, false)
}

/// The plain bytes, which are not more than `most`.
pub(super) fn unpack(data: Bytes, packed: bool, most: usize) -> io::Result<Bytes> {
    if packed {
        Ok(zstd::bulk::decompress(&data, most)?.into())
    } else {
        Ok(data)
    }
}
