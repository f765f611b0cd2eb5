//! What tools said about an action, as `go build` prints it: all at once, or piece by piece.

use std::path::Path;

use gofarm_proto::v1;

use crate::farm::Output;
use crate::outline::Outline;
use crate::report::{CgoText, Diagnostics, OpenBlock, Subject, locale_is_utf8};

impl Outline {
    /// What tools said about a node, as `go build` of this release prints it.
    pub fn diagnostics(
        &self,
        index: usize,
        render: impl FnOnce(&Diagnostics<'_>, &Subject<'_>, CgoText) -> Vec<u8>,
    ) -> Vec<u8> {
        let node = &self.nodes[index];
        let diagnostics = Diagnostics {
            cwd: Path::new(&self.folder),
            real: &|root| self.to_real(root),
            utf8: locale_is_utf8(),
        };
        let folder = (!node.folder.is_empty()).then(|| Path::new(&node.folder));
        let subject = Subject {
            import_path: &node.import_path,
            description: &node.package,
            folder,
        };
        let uses_cgo = node.host_tools && node.kind() == v1::Kind::Compile;
        let cgo = CgoText::of_release(minor(&self.go_version), uses_cgo, self.print_commands);
        render(&diagnostics, &subject, cgo)
    }

    /// What of a long log can be shown with this piece, as `go build` of this release prints it.
    pub fn show(&self, index: usize, open: &mut OpenBlock, piece: Output<'_>) -> Vec<u8> {
        let shown = |diagnostics: &Diagnostics<'_>, subject: &Subject<'_>, cgo: CgoText| {
            let why = match piece {
                Output::More(bytes) => return diagnostics.more(subject, cgo, open, bytes),
                Output::End => None,
                Output::Lost(why) => Some(why),
            };
            let mut block = std::mem::take(open);
            let nothing = block.is_empty();
            let mut text = diagnostics.rest(subject, cgo, &mut block);
            if let Some(why) = why {
                if nothing {
                    text.extend(diagnostics.header(subject).into_bytes());
                }
                let what = match nothing {
                    true => "the output",
                    false => "the rest of the output",
                };
                let label = &self.nodes[index].label;
                let line = format!(
                    "gofarm: {what} of {label} cannot be shown: {why}; it changes nothing about the build, and building again with --no-cache prints it again\n"
                );
                text.extend(line.into_bytes());
            }
            text
        };
        self.diagnostics(index, shown)
    }
}

/// The minor number of a release such as `go1.27.3`.
fn minor(version: &str) -> u32 {
    version
        .split_whitespace()
        .find_map(|word| word.strip_prefix("go1."))
        .and_then(|rest| {
            rest.split(|c: char| !c.is_ascii_digit())
                .next()?
                .parse()
                .ok()
        })
        .unwrap_or(u32::MAX)
}
