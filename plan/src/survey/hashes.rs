//! Hash inputs held against what the planner makes of them.

use std::collections::{BTreeMap, BTreeSet};

use gofarm_identity::{action_hash, file_hash, hash_to_string};

use super::{Unknown, known};
use crate::dryrun::script::HashInput;
use crate::identity::{Identities, evaluate};
use crate::plan::Plan;

/// Length of an ID.
const ID: usize = 20;

/// Parts of forms that are not known, and whether the parts together give the sum that is printed with them.
pub(super) fn forms(hash: &HashInput, version: &str) -> Vec<Unknown> {
    let mut unknown = Vec::new();
    for (index, part) in hash.parts.iter().enumerate() {
        let text = String::from_utf8_lossy(part);
        // The salt of all hashes.
        if index == 0 && text == version {
            continue;
        }
        let word = text
            .split([' ', '=', '\n'])
            .next()
            .filter(|_| text.ends_with('\n'));
        // An architecture without variants has `=`.
        let is_known = word.is_some_and(|word| known::FORMS.contains(&word)) || text == "=\n";
        if !is_known {
            let kind = hash.name.split(' ').next().unwrap_or_default();
            unknown.push(Unknown::HashForm(format!("{kind}: {text:?}")));
        }
    }
    let sum = hex::encode(action_hash(hash.parts.iter().map(Vec::as_slice)));
    if sum != hash.sum {
        unknown.push(Unknown::HashForm(format!(
            "{}: its parts give {sum}, cmd/go has {}",
            hash.name, hash.sum
        )));
    }
    unknown
}

/// Everything that a hash input can refer to.
pub(super) struct References {
    ids: BTreeSet<String>,
    files: BTreeSet<String>,
}

impl References {
    /// The actions of a dry run, and the files whose hashes it prints: `HASH PATH: SUM`, as `cache.FileHash` does.
    pub fn new(action_ids: &BTreeSet<String>, stderr: &str) -> References {
        let files = stderr
            .lines()
            .filter_map(|line| line.strip_prefix("HASH ")?.rsplit_once(": "))
            .filter_map(|(_, sum)| {
                let mut bytes = [0; 32];
                hex::decode_to_slice(sum, &mut bytes).ok()?;
                Some(hash_to_string(&bytes))
            });
        References {
            ids: action_ids.clone(),
            files: files.collect(),
        }
    }

    /// Parts that refer to something in another way than those that become placeholders.
    pub fn overlooked(&self, hash: &HashInput) -> Vec<Unknown> {
        let refers = |part: &&Vec<u8>| {
            let text = String::from_utf8_lossy(part);
            let followed = match text.split([' ', '\n']).next() {
                Some("file" | "pgofile") => &self.files,
                Some("import" | "packagefile" | "packagemain") => &self.ids,
                _ => &BTreeSet::new(),
            };
            let is_id = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            text.split(|c| !is_id(c)).any(|token| {
                token.len() == ID
                    && (self.ids.contains(token) || self.files.contains(token))
                    && !followed.contains(token)
            })
        };
        hash.parts
            .iter()
            .filter(refers)
            .map(|part| {
                let text = String::from_utf8_lossy(part);
                Unknown::HashReference(format!("{}: {text:?}", hash.name))
            })
            .collect()
    }
}

/// Evaluates the templates of a plan as if every content ID were what a dry run has in its place, the action ID: how many gave
/// an action ID of the dry run, and those that did not.
pub(super) fn action_ids(plan: &Plan, known: &BTreeSet<String>) -> (usize, Vec<Unknown>) {
    let mut computed = Computed {
        plan,
        ids: BTreeMap::new(),
    };
    let (mut equal, mut unknown) = (0, Vec::new());
    for (index, node) in plan.nodes.iter().enumerate() {
        // Of a profile, which a dry run does not make, nothing is known.
        let Some(id) = node
            .identity
            .as_ref()
            .and_then(|template| evaluate(template, &computed))
        else {
            continue;
        };
        if known.contains(&id) {
            equal += 1;
        } else {
            let label = &node.action.label;
            unknown.push(Unknown::ActionId(format!(
                "{label}: {id} is no action ID of the dry run"
            )));
        }
        computed.ids.insert(index as u32, id);
    }
    (equal, unknown)
}

struct Computed<'a> {
    plan: &'a Plan,
    ids: BTreeMap<u32, String>,
}

impl Identities for Computed<'_> {
    fn file_hash(&self, path: &str) -> Option<String> {
        let real = self.plan.roots.to_real(path)?;
        Some(file_hash(&std::fs::read(real).ok()?))
    }

    fn content_id(&self, node: u32) -> Option<String> {
        self.ids.get(&node).cloned()
    }

    fn build_id(&self, node: u32) -> Option<String> {
        self.ids.get(&node).map(|id| format!("{id}/{id}"))
    }

    fn profile_hash(&self, _node: u32) -> Option<String> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(parts: &[&str]) -> HashInput {
        let parts: Vec<Vec<u8>> = parts.iter().map(|part| part.as_bytes().to_vec()).collect();
        HashInput {
            name: "build a".into(),
            sum: hex::encode(action_hash(parts.iter().map(Vec::as_slice))),
            parts,
        }
    }

    #[test]
    fn a_form_that_no_release_had_is_named() {
        let known = hash(&["go1.27.3", "compile\n", "CC ID=\"x\"\n", "=\n"]);
        assert_eq!(forms(&known, "go1.27.3"), []);
        let unknown = hash(&["go1.28", "shuffle \"x\"\n", "compile"]);
        let named = forms(&unknown, "go1.28");
        assert_eq!(
            named,
            [
                Unknown::HashForm("build: \"shuffle \\\"x\\\"\\n\"".into()),
                Unknown::HashForm("build: \"compile\"".into())
            ]
        );
        let mut other = known;
        other.sum.replace_range(..4, "0000");
        assert_eq!(forms(&other, "go1.27.3").len(), 1);
    }

    #[test]
    fn a_reference_in_another_form_is_overlooked() {
        let id = "aaaaaaaaaaaaaaaaaaaa".to_owned();
        let sum = [0; 32];
        let file = hash_to_string(&sum);
        let stderr = format!("HASH /m/a: {}\nHASH[build a]\n", hex::encode(sum));
        let references = References::new(&BTreeSet::from([id.clone()]), &stderr);
        let followed = hash(&[
            &format!("import fmt {id}\n"),
            &format!("file a.go {file}\n"),
        ]);
        assert_eq!(references.overlooked(&followed), []);
        for part in [
            format!("depends fmt {id}\n"),
            format!("overlay {file}\n"),
            // A file where an action is expected is no action.
            format!("import fmt {file}\n"),
        ] {
            assert_eq!(references.overlooked(&hash(&[&part])).len(), 1, "{part}");
        }
    }
}
