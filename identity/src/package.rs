//! The content ID of a package, over the archive that cmd/go would have cached for it.

use crate::archive::{self, MAGIC, Member, ParseError};
use crate::hash::hash_to_string;
use crate::zeroing::ZeroingHasher;

/// The member that holds a package's export data.
const EXPORT_MEMBER: &str = "__.PKGDEF";

/// The member that holds the compiler's object code.
const OBJECT_MEMBER: &str = "_go_.o";

/// Why two files are not the halves of one package.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PackageError {
    /// The export file cannot be read as an archive.
    #[error("reading the package's export file (compile -o): {0}")]
    Export(ParseError),
    /// The object file cannot be read as an archive.
    #[error("reading the package's object file (compile -linkobj): {0}")]
    Object(ParseError),
    /// A file begins with another member than the compiler writes first.
    #[error(
        "the package's {file} file begins with {found}, expected the member {expected}: \
         it was not written by go tool compile with both -o and -linkobj"
    )]
    FirstMember {
        /// `export` or `object`.
        file: &'static str,
        /// The member that it begins with.
        found: String,
        /// What it should have been.
        expected: &'static str,
    },
    /// The build ID to look for is not there, so the content ID would depend on whatever stands in its place.
    #[error(
        "the build ID {0:?} does not occur in the package: it was compiled with another -buildid"
    )]
    NoBuildId(String),
    /// The linker flags of cgo that were to be replaced are not recorded in the package.
    #[error("the package does not record the cgo linker flags {0:?}")]
    NoFlags(String),
    /// The build ID to write is not as long as the one in the archive.
    #[error("cannot write the build ID {new:?} over {old:?}: their lengths differ")]
    Length {
        /// What the archive was compiled with.
        old: String,
        /// What was to be written.
        new: String,
    },
}

/// The content ID that cmd/go gives to a package: the second half of its build ID.
///
/// `export` is the `-o` file of a compile with `-linkobj`, `object` the `-linkobj` file with the members that the pack step
/// appended, `build_id` the `-buildid` of that compile. The hash is over the archive of [`full_archive`], which is not
/// built for it, with every occurrence of `build_id` read as zeros.
pub fn package_content_id(
    export: &[u8],
    object: &[u8],
    build_id: &str,
) -> Result<String, PackageError> {
    let (export, object) = halves(export, object)?;
    if build_id.is_empty() {
        return Err(PackageError::NoBuildId(String::new()));
    }
    let mut hasher = ZeroingHasher::new(build_id.as_bytes());
    hasher.push(MAGIC);
    hasher.push(export);
    hasher.push(object);
    let zeroed = hasher.finish();
    if zeroed.matches.is_empty() {
        return Err(PackageError::NoBuildId(build_id.to_owned()));
    }
    Ok(hash_to_string(&zeroed.hash))
}

/// The one archive that cmd/go makes and caches where gofarm keeps two files: export data first, then all objects.
pub fn full_archive(export: &[u8], object: &[u8]) -> Result<Vec<u8>, PackageError> {
    let (export, object) = halves(export, object)?;
    Ok([MAGIC, export, object].concat())
}

/// Writes a package's real build ID, `actionID/contentID`, over the one that its archive was compiled with, everywhere.
pub fn stamp_package(archive: &mut [u8], old: &str, new: &str) -> Result<(), PackageError> {
    if old.len() != new.len() {
        return Err(PackageError::Length {
            old: old.to_owned(),
            new: new.to_owned(),
        });
    }
    let places: Vec<usize> = memchr::memmem::find_iter(archive, old.as_bytes()).collect();
    if old.is_empty() || places.is_empty() {
        return Err(PackageError::NoBuildId(old.to_owned()));
    }
    for at in places {
        archive[at..at + new.len()].copy_from_slice(new.as_bytes());
    }
    Ok(())
}

/// The export member and all object members, each with header and padding.
fn halves<'a>(export: &'a [u8], object: &'a [u8]) -> Result<(&'a [u8], &'a [u8]), PackageError> {
    let export_members = archive::members(export).map_err(PackageError::Export)?;
    let object_members = archive::members(object).map_err(PackageError::Object)?;
    let first = expect_first("export", &export_members, EXPORT_MEMBER)?;
    expect_first("object", &object_members, OBJECT_MEMBER)?;
    Ok((&export[first.whole.clone()], &object[MAGIC.len()..]))
}

fn expect_first<'m>(
    file: &'static str,
    members: &'m [Member],
    expected: &'static str,
) -> Result<&'m Member, PackageError> {
    match members.first() {
        Some(first) if first.name == expected => Ok(first),
        other => Err(PackageError::FirstMember {
            file,
            found: other.map_or("no member".into(), |first| {
                format!("the member {}", first.name)
            }),
            expected,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    const ID: &str = crate::PACKAGE_BUILD_ID;

    fn archive(members: &[(&str, String)]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for (name, content) in members {
            let header = format!(
                "{name:<16}0           0     0     644     {:<10}`\n",
                content.len()
            );
            bytes.extend_from_slice(header.as_bytes());
            bytes.extend_from_slice(content.as_bytes());
            bytes.resize(bytes.len().next_multiple_of(2), 0);
        }
        bytes
    }

    #[test]
    fn the_content_id_is_that_of_the_full_archive_and_not_of_the_build_id() {
        let export = archive(&[(EXPORT_MEMBER, format!("build id {ID:?} export"))]);
        let object = archive(&[(OBJECT_MEMBER, format!("build id {ID:?} object"))]);
        let content = package_content_id(&export, &object, ID).unwrap();

        let mut full = full_archive(&export, &object).unwrap();
        let zeros = "\0".repeat(ID.len());
        stamp_package(&mut full, ID, &zeros).unwrap();
        assert_eq!(content, hash_to_string(&Sha256::digest(&full).into()));
    }

    #[test]
    fn what_the_compiler_did_not_write_in_two_files_is_refused() {
        let export = archive(&[(EXPORT_MEMBER, ID.into())]);
        let object = archive(&[(OBJECT_MEMBER, ID.into())]);
        let text = |result: Result<String, PackageError>| result.unwrap_err().to_string();
        assert_eq!(
            text(package_content_id(&object, &export, ID)),
            "the package's export file begins with the member _go_.o, expected the member __.PKGDEF: \
             it was not written by go tool compile with both -o and -linkobj"
        );
        assert_eq!(
            text(package_content_id(&export, b"", ID)),
            "reading the package's object file (compile -linkobj): not an ar archive: it does not begin with \"!<arch>\""
        );
        assert_eq!(
            text(package_content_id(&export, &object, "a/b")),
            "the build ID \"a/b\" does not occur in the package: it was compiled with another -buildid"
        );
    }

    #[test]
    fn a_build_id_of_another_length_is_not_written() {
        let mut full = archive(&[(EXPORT_MEMBER, ID.into())]);
        let before = full.clone();
        stamp_package(&mut full, ID, "short").unwrap_err();
        assert_eq!(full, before);
    }
}
