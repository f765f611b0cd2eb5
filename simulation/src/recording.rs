//! The graph of a real build with what its actions took, as a small text.
//!
//! One line an action, in topological order: kind, duration in milliseconds, label's subject, and the numbers of the
//! actions that it reads from, the first being 0. Lines that begin with `#` say where it is from.

use gofarm_proto::{Digest, v1};

/// An action as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// What it did.
    pub kind: v1::Kind,
    /// Staging, running and collecting, milliseconds.
    pub duration_ms: u64,
    /// The import path.
    pub package: String,
    /// What it read from.
    pub inputs: Vec<u32>,
}

/// A text that is not a recording.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("recording, line {line}: {what}: {text:?}; record it again")]
pub struct MalformedRecording {
    /// From 1.
    pub line: usize,
    /// What is wrong.
    pub what: &'static str,
    /// The line.
    pub text: String,
}

/// Reads a recording.
///
/// # Errors
///
/// The first line that is not as it should be.
pub fn read(text: &str) -> Result<Vec<Recorded>, MalformedRecording> {
    let mut actions = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.starts_with('#') || line.is_empty() {
            continue;
        }
        let action = read_line(line, actions.len()).map_err(|what| MalformedRecording {
            line: index + 1,
            what,
            text: line.to_owned(),
        })?;
        actions.push(action);
    }
    Ok(actions)
}

fn read_line(line: &str, number: usize) -> Result<Recorded, &'static str> {
    let mut words = line.split(' ');
    let mut word = || words.next().ok_or("too short");
    let kind = match word()? {
        "compile" => v1::Kind::Compile,
        "link" => v1::Kind::Link,
        "preprofile" => v1::Kind::Preprofile,
        _ => return Err("unknown kind"),
    };
    let duration_ms = word()?.parse().map_err(|_| "no duration")?;
    let package = word()?.to_owned();
    let mut inputs = Vec::new();
    for word in words {
        match word.parse::<u32>() {
            Ok(input) if (input as usize) < number => inputs.push(input),
            _ => return Err("reads from no earlier action"),
        }
    }
    Ok(Recorded {
        kind,
        duration_ms,
        package,
        inputs,
    })
}

/// Writes a recording, which [`read`] reads.
pub fn write(actions: &[Recorded]) -> String {
    let mut text = String::new();
    for action in actions {
        let kind = match action.kind {
            v1::Kind::Link => "link",
            v1::Kind::Preprofile => "preprofile",
            v1::Kind::Compile | v1::Kind::Unspecified => "compile",
        };
        text += &format!("{kind} {} {}", action.duration_ms, action.package);
        for input in &action.inputs {
            text += &format!(" {input}");
        }
        text.push('\n');
    }
    text
}

/// The graph, as a client submits it.
pub fn graph(actions: &[Recorded]) -> v1::Graph {
    let nodes = actions.iter().map(|action| {
        let (label, output) = match action.kind {
            v1::Kind::Link => (format!("link {}", action.package), "object"),
            _ => (format!("compile {}", action.package), "export"),
        };
        v1::Node {
            action: Some(Digest::of(label.as_bytes()).into()),
            label,
            kind: action.kind.into(),
            package: action.package.clone(),
            inputs: action
                .inputs
                .iter()
                .map(|node| v1::Edge {
                    node: *node,
                    output: output.to_owned(),
                })
                .collect(),
            source_bytes: 0,
            requested: action.kind == v1::Kind::Link,
            platform: None,
            c_toolchain_name: String::new(),
        }
    });
    v1::Graph {
        nodes: nodes.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "compile 24 internal/goarch\ncompile 300 fmt 0\nlink 900 cmd/gofmt 0 1\n";

    #[test]
    fn a_recording_round_trips() {
        let actions = read(TEXT).unwrap();
        assert_eq!(write(&actions), TEXT);
        assert_eq!(actions[2].inputs, [0, 1]);
        assert_eq!(graph(&actions).nodes[2].inputs[1].output, "object");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let error = read("# of a build\ncompile 1 a\ncompile 1 b 7\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "recording, line 3: reads from no earlier action: \"compile 1 b 7\"; record it again"
        );
        assert!(read("compile x a").is_err());
        assert!(read("assemble 1 a").is_err());
    }
}
