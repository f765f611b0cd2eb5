//! Go identities: cmd/go's own action IDs, from the hash inputs that it printed.
//!
//! In a dry run nothing is built, so the content IDs in `import P ID`, `packagefile P=ID` and
//! `packagemain ID/ID` are the action IDs of those packages instead (cmd/go/internal/work/buildid.go). They
//! tell which action is meant; with its real content ID in their place the SHA-256 is the real action ID. The
//! `file NAME HASH` parts follow the files, so that an edit does not need another dry run.

use std::collections::HashMap;

use gofarm_identity::{action_id, hash_to_string};
use gofarm_proto::v1::identity_part::Kind as PartKind;
use gofarm_proto::v1::{IdentityPart, IdentityTemplate};

use crate::dryrun::script::HashInput;
use crate::error::PlanError;

/// What the placeholders of a template stand for.
pub trait Identities {
    /// What cmd/go prints as the hash of the file at this virtual path.
    fn file_hash(&self, path: &str) -> Option<String>;
    /// The content ID of what a node made: 20 characters.
    fn content_id(&self, node: u32) -> Option<String>;
    /// `actionID/contentID` of a package.
    fn build_id(&self, node: u32) -> Option<String>;
    /// Hash of the profile that a node made.
    fn profile_hash(&self, node: u32) -> Option<String>;
}

/// Those of the parts of a template that are known beforehand, as text.
pub fn literals(template: &IdentityTemplate) -> impl Iterator<Item = String> {
    template
        .parts
        .iter()
        .filter_map(|part| match part.kind.as_ref()? {
            PartKind::Literal(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            _ => None,
        })
}

/// The Go action ID that a template stands for; `None` while something that it depends on is not known.
pub fn evaluate(template: &IdentityTemplate, identities: &dyn Identities) -> Option<String> {
    let mut pieces: Vec<Vec<u8>> = Vec::with_capacity(template.parts.len());
    for part in &template.parts {
        pieces.push(match part.kind.as_ref()? {
            PartKind::Literal(bytes) => bytes.clone(),
            PartKind::FileHash(path) => identities.file_hash(path)?.into_bytes(),
            PartKind::ContentId(node) => identities.content_id(*node)?.into_bytes(),
            PartKind::BuildId(node) => identities.build_id(*node)?.into_bytes(),
            PartKind::ProfileHash(node) => identities.profile_hash(*node)?.into_bytes(),
        });
    }
    Some(action_id(pieces.iter().map(Vec::as_slice)))
}

/// Finds hash inputs by the action ID that they gave.
pub(crate) fn by_action_id(
    hashes: Vec<HashInput>,
) -> Result<HashMap<String, HashInput>, PlanError> {
    let mut map = HashMap::with_capacity(hashes.len());
    for hash in hashes {
        let mut sum = [0; 32];
        hex::decode_to_slice(&hash.sum, &mut sum).map_err(|_| {
            PlanError::Inconsistent(format!("{} has the sum {:?}", hash.name, hash.sum))
        })?;
        map.insert(hash_to_string(&sum), hash);
    }
    Ok(map)
}

/// What a template is made from.
pub(crate) struct TemplateContext<'a> {
    /// The node of each package, by the action ID of the dry run.
    pub nodes: &'a HashMap<String, u32>,
    /// The virtual path of a file that the hash input names, relative to the package's folder.
    pub file: &'a dyn Fn(&str) -> Option<String>,
    /// The node of the profile that the package is compiled with.
    pub profile: Option<u32>,
}

/// Turns a printed hash input into a template.
pub(crate) fn template(
    hash: &HashInput,
    context: &TemplateContext<'_>,
) -> Result<IdentityTemplate, PlanError> {
    let unknown = |part: &str| {
        PlanError::Inconsistent(format!("{} hashes {part:?} of no known action", hash.name))
    };
    let node = |id: &str, part: &str| context.nodes.get(id).copied().ok_or_else(|| unknown(part));
    let mut builder = Builder::default();
    for part in &hash.parts {
        let Some(text) = std::str::from_utf8(part)
            .ok()
            .and_then(|text| text.strip_suffix('\n'))
        else {
            builder.literal(part);
            continue;
        };
        if let Some(rest) = text.strip_prefix("file ")
            && let Some((name, _)) = rest.rsplit_once(' ')
            && let Some(path) = (context.file)(name)
        {
            builder.literal(format!("file {name} ").as_bytes());
            builder.part(PartKind::FileHash(path));
        } else if let Some(rest) = text.strip_prefix("import ")
            && !rest.starts_with('"')
            && let Some((path, id)) = rest.rsplit_once(' ')
            && !id.is_empty()
        {
            builder.literal(format!("import {path} ").as_bytes());
            builder.part(PartKind::ContentId(node(id, text)?));
        } else if let Some(rest) = text.strip_prefix("packagefile ")
            && let Some((path, id)) = rest.rsplit_once('=')
        {
            builder.literal(format!("packagefile {path}=").as_bytes());
            builder.part(PartKind::ContentId(node(id, text)?));
        } else if let Some(rest) = text.strip_prefix("packagemain ")
            && let Some((id, _)) = rest.split_once('/')
        {
            builder.literal(b"packagemain ");
            builder.part(PartKind::BuildId(node(id, text)?));
        } else if text.starts_with("pgofile ") {
            builder.literal(b"pgofile ");
            builder.part(PartKind::ProfileHash(
                context.profile.ok_or_else(|| unknown(text))?,
            ));
        } else {
            builder.literal(part);
            continue;
        }
        builder.literal(b"\n");
    }
    Ok(IdentityTemplate {
        parts: builder.parts,
    })
}

#[derive(Default)]
struct Builder {
    parts: Vec<IdentityPart>,
}

impl Builder {
    fn literal(&mut self, bytes: &[u8]) {
        if let Some(IdentityPart {
            kind: Some(PartKind::Literal(last)),
        }) = self.parts.last_mut()
        {
            last.extend_from_slice(bytes);
        } else {
            self.part(PartKind::Literal(bytes.to_vec()));
        }
    }

    fn part(&mut self, kind: PartKind) {
        self.parts.push(IdentityPart { kind: Some(kind) });
    }
}
