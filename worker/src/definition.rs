//! An action as the worker uses it: decoded, checked against its specification, its inputs resolved.

use std::collections::HashSet;

use gofarm_proto::v1::{Action, input::Source, step};
use gofarm_proto::{Digest, Message};

use crate::error::{ExecuteError, Result};
use crate::virtual_path::VirtualPath;

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
        let inputs = check_paths(&action).and_then(|()| resolve_inputs(&action, produced));
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
