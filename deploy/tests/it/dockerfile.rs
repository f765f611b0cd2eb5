//! A Dockerfile, as far as ours needs it.

use std::collections::BTreeMap;
use std::fs;

use crate::root;

/// A stage: what it is based on, and its instructions with those of the stages that it is based on before them.
#[derive(Clone)]
pub struct Stage {
    pub instructions: Vec<(String, String)>,
}

impl Stage {
    /// All arguments of an instruction.
    pub fn all(&self, instruction: &str) -> Vec<&str> {
        let named = self
            .instructions
            .iter()
            .filter(|(name, _)| name == instruction);
        named.map(|(_, rest)| rest.as_str()).collect()
    }

    /// The last one counts, and must be a JSON array.
    pub fn words(&self, instruction: &str) -> Vec<String> {
        let text = self.all(instruction).pop().unwrap_or("[]").to_owned();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{instruction} {text}: {error}"))
    }
}

/// The stages by name, and the arguments before the first.
pub struct Dockerfile {
    pub args: Vec<String>,
    pub stages: BTreeMap<String, Stage>,
}

/// Reads the Dockerfile; an instruction that Docker does not have is an error.
pub fn read() -> Dockerfile {
    const KNOWN: [&str; 12] = [
        "ARG",
        "CMD",
        "COPY",
        "ENTRYPOINT",
        "ENV",
        "EXPOSE",
        "FROM",
        "LABEL",
        "RUN",
        "USER",
        "VOLUME",
        "WORKDIR",
    ];
    let text = fs::read_to_string(root().join("Dockerfile")).unwrap();
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    let text = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    let mut file = Dockerfile {
        args: Vec::new(),
        stages: BTreeMap::new(),
    };
    let mut current = String::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let (name, rest) = line.split_once(' ').unwrap();
        assert!(KNOWN.contains(&name), "{line}");
        let rest = rest.trim().to_owned();
        if name == "FROM" {
            let (base, stage) = rest.split_once(" AS ").expect("every stage has a name");
            let base = file.stages.get(base).cloned();
            let instructions = base.map(|base| base.instructions).unwrap_or_default();
            current = stage.to_owned();
            file.stages.insert(current.clone(), Stage { instructions });
        } else if current.is_empty() {
            file.args.push(rest);
        } else {
            let stage = file.stages.get_mut(&current).unwrap();
            stage.instructions.push((name.to_owned(), rest));
        }
    }
    file
}
