//! An action as the worker uses it: decoded, checked against its specification, its inputs resolved.

use std::collections::HashSet;
use std::path::Path;

use gofarm_proto::v1::{Action, input::Source, step};
use gofarm_proto::{Digest, Message};

use super::place::check_place;
use super::virtual_path::VirtualPath;
use crate::error::{ExecuteError, Result};

/// A checked action. Every path in it that the worker itself touches leads to somewhere below the exec root.
#[derive(Debug)]
pub(crate) struct Definition {
    pub action: Action,
    /// In the order of `action.inputs`, by path.
    pub inputs: Vec<ResolvedInput>,
}

/// An input whose bytes are known.
#[derive(Debug, Clone)]
pub(crate) struct ResolvedInput {
    /// Virtual path.
    pub path: String,
    pub digest: Digest,
    pub by_reference: bool,
}

impl Definition {
    /// Decodes the bytes of `definition` and gives its produced inputs their digests.
    pub fn resolve(definition: &Digest, bytes: &[u8], produced: &[Digest]) -> Result<Definition> {
        let action = Action::decode(bytes).map_err(|error| ExecuteError::Malformed {
            label: definition.to_string(),
            problem: format!("its definition cannot be decoded: {error}"),
        })?;
        let inputs = check_paths(&action)
            .and_then(|()| resolve_inputs(&action, produced))
            .and_then(|inputs| check_places(&action, inputs));
        match inputs {
            Ok(inputs) => Ok(Definition { action, inputs }),
            Err(problem) => Err(ExecuteError::Malformed {
                label: action.label,
                problem,
            }),
        }
    }

    /// The input at this virtual path.
    pub fn input(&self, path: &str) -> Option<&ResolvedInput> {
        let at = self
            .inputs
            .binary_search_by(|input| input.path.as_str().cmp(path));
        self.inputs.get(at.ok()?)
    }

    /// Whether any input is only mentioned, not staged.
    pub fn has_references(&self) -> bool {
        self.inputs.iter().any(|input| input.by_reference)
    }
}

fn resolve_inputs(action: &Action, produced: &[Digest]) -> Result<Vec<ResolvedInput>, String> {
    let mut produced = produced.iter();
    let mut inputs = Vec::with_capacity(action.inputs.len());
    for input in &action.inputs {
        check(&input.path)?;
        let digest = match &input.source {
            Some(Source::Digest(digest)) => Digest::try_from(digest)
                .map_err(|error| format!("the input {:?} has no digest: {error}", input.path))?,
            Some(Source::Produced(_)) => *produced
                .next()
                .ok_or("the task has fewer digests than the action has produced inputs")?,
            None => return Err(format!("the input {:?} has no source", input.path)),
        };
        inputs.push(ResolvedInput {
            path: input.path.clone(),
            digest,
            by_reference: input.by_reference,
        });
    }
    if produced.next().is_some() {
        return Err("the task has more digests than the action has produced inputs".to_owned());
    }
    if let Some(pair) = inputs.windows(2).find(|pair| pair[0].path >= pair[1].path) {
        return Err(format!(
            "its inputs are not sorted by path, or one occurs twice: {:?} stands before {:?}",
            pair[0].path, pair[1].path
        ));
    }
    Ok(inputs)
}

fn check_places(action: &Action, inputs: Vec<ResolvedInput>) -> Result<Vec<ResolvedInput>, String> {
    let paths: HashSet<&Path> = action
        .places
        .iter()
        .map(|place| Path::new(&place.path))
        .collect();
    for place in &action.places {
        check_place(&place.path)?;
        // A link must not lead to where another is to be made.
        if Path::new(&place.path)
            .ancestors()
            .skip(1)
            .any(|folder| paths.contains(folder))
        {
            return Err(format!("{:?} lies below another place", place.path));
        }
        let staged = inputs
            .iter()
            .any(|input| input.path == place.input && !input.by_reference);
        if !staged {
            return Err(format!("{:?} stands for no staged input", place.path));
        }
    }
    Ok(inputs)
}

fn check_paths(action: &Action) -> Result<(), String> {
    for (number, step) in action.steps.iter().enumerate() {
        let paths: Vec<&String> = match &step.step {
            Some(step::Step::Run(run)) => {
                VirtualPath::folder(&run.cwd)
                    .map_err(|problem| format!("step {number}: {problem}"))?;
                if run.argv.first().is_none_or(String::is_empty) {
                    return Err(format!("step {number} runs a program without a name"));
                }
                if !action.host_tools {
                    check(&run.argv[0])?;
                }
                let marker = (!run.failure_marker.is_empty()).then_some(&run.failure_marker);
                run.drop_missing.iter().chain(marker).collect()
            }
            Some(step::Step::WriteFile(write)) => vec![&write.path],
            Some(step::Step::CopyFile(copy)) => vec![&copy.from, &copy.to],
            Some(step::Step::Pack(pack)) => {
                let drop = &pack.drop_missing;
                pack.members
                    .iter()
                    .chain(drop)
                    .chain([&pack.archive])
                    .collect()
            }
            Some(step::Step::ReplaceText(replace)) => vec![&replace.path],
            Some(step::Step::GoArchive(archive)) => vec![&archive.export, &archive.object],
            None => {
                return Err(format!(
                    "step {number} is of a kind that this worker does not know"
                ));
            }
        };
        let skip = Some(&step.skip_if_exists).filter(|path| !path.is_empty());
        for path in paths.into_iter().chain(skip) {
            check(path).map_err(|problem| format!("step {number}: {problem}"))?;
        }
    }
    let mut names = HashSet::new();
    for output in &action.outputs {
        check(&output.path)?;
        if !names.insert(&output.name) {
            return Err(format!("it has two outputs called {:?}", output.name));
        }
    }
    Ok(())
}

/// Refuses what is no path below the exec root.
fn check(path: &str) -> Result<(), String> {
    VirtualPath::new(path).map(drop)
}

#[cfg(test)]
mod tests {
    use gofarm_proto::v1::{Input, Place};

    use super::*;

    fn refused(places: &[(&str, &str)]) -> bool {
        let input = "/__gofarm__/ext/0/x.h";
        let digest = Digest::of(b"x");
        let action = Action {
            inputs: vec![Input {
                path: input.to_owned(),
                source: Some(Source::Digest(digest.into())),
                ..Input::default()
            }],
            places: places
                .iter()
                .map(|(path, input)| Place {
                    path: (*path).to_owned(),
                    input: (*input).to_owned(),
                })
                .collect(),
            ..Action::default()
        };
        Definition::resolve(&digest, &action.encode_to_vec(), &[]).is_err()
    }

    #[test]
    fn inputs_are_shown_only_where_nothing_else_is() {
        let input = "/__gofarm__/ext/0/x.h";
        assert!(!refused(&[("/home/u/x.h", input), ("/tmp/x.h", input)]));
        for path in [
            "",
            "/",
            "x.h",
            "/tmp",
            "/home/../etc/x",
            "/home//x",
            "/home/x/",
            "/etc/passwd",
            "/usr/include/x.h",
            "/dev/null",
            "/proc/1/x",
            "/__gofarm__/w/x.h",
            "/__gofarm_cas__/x",
            "/home/\0",
        ] {
            assert!(refused(&[(path, input)]), "{path:?}");
        }
        assert!(refused(&[("/home/u", "/__gofarm__/ext/0/y.h")]));
        assert!(refused(&[("/home/u", input), ("/home/u/x.h", input)]));
    }
}
