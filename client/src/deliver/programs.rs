//! Programs and archives as they leave the farm: stamped with Go's identities and written.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Metadata};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use gofarm_engine::core::BuildResult;
use gofarm_identity::{
    BINARY_BUILD_ID, PACKAGE_BUILD_ID, full_archive, stamp_binary, stamp_package,
};
use gofarm_plan::{Identities, literals};
use gofarm_proto::{Digest, v1};

use super::identities::{BuildIdentities, output};
use super::record::Record;
use super::targets::{check_target, targets};
use crate::blobs::Blobs;
use crate::farm::Finished;
use crate::outline::Outline;
use crate::session::{Delivered, Purpose};

/// Programs and archives on the user's disk, as what a build is done for.
pub struct Programs {
    folder: PathBuf,
    records: PathBuf,
    /// By node.
    targets: BTreeMap<usize, PathBuf>,
    written: Vec<PathBuf>,
}

impl Programs {
    /// Where the user wants them, from this folder on. `records` is a folder for remembering what was written.
    pub fn below(folder: &Path, records: PathBuf) -> Programs {
        Programs {
            folder: folder.to_owned(),
            records,
            targets: BTreeMap::new(),
            written: Vec::new(),
        }
    }

    /// Where each of them is.
    pub fn written(&self) -> &[PathBuf] {
        &self.written
    }
}

impl Purpose for Programs {
    fn wanted(&mut self, outline: &Outline) -> anyhow::Result<BTreeSet<usize>> {
        self.targets = targets(outline, &self.folder);
        for (node, target) in &self.targets {
            check_target(outline, *node, target)?;
        }
        Ok(outline.read_for(self.targets.keys().copied()))
    }

    fn deliver(
        &mut self,
        outline: &Outline,
        finished: &Finished,
        blobs: &dyn Blobs,
    ) -> anyhow::Result<Delivered> {
        let (written, bytes) = write_all(outline, finished, blobs, &self.targets, &self.records)?;
        self.written = written;
        Ok(Delivered {
            programs: self.written.len(),
            bytes,
        })
    }
}

/// Writes what a node made to its target, unless what is there is that already. Returns the bytes written.
fn write(
    identities: &BuildIdentities<'_>,
    node: usize,
    target: &Path,
    records: &Path,
) -> anyhow::Result<u64> {
    let result = identities
        .result(node as u32)
        .ok_or_else(|| anyhow!("internal error: node {node} has no result"))?;
    let unknown = || {
        anyhow!(
            "internal error: the Go identity of {} is not known",
            identities.outline.nodes[node].label
        )
    };
    let is_program = identities.outline.nodes[node].kind() == v1::Kind::Link;
    let build_id = if is_program {
        identities.program_prefix(node)
    } else {
        identities.build_id(node as u32)
    }
    .ok_or_else(unknown)?;
    let digests: Vec<Digest> = result.outputs.iter().map(|output| output.digest).collect();
    let header = write_header(identities, node, target)?;
    let record = Record::new(target, records, &digests, &build_id);
    if record.holds() {
        return Ok(header);
    }
    let bytes = if is_program {
        let digest = output(identities.outline, node, result, "binary")?;
        let mut bytes = identities.blobs.read(&digest)?;
        // Flags of the linker are in what Go's identity is made of.
        let identity = &identities.outline.nodes[node].identity;
        let named = |digits: &str| {
            let parts = identity.iter().flat_map(literals);
            parts
                .into_iter()
                .any(|text| text.to_ascii_lowercase().contains(digits))
        };
        stamp_binary(&mut bytes, BINARY_BUILD_ID, &build_id, &named)
            .with_context(|| format!("stamping {}", target.display()))?;
        bytes
    } else {
        let (export, object) = identities.package(node)?.ok_or_else(unknown)?;
        let mut bytes = full_archive(&export, &object)?;
        stamp_package(&mut bytes, PACKAGE_BUILD_ID, &build_id)?;
        bytes
    };
    // What is up to date stays as it is, its permissions too (`useCache` in cmd/go/internal/work/buildid.go).
    if let Some(there) = holding(target, &bytes) {
        record.keep(&there);
        return Ok(header);
    }
    let executable = is_program && !identities.outline.nodes[node].c_library;
    check_target(identities.outline, node, target)?;
    let written = write_atomically(target, &bytes, executable);
    if let Some(written) = written.map_err(|error| unwritten(target, error))? {
        record.keep(&written);
    }
    Ok(header + bytes.len() as u64)
}

/// What the system says of the file that is there, if it has these bytes. A pipe is none, and would be waited for.
fn holding(target: &Path, bytes: &[u8]) -> Option<Metadata> {
    fs::metadata(target).ok().filter(Metadata::is_file)?;
    let mut file = File::open(target).ok()?;
    // From before it is read: whoever writes into it meanwhile makes it another one.
    let metadata = file.metadata().ok()?;
    let mut there = Vec::with_capacity(bytes.len());
    file.read_to_end(&mut there).ok()?;
    (there == bytes).then_some(metadata)
}

/// Writes the header of a library for C beside it, if it exports anything (`installHeader` in
/// cmd/go/internal/work/exec.go). Returns the bytes written.
fn write_header(
    identities: &BuildIdentities<'_>,
    node: usize,
    target: &Path,
) -> anyhow::Result<u64> {
    let library = &identities.outline.nodes[node];
    let main = library.main.filter(|_| library.c_library);
    let header = main
        .and_then(|main| identities.result(main))
        .and_then(|result| result.output("header"));
    let Some(digest) = header else {
        return Ok(0);
    };
    let target = target.with_extension("h");
    let bytes = identities.blobs.read(&digest)?;
    if holding(&target, &bytes).is_some() {
        return Ok(0);
    }
    write_atomically(&target, &bytes, false).map_err(|error| unwritten(&target, error))?;
    Ok(bytes.len() as u64)
}

/// What became of a program that could not be written, and what to do.
fn unwritten(target: &Path, error: impl Into<anyhow::Error>) -> anyhow::Error {
    let error = error.into();
    let full = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|error| {
            matches!(
                error.kind(),
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded
            )
        });
    error.context(match full {
        true => format!(
            "there is no room for {}: make some, or name a folder on another disk with -o (what was built is in the cache)",
            target.display()
        ),
        false => format!("writing {}", target.display()),
    })
}

/// Writes what the nodes of a finished build have made to their targets, as far as there is anything. Returns what is
/// there now and the bytes written. `records` is a folder for remembering what was written.
///
/// # Errors
/// A blob that cannot be read, or a file that cannot be written.
pub fn write_all(
    outline: &Outline,
    finished: &Finished,
    blobs: &dyn Blobs,
    targets: &BTreeMap<usize, PathBuf>,
    records: &Path,
) -> anyhow::Result<(Vec<PathBuf>, u64)> {
    let mut written = Vec::new();
    let mut bytes = 0;
    if finished.summary.result == BuildResult::Cancelled {
        return Ok((written, bytes));
    }
    let identities = BuildIdentities::new(outline, &finished.results, blobs)?;
    for (&node, target) in targets {
        if finished.results[node].is_some() {
            bytes += write(&identities, node, target, records)?;
            written.push(target.clone());
        }
    }
    Ok((written, bytes))
}

/// Returns what the system says of the file that was written, even where another has taken its place since; of a device nothing, nor of
/// one that somebody has written into since.
fn write_atomically(
    target: &Path,
    bytes: &[u8],
    executable: bool,
) -> anyhow::Result<Option<Metadata>> {
    if fs::metadata(target).is_ok_and(|metadata| !metadata.is_file()) {
        // A device or a pipe stays what it is.
        fs::write(target, bytes)?;
        return Ok(None);
    }
    let folder = target.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mode = if executable { 0o777 } else { 0o666 };
    // Made with that mode, so that the umask applies as it does to what go build writes.
    let mut file = tempfile::Builder::new()
        .prefix(".gofarm-")
        .permissions(fs::Permissions::from_mode(mode))
        .tempfile_in(folder)?;
    file.write_all(bytes)?;
    let before = file.as_file().metadata()?;
    let file = file.persist(target)?;
    // With the time of the rename as its time of change. Whoever writes into it from then on moves the other one, too.
    let written = file.metadata()?;
    let is_ours = (written.modified()?, written.len()) == (before.modified()?, before.len());
    Ok(is_ours.then_some(written))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_of_the_file_that_was_written_whatever_is_at_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("program");
        let records = folder.path().join("records");
        let record = |of: &[u8]| Record::new(&target, &records, &[Digest::of(of)], "id");
        let written = write_atomically(&target, b"mine", true).unwrap().unwrap();
        record(b"mine").keep(&written);
        assert!(record(b"mine").holds());
        assert!(!record(b"yours").holds());

        // Two builds that write one file: the second is there before the first has kept its record.
        let written = write_atomically(&target, b"mine", true).unwrap().unwrap();
        write_atomically(&target, b"yours", true).unwrap();
        record(b"mine").keep(&written);
        assert!(!record(b"mine").holds());

        // And the first had found its bytes there already.
        write_atomically(&target, b"mine", true).unwrap();
        let there = holding(&target, b"mine").unwrap();
        write_atomically(&target, b"yours", true).unwrap();
        record(b"mine").keep(&there);
        assert!(!record(b"mine").holds());
        assert!(holding(&target, b"mine").is_none());
    }
}
