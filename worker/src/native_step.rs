//! The steps that the worker does itself, as cmd/go does them in its own process.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use gofarm_identity::archive::{AppendError, append_members};
use gofarm_proto::v1::{CopyFile, GoArchive, Pack, ReplaceText, WriteFile, step::Step};

use crate::by_reference::References;
use crate::definition::Definition;
use crate::staging::make_folder;
use crate::virtual_text::ExecRoot;

/// The surroundings of a native step.
pub(crate) struct NativeStep<'a> {
    pub definition: &'a Definition,
    pub root: &'a ExecRoot,
    pub references: &'a References,
}

impl NativeStep<'_> {
    /// Does the step. Returns the content ID, if this step computes one; an error says what went wrong, with virtual paths.
    pub fn perform(&self, step: &Step) -> Result<Option<String>, Trouble> {
        match step {
            Step::Run(_) => Err(Trouble::Step("a program cannot be run natively".to_owned())),
            Step::WriteFile(write) => self.write(write).map(|()| None),
            Step::CopyFile(copy) => self.copy(copy).map(|()| None),
            Step::Pack(pack) => self.pack(pack).map(|()| None),
            Step::GoArchive(archive) => self.content_id(archive).map(Some),
            Step::ReplaceText(replace) => self.replace(replace).map(|()| None),
        }
    }

    fn write(&self, write: &WriteFile) -> Result<(), Trouble> {
        let file = self.fresh(&write.path)?;
        let content = self.references.write_into(&write.content, self.root);
        fs::write(&file, content).map_err(Trouble::at("writing", &write.path))
    }

    fn copy(&self, copy: &CopyFile) -> Result<(), Trouble> {
        let from = self.root.file(&copy.from);
        let to = self.fresh(&copy.to)?;
        fs::copy(&from, &to).map_err(Trouble::at("copying", &copy.from))?;
        // The copy of a blob would be read-only, and tools write over what they find.
        fs::set_permissions(&to, fs::Permissions::from_mode(0o755))
            .map_err(Trouble::at("making writable", &copy.to))
    }

    fn pack(&self, pack: &Pack) -> Result<(), Trouble> {
        if self.definition.input(&pack.archive).is_some() {
            return Err(Trouble::Step(format!(
                "packing into {}: it is an input",
                pack.archive
            )));
        }
        let members: Vec<PathBuf> = pack
            .members
            .iter()
            .map(|member| (member, self.root.file(member)))
            .filter(|(member, file)| !pack.drop_missing.contains(member) || exists(file))
            .map(|(_, file)| file)
            .collect();
        let archive = self.root.file(&pack.archive);
        append_members(&archive, &members).map_err(|error| match &error {
            AppendError::Io { source, .. } if is_full(source) => {
                Trouble::Full(format!("packing into {}", pack.archive))
            }
            _ => Trouble::Step(self.virtual_text(&error.to_string())),
        })
    }

    fn content_id(&self, archive: &GoArchive) -> Result<String, Trouble> {
        let read = |path: &str| {
            let file = self.root.file(path);
            fs::read(&file).map_err(Trouble::at("reading", path))
        };
        let (export, object) = (read(&archive.export)?, read(&archive.object)?);
        gofarm_identity::package_content_id(&export, &object, &archive.build_id)
            .map_err(|error| Trouble::Step(format!("{}: {error}", archive.object)))
    }

    fn replace(&self, replace: &ReplaceText) -> Result<(), Trouble> {
        if self.definition.input(&replace.path).is_some() {
            return Err(Trouble::Step(format!(
                "replacing text in {}: it is an input",
                replace.path
            )));
        }
        let file = self.root.file(&replace.path);
        let content = fs::read(&file).map_err(Trouble::at("reading", &replace.path))?;
        let text = String::from_utf8(content).map_err(|error| {
            Trouble::Step(format!("replacing text in {}: {error}", replace.path))
        })?;
        let text = text.replace(&*self.root.text(&replace.from), &replace.to);
        fs::write(&file, text).map_err(Trouble::at("writing", &replace.path))
    }

    /// The place of a new file: nothing is there any more, above all no hard link to a blob, and its folder exists.
    fn fresh(&self, path: &str) -> Result<PathBuf, Trouble> {
        let file = self.root.file(path);
        if let Some(parent) = file.parent() {
            make_folder(parent)
                .map_err(|error| Trouble::Step(self.virtual_text(&error.to_string())))?;
        }
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Trouble::at("replacing", path)(error))
            }
            _ => Ok(file),
        }
    }

    fn virtual_text(&self, text: &str) -> String {
        text.replace(
            &*self.root.folder().to_string_lossy(),
            gofarm_proto::EXEC_ROOT,
        )
    }
}

/// Why a native step failed.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The disk is full; what was tried.
    Full(String),
    /// Anything else.
    Step(String),
}

impl Trouble {
    fn at(what: &str, path: &str) -> impl FnOnce(io::Error) -> Trouble {
        let what = format!("{what} {path}");
        move |error| match is_full(&error) {
            true => Trouble::Full(what),
            false => Trouble::Step(format!("{what}: {error}")),
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// Whether there is anything at a path, be it a broken link.
pub(crate) fn exists(file: &Path) -> bool {
    fs::symlink_metadata(file).is_ok()
}
