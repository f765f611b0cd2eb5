//! The steps that the worker does itself, as cmd/go does them in its own process.

use gofarm_identity::archive::{AppendError, append_member};
use gofarm_proto::v1::{Pack, ReplaceText, step::Step};

use crate::action::{Definition, ExecRoot, VirtualPath};
use crate::staging::References;
use crate::tree::{ActionTree, Result, Trouble, checked};

/// The surroundings of a native step.
pub(crate) struct NativeStep<'a> {
    pub definition: &'a Definition,
    pub root: &'a ExecRoot,
    pub tree: &'a ActionTree,
    pub references: &'a References,
}

impl NativeStep<'_> {
    /// Does the step. Returns the content ID, if this step computes one; an error says what went wrong, with virtual paths.
    pub fn perform(&self, step: &Step) -> Result<Option<String>> {
        match step {
            Step::Run(_) => Err(Trouble::Content(
                "a program cannot be run natively".to_owned(),
            )),
            Step::WriteFile(write) => {
                let content = self.references.write_into(&write.content, self.root);
                self.tree.write(&write.path, &content).map(|()| None)
            }
            Step::CopyFile(copy) => self.tree.copy(&copy.from, &copy.to).map(|()| None),
            Step::Pack(pack) => self.pack(pack).map(|()| None),
            Step::GoArchive(archive) => {
                let export = self.tree.read(&archive.export)?;
                let object = self.tree.read(&archive.object)?;
                gofarm_identity::package_content_id(&export, &object, &archive.build_id)
                    .map(Some)
                    .map_err(|error| Trouble::Content(format!("{}: {error}", archive.object)))
            }
            Step::ReplaceText(replace) => self.replace(replace).map(|()| None),
        }
    }

    fn pack(&self, pack: &Pack) -> Result<()> {
        if self.definition.input(&pack.archive).is_some() {
            return Err(Trouble::Content(format!(
                "packing into {}: it is an input",
                pack.archive
            )));
        }
        let archive = checked(&pack.archive)?;
        let mut out = self.tree.append(archive)?;
        for member in &pack.members {
            if pack.drop_missing.contains(member) && !self.tree.exists(member)? {
                continue;
            }
            let member = checked(member)?;
            let mut opened = self.tree.open(member, "packing")?.opened;
            let name = member.below().name();
            append_member(&mut out, name, opened.status.size, &mut opened.file)
                .map_err(|error| not_appended(archive, member, error))?;
        }
        Ok(())
    }

    fn replace(&self, replace: &ReplaceText) -> Result<()> {
        if self.definition.input(&replace.path).is_some() {
            return Err(Trouble::Content(format!(
                "replacing text in {}: it is an input",
                replace.path
            )));
        }
        self.tree.change(&replace.path, |content| {
            let text = String::from_utf8(content).map_err(|error| {
                Trouble::Content(format!("replacing text in {}: {error}", replace.path))
            })?;
            let text = text.replace(&*self.root.text(&replace.from), &replace.to);
            Ok(text.into_bytes())
        })
    }
}

fn not_appended(archive: VirtualPath<'_>, member: VirtualPath<'_>, error: AppendError) -> Trouble {
    match error {
        AppendError::Io { action, source } => {
            Trouble::io(&format!("packing {member}, {action}, into"), archive)(source)
        }
        error @ AppendError::Size { .. } => {
            Trouble::Content(format!("packing {member} into {archive}: {error}"))
        }
    }
}
