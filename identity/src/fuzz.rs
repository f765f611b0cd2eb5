//! Fuzz targets, replayed on their corpora by `cargo test` (see `docs/fuzzing.md`).
//!
//! They stand inside the crate, as those of other crates do, so that what they call need not be public.

use bolero::check;

use crate::archive::{self, members};
use crate::{
    BINARY_BUILD_ID, PACKAGE_BUILD_ID, binary_content_id, full_archive, package_content_id,
    stamp_binary, stamp_package,
};

const PREFIX: &str = "aaaaaaaaaaaaaaaaaaaa/bbbbbbbbbbbbbbbbbbbb/cccccccccccccccccccc";

/// Any ELF, Mach-O or PE file: an error, or a file that has the ID which was told.
#[test]
fn binary() {
    check!().for_each(|input: &[u8]| {
        let mut binary = input.to_vec();
        let Ok(stamped) = stamp_binary(&mut binary, BINARY_BUILD_ID, PREFIX, &|_| true) else {
            return;
        };
        assert_eq!(binary.len(), input.len());
        let (prefix, content) = stamped.build_id.rsplit_once('/').unwrap();
        assert_eq!(prefix, PREFIX);
        if memchr::memmem::find(input, BINARY_BUILD_ID.as_bytes()).is_none() {
            assert_eq!((stamped.places, binary.as_slice()), (0, input));
        }
        assert!(memchr::memmem::find(&binary, BINARY_BUILD_ID.as_bytes()).is_none());
        // What stands in the place of the ID is no part of the content.
        if stamped.places > 0
            && !is_signed(&binary)
            && let Ok(again) = binary_content_id(&binary, &stamped.build_id)
        {
            assert_eq!(again, content);
        }
    });
}

/// A Mach-O file may have a signature that covers the ID, and is made anew behind it.
fn is_signed(binary: &[u8]) -> bool {
    crate::macho::is_macho(binary)
}

/// Any archive: an error, or members that make up the whole file.
#[test]
fn archive_members() {
    check!().for_each(|input: &[u8]| {
        let Ok(members) = members(input) else {
            return;
        };
        let mut end = archive::MAGIC.len();
        for member in members {
            assert_eq!(member.whole.start, end);
            assert!(member.whole.start <= member.content.start);
            assert!(member.content.end <= member.whole.end);
            end = member.whole.end;
        }
        assert_eq!(end, input.len());
    });
}

/// Export data and objects, cut out of one input: the ID is that of the archive which they make, before and after stamping.
#[test]
fn package() {
    check!().for_each(|input: &[u8]| {
        let Some((cut, rest)) = input.split_first_chunk::<2>() else {
            return;
        };
        let cut = usize::from(u16::from_le_bytes(*cut)).min(rest.len());
        let (export, object) = rest.split_at(cut);
        let Ok(mut archive) = full_archive(export, object) else {
            return;
        };
        let Ok(content) = package_content_id(export, object, PACKAGE_BUILD_ID) else {
            return;
        };
        let new = format!("aaaaaaaaaaaaaaaaaaaa/{content}");
        stamp_package(&mut archive, PACKAGE_BUILD_ID, &new).unwrap();
        assert!(memchr::memmem::find(&archive, new.as_bytes()).is_some());
        assert!(members(&archive).is_ok());
    });
}
