//! The ID in the platform's own form (GNU build ID, Mach-O UUID) that the linker derives from the Go build ID.

use std::ops::Range;

use sha2::{Digest, Sha256};

use crate::binary_error::BinaryError;
use crate::elf;
use crate::macho::{self, MachO};

/// How a linker makes the platform's ID.
///
/// All begin with SHA-256 of the Go build ID (`-B gobuildid`, the default), its first byte altered so that the result is
/// nobody else's SHA-256. Which alteration and which UUID variant depends on the Go release: see cmd/internal/hash `Sum32`
/// and cmd/link/internal/ld `addbuildinfo`, `uuidFromGoBuildId` (to 1.26) and `uuidFromHash` (1.27).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Derivation {
    /// The first 20 bytes. `alter` is XORed into the first byte: 0x01 in Go 1.24, 0xff since 1.25.
    Gnu { alter: u8 },
    /// The first 16 bytes with a UUID's version set to 3 and these bits as its variant: 0xc0 to Go 1.26, 0x80 since 1.27.
    Uuid { alter: u8, variant: u8 },
    /// A UUID of 1.27's form, but of what was written of the file when the load commands were made, instead of the build ID:
    /// what Go 1.27 falls back to where the user's `-B` is shorter than a UUID.
    UuidOfFile,
}

use Derivation::{Gnu, Uuid, UuidOfFile};

const GNU: &[Derivation] = &[Gnu { alter: 0xff }, Gnu { alter: 0x01 }];

/// The one that reads the whole file comes last.
const UUID: &[Derivation] = &[
    Uuid {
        alter: 0xff,
        variant: 0x80,
    },
    Uuid {
        alter: 0xff,
        variant: 0xc0,
    },
    Uuid {
        alter: 0x01,
        variant: 0xc0,
    },
    UuidOfFile,
];

impl Derivation {
    /// The platform's ID of a binary that was linked with a Go build ID and holds it everywhere else already: 20 bytes for
    /// GNU, 16 for a UUID.
    pub(crate) fn of(self, build_id: &str, binary: &[u8]) -> Result<Vec<u8>, BinaryError> {
        Ok(match self {
            Gnu { alter } => {
                let mut id = Sha256::digest(build_id).to_vec();
                id[0] ^= alter;
                id.truncate(20);
                id
            }
            Uuid { alter, variant } => uuid(Sha256::digest(build_id).into(), alter, variant),
            UuidOfFile => {
                let macho = MachO::parse(binary).map_err(BinaryError::Malformed)?;
                let end = macho.signature.map_or(binary.len(), |place| place.start);
                let mut hash = Sha256::new();
                // Header and load commands are written last.
                hash.update(vec![0; macho.commands_end]);
                let rest = binary.get(macho.commands_end..end);
                hash.update(
                    rest.ok_or(BinaryError::Malformed("a Mach-O signature in the headers"))?,
                );
                uuid(hash.finalize().into(), 0xff, 0x80)
            }
        })
    }
}

fn uuid(hash: [u8; 32], alter: u8, variant: u8) -> Vec<u8> {
    let mut id = hash[..16].to_vec();
    id[0] ^= alter;
    id[6] = id[6] & 0x0f | 0x30;
    id[8] = id[8] & 0x3f | variant;
    id
}

/// A platform's ID found in a binary.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct HostId {
    /// Where it lies in the file.
    pub(crate) place: Range<usize>,
    /// How it was made from the Go build ID.
    pub(crate) derivation: Derivation,
}

/// The platform's ID in a binary, if the linker made it from `build_id` in one of the known ways.
pub(crate) fn derived_from(binary: &[u8], build_id: &str) -> Result<Option<HostId>, BinaryError> {
    let (place, ways) = if elf::is_elf(binary) {
        (
            elf::gnu_build_id(binary).map_err(BinaryError::Malformed)?,
            GNU,
        )
    } else if macho::is_macho(binary) {
        (
            MachO::parse(binary).map_err(BinaryError::Malformed)?.uuid,
            UUID,
        )
    } else {
        return Ok(None);
    };
    let Some(place) = place else { return Ok(None) };
    for &derivation in ways {
        if derivation.of(build_id, binary)? == binary[place.clone()] {
            return Ok(Some(HostId { place, derivation }));
        }
    }
    Ok(None)
}
