//! Programs and archives as they leave the farm: stamped with Go's identities and put where the user wants them.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow};
use gofarm_engine::core::{ActionResult, BuildResult};
use gofarm_identity::{
    BINARY_BUILD_ID, PACKAGE_BUILD_ID, file_hash, full_archive, package_content_id,
    restore_cgo_flags, stamp_binary, stamp_package,
};
use gofarm_plan::{Identities, PlanError};
use gofarm_proto::{Digest, v1};
use gofarm_store::DiskStore;

use crate::farm::Finished;
use crate::outline::Outline;

/// What a finished build knows for Go's identities.
pub struct BuildIdentities<'a> {
    outline: &'a Outline,
    results: &'a [Option<Arc<ActionResult>>],
    blobs: &'a dyn Blobs,
    /// Hashes of profiles, by the node that made them.
    profiles: HashMap<u32, String>,
    /// Content IDs of packages that are not those of their object code as it is.
    restored: HashMap<u32, String>,
}

/// Where what actions have made is read.
pub trait Blobs {
    /// The bytes of a blob, compared with its digest.
    fn read(&self, digest: &Digest) -> anyhow::Result<Vec<u8>>;
}

impl Blobs for DiskStore {
    fn read(&self, digest: &Digest) -> anyhow::Result<Vec<u8>> {
        Ok(DiskStore::read(self, digest)?)
    }
}

impl<'a> BuildIdentities<'a> {
    /// From the results of a build's nodes, in their order.
    ///
    /// # Errors
    /// A profile, or a package whose object code is to be read, cannot be.
    pub fn new(
        outline: &'a Outline,
        results: &'a [Option<Arc<ActionResult>>],
        blobs: &'a dyn Blobs,
    ) -> anyhow::Result<Self> {
        let mut identities = BuildIdentities {
            outline,
            results,
            blobs,
            profiles: HashMap::new(),
            restored: HashMap::new(),
        };
        for node in outline.profiles() {
            let made = identities.result(node);
            if let Some(digest) = made.and_then(|result| result.output("profile")) {
                let hash = file_hash(&blobs.read(&digest)?);
                identities.profiles.insert(node, hash);
            }
        }
        for node in outline.restored() {
            if let Some((export, object)) = identities.package(node)? {
                let id = package_content_id(&export, &object, PACKAGE_BUILD_ID)?;
                identities.restored.insert(node as u32, id);
            }
        }
        Ok(identities)
    }

    /// The two files of a package, as cmd/go would have them but for the build ID; nothing when it has no result.
    fn package(&self, node: usize) -> anyhow::Result<Option<(Vec<u8>, Vec<u8>)>> {
        let Some(result) = self.result(node as u32) else {
            return Ok(None);
        };
        let read = |name: &str| self.blobs.read(&output(self.outline, node, result, name)?);
        let (export, mut object) = (read("export")?, read("object")?);
        if let Some(flags) = &self.outline.nodes[node].recorded_flags {
            object = restore_cgo_flags(&object, &flags.planned, &flags.given)?;
        }
        Ok(Some((export, object)))
    }

    fn result(&self, node: u32) -> Option<&ActionResult> {
        self.results.get(node as usize)?.as_deref()
    }

    fn action_id(&self, node: usize) -> Option<String> {
        self.outline
            .nodes
            .get(node)?
            .identity
            .as_ref()?
            .evaluate(self)
    }

    /// `linkActionID/mainActionID/mainContentID` of a program.
    fn program_prefix(&self, node: usize) -> Option<String> {
        let link = self.action_id(node)?;
        let main = self.outline.nodes.get(node)?.main?;
        Some(format!("{link}/{}", self.build_id(main)?))
    }
}

impl Identities for BuildIdentities<'_> {
    fn file_hash(&self, path: &str) -> Option<String> {
        self.outline.go_hashes.get(path).cloned()
    }

    fn content_id(&self, node: u32) -> Option<String> {
        if let Some(id) = self.restored.get(&node) {
            return Some(id.clone());
        }
        let id = &self.result(node)?.content_id;
        (!id.is_empty()).then(|| id.to_string())
    }

    fn build_id(&self, node: u32) -> Option<String> {
        Some(format!(
            "{}/{}",
            self.action_id(node as usize)?,
            self.content_id(node)?
        ))
    }

    fn profile_hash(&self, node: u32) -> Option<String> {
        self.profiles.get(&node).cloned()
    }
}

/// Where each program, or archive, of a build goes.
///
/// With -o as cmd/go says; otherwise into `./bin/`, by the name that `go build` would give it, or by import path, with `_`
/// for `/`, where two programs would get the same.
pub fn targets(outline: &Outline, cwd: &Path) -> BTreeMap<usize, PathBuf> {
    if outline.output.is_none() {
        return programs_in(outline, &cwd.join("bin"));
    }
    let nodes = outline.nodes.iter().enumerate();
    nodes
        .filter_map(|(index, node)| Some((index, cwd.join(node.target.as_ref()?))))
        .collect()
}

/// Where each program goes when all go into one folder.
pub fn programs_in(outline: &Outline, folder: &Path) -> BTreeMap<usize, PathBuf> {
    let mut targets = BTreeMap::new();
    let names: Vec<(usize, String)> = outline
        .programs()
        .map(|index| {
            let path = &outline.nodes[index].import_path;
            (index, program_name(path, &outline.packages))
        })
        .collect();
    for (index, name) in &names {
        let clashes = names
            .iter()
            .any(|(other, same)| other != index && same == name);
        // Not a folder for each element: one program's name may be the beginning of another's path.
        let name = if clashes {
            outline.nodes[*index].import_path.replace('/', "_")
        } else {
            name.clone()
        };
        targets.insert(*index, folder.join(format!("{name}{}", outline.exe_suffix)));
    }
    targets
}

/// `DefaultExecName` (cmd/go/internal/load/pkg.go): the last element, or the one before a major version.
fn program_name(import_path: &str, packages: &[String]) -> String {
    if import_path == "command-line-arguments" {
        let file = packages.iter().find(|name| name.ends_with(".go"));
        return file
            .and_then(|file| Path::new(file).file_stem())
            .map_or_else(
                || "main".to_owned(),
                |stem| stem.to_string_lossy().into_owned(),
            );
    }
    let mut elements = import_path.rsplit('/');
    let last = elements.next().unwrap_or(import_path);
    let is_version = last.strip_prefix('v').is_some_and(|number| {
        number.bytes().all(|b| b.is_ascii_digit())
            && !matches!(number, "" | "0" | "1")
            && !number.starts_with('0')
    });
    match elements.next() {
        Some(before) if is_version => before.to_owned(),
        _ => last.to_owned(),
    }
}

/// An output of a node, by its name.
fn output(
    outline: &Outline,
    node: usize,
    result: &ActionResult,
    name: &str,
) -> anyhow::Result<Digest> {
    result.output(name).ok_or_else(|| {
        anyhow!(
            "internal error: {} has no output {name}",
            outline.nodes[node].label
        )
    })
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
            let parts = identity.iter().flat_map(|identity| identity.literals());
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
    let is_there = fs::read(target).is_ok_and(|there| there == bytes);
    if !is_there {
        let executable = is_program && !identities.outline.nodes[node].c_library;
        check_target(identities.outline, node, target)?;
        write_atomically(target, &bytes, executable)
            .with_context(|| format!("writing {}", target.display()))?;
    }
    record.keep();
    Ok(header + if is_there { 0 } else { bytes.len() as u64 })
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
    if fs::read(&target).is_ok_and(|there| there == bytes) {
        return Ok(0);
    }
    write_atomically(&target, &bytes, false)
        .with_context(|| format!("writing {}", target.display()))?;
    Ok(bytes.len() as u64)
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

/// Refuses to write over what is no program, in the words of cmd/go (`checkDstOverwrite` in
/// cmd/go/internal/work/shell.go, and who adds to its error on the way up).
pub fn check_target(outline: &Outline, node: usize, target: &Path) -> anyhow::Result<()> {
    let Ok(metadata) = fs::metadata(target) else {
        return Ok(());
    };
    let problem = if metadata.is_dir() {
        "is a directory"
    } else if metadata.is_file() && metadata.len() > 0 && !is_object(target) {
        "is not an object file"
    } else {
        return Ok(());
    };
    let import_path = &outline.nodes[node].import_path;
    let relative = target.strip_prefix(&outline.folder).unwrap_or(target);
    let shown = match &outline.nodes[node].target {
        Some(named) if outline.output.is_some() => named.clone(),
        _ => relative.display().to_string(),
    };
    let problem = format!("build output {shown:?} already exists and {problem}");
    let text = match outline.output {
        Some(_) => format!("{import_path}: go build {import_path}: {problem}"),
        None => format!("go: {problem}"),
    };
    Err(PlanError::Go { text, exit_code: 1 }.into())
}

/// The beginnings of what linkers and archivers write (`objectMagic` in cmd/go/internal/work/exec.go).
fn is_object(path: &Path) -> bool {
    const MAGIC: [&[u8]; 15] = [
        b"!<arch>\n",
        b"<bigaf>\n",
        b"\x7fELF",
        b"\xfe\xed\xfa\xce",
        b"\xfe\xed\xfa\xcf",
        b"\xce\xfa\xed\xfe",
        b"\xcf\xfa\xed\xfe",
        b"MZ\x90\x00\x03\x00",
        b"MZ\x78\x00\x01\x00",
        b"\x00\x00\x01\xeb",
        b"\x00\x00\x8a\x97",
        b"\x00\x00\x06\x47",
        b"\x00asm",
        b"\x01\xdf",
        b"\x01\xf7",
    ];
    let mut start = [0; 8];
    let read = fs::File::open(path).and_then(|mut file| file.read(&mut start));
    read.is_ok_and(|length| MAGIC.iter().any(|magic| start[..length].starts_with(magic)))
}

fn write_atomically(target: &Path, bytes: &[u8], executable: bool) -> anyhow::Result<()> {
    if fs::metadata(target).is_ok_and(|metadata| !metadata.is_file()) {
        // A device or a pipe stays what it is.
        return Ok(fs::write(target, bytes)?);
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
    file.persist(target)?;
    Ok(())
}

/// Remembers what was written to a target, so that an unchanged program is not stamped and written again.
struct Record {
    target: PathBuf,
    file: PathBuf,
    made_of: String,
}

impl Record {
    fn new(target: &Path, records: &Path, digests: &[Digest], build_id: &str) -> Record {
        let name = blake3_name(target);
        Record {
            target: target.to_owned(),
            file: records.join(name),
            made_of: format!("{digests:?} {build_id}"),
        }
    }

    /// The file's times and place: any write to it changes them.
    fn state(&self) -> Option<String> {
        let metadata = fs::metadata(&self.target).ok()?;
        Some(format!(
            "{} {} {} {}.{:09} {}.{:09}",
            self.made_of,
            metadata.len(),
            metadata.ino(),
            metadata.mtime(),
            metadata.mtime_nsec(),
            metadata.ctime(),
            metadata.ctime_nsec()
        ))
    }

    fn holds(&self) -> bool {
        let kept = fs::read_to_string(&self.file).ok();
        kept.is_some() && kept == self.state()
    }

    /// A record that cannot be kept costs a write next time.
    fn keep(&self) {
        if let (Some(state), Some(folder)) = (self.state(), self.file.parent()) {
            let _ = fs::create_dir_all(folder);
            let _ = fs::write(&self.file, state);
        }
    }
}

fn blake3_name(path: &Path) -> String {
    Digest::of(path.as_os_str().as_encoded_bytes()).hex()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_named_as_go_build_names_them() {
        for (path, name) in [
            ("cmd/gofmt", "gofmt"),
            ("example.com/tool/v2", "tool"),
            ("example.com/tool/v1", "v1"),
            ("tool", "tool"),
        ] {
            assert_eq!(program_name(path, &[]), name);
        }
        assert_eq!(
            program_name("command-line-arguments", &["./a/serve.go".into()]),
            "serve"
        );
    }
}
