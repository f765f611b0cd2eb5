//! Stamping a linked binary: from the placeholder build ID to the bytes that cmd/go would have left.

use std::ops::Range;

use memchr::memmem;

use crate::binary_error::BinaryError;
use crate::hash::hash_to_string;
use crate::host_id::{self, HostId};
use crate::macho::{self, MachO};
use crate::zeroing::{Zeroed, ZeroingHasher};
use crate::{codesign, elf, pe};

/// What [`stamp_binary`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamped {
    /// The whole build ID, as cmd/go would report it for this link.
    pub build_id: String,
    /// Number of places where it was written. 0 if the binary does not hold the placeholder (the user linked with a
    /// `-buildid` of their own) and was left as it is. A placeholder inside of a GNU build ID, which no linker puts there, becomes
    /// the initial ID and is not counted, as in cmd/go.
    pub places: usize,
}

/// The content ID of a linked binary: the last part of its build ID.
///
/// SHA-256 of the file with every occurrence of `id` read as zeros, and so the payload of the ELF section
/// `.note.gnu.build-id`, or the Mach-O UUID and code signature, which follow from the build ID.
pub fn binary_content_id(binary: &[u8], id: &str) -> Result<String, BinaryError> {
    if id.is_empty() {
        return Err(BinaryError::BuildId {
            prefix: String::new(),
            problem: "it is empty",
        });
    }
    Ok(hash_to_string(&find_and_hash(binary, id)?.hash))
}

/// Turns a binary that was linked with a placeholder build ID into the one that `go build` makes.
///
/// `prefix` is `linkActionID/mainActionID/mainContentID`. cmd/go links with the initial ID `prefix/linkActionID` and then
/// writes `prefix/contentID` over it. This does what both steps would have done: the ID wherever it stands, the GNU build ID
/// or Mach-O UUID that the linker derives from the *initial* ID, a PE checksum, and a signature as the Go linker makes them.
/// What the linker did not derive from the placeholder stays, if `named` says that a flag names it in hexadecimal digits (`-B` of
/// the user's own). A GNU build ID that is neither is a hash of what was linked.
///
/// On an error the binary must be thrown away.
pub fn stamp_binary(
    binary: &mut [u8],
    placeholder: &str,
    prefix: &str,
    named: &dyn Fn(&str) -> bool,
) -> Result<Stamped, BinaryError> {
    let bad_id = |problem| BinaryError::BuildId {
        prefix: prefix.to_owned(),
        problem,
    };
    let (action, _) = prefix
        .split_once('/')
        .ok_or_else(|| bad_id("it is not linkActionID/mainActionID/mainContentID"))?;
    let initial = format!("{prefix}/{action}");
    if initial.len() != placeholder.len() {
        return Err(bad_id("the whole ID is not as long as the placeholder"));
    }

    // As the linker would have left it.
    let host_id = host_id::derived_from(binary, placeholder)?;
    let places: Vec<usize> = memmem::find_iter(binary, placeholder).collect();
    if places.is_empty() {
        let content = find_and_hash(binary, &initial)?;
        return Ok(Stamped {
            build_id: format!("{prefix}/{}", hash_to_string(&content.hash)),
            places: 0,
        });
    }
    if host_id.is_none()
        && elf::is_elf(binary)
        && let Some(place) = elf::gnu_build_id(binary).map_err(BinaryError::Malformed)?
        && !named(&digits(&binary[place]))
    {
        return Err(BinaryError::ForeignBuildId);
    }
    let mut checksum = pe::checksum(binary).map_err(|()| BinaryError::ForeignChecksum)?;
    for &at in &places {
        let range = at..at + initial.len();
        if let Some(sum) = &mut checksum {
            sum.leave(binary, &range);
        }
        binary[range.clone()].copy_from_slice(initial.as_bytes());
        if let Some(sum) = &mut checksum {
            sum.enter(binary, &range);
        }
    }
    if let Some(sum) = checksum {
        sum.write(binary);
    }
    if let Some(HostId { place, derivation }) = host_id {
        let id = derivation.of(&initial, binary)?;
        binary[place].copy_from_slice(&id);
    }

    // As cmd/go leaves it.
    let content = find_and_hash(binary, &initial)?;
    let build_id = format!("{prefix}/{}", hash_to_string(&content.hash));
    for &at in &content.matches {
        binary[at..at + build_id.len()].copy_from_slice(build_id.as_bytes());
    }
    sign(binary)?;
    Ok(Stamped {
        build_id,
        places: content.matches.len(),
    })
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Makes the code signature of a Mach-O file anew, if it has one.
fn sign(binary: &mut [u8]) -> Result<(), BinaryError> {
    if !macho::is_macho(binary) {
        return Ok(());
    }
    let macho = MachO::parse(binary).map_err(BinaryError::Malformed)?;
    let Some(place) = macho.signature else {
        return Ok(());
    };
    // cmd/go would leave such a signature as the other linker made it, over the initial ID: we cannot make that one.
    if place.len() != codesign::size(place.start) {
        return Err(BinaryError::ForeignSignature);
    }
    let text = macho.text.ok_or(BinaryError::Malformed(
        "a signed Mach-O file without __TEXT",
    ))?;
    let signature = codesign::sign(&binary[..place.start], &text, macho.executable)
        .ok_or(BinaryError::Malformed("a signed Mach-O file above 4 GiB"))?;
    binary[place].copy_from_slice(&signature);
    Ok(())
}

/// Where `id` stands in the file, and the hash of the file without it and without what is derived from it.
fn find_and_hash(binary: &[u8], id: &str) -> Result<Zeroed, BinaryError> {
    let mut hasher = ZeroingHasher::new(id.as_bytes());
    let mut from = 0;
    for hidden in derived_parts(binary)? {
        let start = hidden.start.max(from);
        if hidden.end > start {
            hasher.push(&binary[from..start]);
            hasher.push_zeros(hidden.end - start);
            from = hidden.end;
        }
    }
    hasher.push(&binary[from..]);
    Ok(hasher.finish())
}

/// The parts of the file that follow from the build ID, in ascending order.
fn derived_parts(binary: &[u8]) -> Result<Vec<Range<usize>>, BinaryError> {
    let mut parts = Vec::new();
    if elf::is_elf(binary) {
        parts.extend(elf::gnu_build_id(binary).map_err(BinaryError::Malformed)?);
    } else if macho::is_macho(binary) {
        let macho = MachO::parse(binary).map_err(BinaryError::Malformed)?;
        parts.extend(macho.uuid);
        parts.extend(macho.signature);
        parts.sort_unstable_by_key(|part| part.start);
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BINARY_BUILD_ID;
    use proptest::prelude::*;

    fn prefix() -> String {
        ["l", "m", "c"].map(|part| part.repeat(20)).join("/")
    }

    #[test]
    fn an_id_of_the_wrong_form_is_refused() {
        let mut binary = BINARY_BUILD_ID.as_bytes().to_vec();
        for bad in ["", "no slash", "too/short/by far"] {
            let error = stamp_binary(&mut binary, BINARY_BUILD_ID, bad, &|_| true).unwrap_err();
            assert!(matches!(error, BinaryError::BuildId { .. }), "{error}");
        }
        assert_eq!(binary, BINARY_BUILD_ID.as_bytes());
        assert!(binary_content_id(&binary, "").is_err());
    }

    /// A file of no known format has its ID replaced and nothing else.
    #[test]
    fn an_unknown_format() {
        let mut binary = format!("before {BINARY_BUILD_ID} after").into_bytes();
        let stamped = stamp_binary(&mut binary, BINARY_BUILD_ID, &prefix(), &|_| true).unwrap();
        let zeros = "\0".repeat(BINARY_BUILD_ID.len());
        let content = crate::file_hash(format!("before {zeros} after").as_bytes());
        assert_eq!(stamped.build_id, format!("{}/{content}", prefix()));
        assert_eq!(
            binary,
            format!("before {} after", stamped.build_id).as_bytes()
        );
    }

    /// A Mach-O file of load commands only, the last of them a signature of this many bytes.
    fn macho_signed(signature: u32) -> Vec<u8> {
        let id: Vec<u8> = BINARY_BUILD_ID.bytes().collect();
        let words = |words: &[u32]| {
            words
                .iter()
                .flat_map(|w| w.to_le_bytes())
                .collect::<Vec<_>>()
        };
        let start = 32 + 16 + id.len() as u32;
        let header = words(&[0xfeed_facf, 0, 0, 2, 1, 16, 0, 0]);
        let command = words(&[0x1d, 16, start, signature]);
        [header, command, id, vec![7; signature as usize]].concat()
    }

    #[test]
    fn a_signature_of_another_linker_is_refused() {
        let mut binary = macho_signed(1000);
        let error = stamp_binary(&mut binary, BINARY_BUILD_ID, &prefix(), &|_| true).unwrap_err();
        assert_eq!(error, BinaryError::ForeignSignature);
    }

    proptest! {
        /// Broken headers are an error or not, but never a panic.
        #[test]
        fn broken_headers_do_not_panic(
            start in prop::sample::select(vec![&b"\x7fELF\x02\x01"[..], b"\x7fELF\x01\x02", b"\xcf\xfa\xed\xfe", b"MZ"]),
            mut rest in prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(0x1b), Just(0x1d), Just(64), any::<u8>()], 0..300),
        ) {
            rest.extend_from_slice(BINARY_BUILD_ID.as_bytes());
            let mut file = [start, &rest].concat();
            let _ = stamp_binary(&mut file, BINARY_BUILD_ID, &prefix(), &|_| true);
        }
    }
}
