//! Projects for tests, as a client has them when they are planned and bound.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gofarm_engine::core::BuildId;
use gofarm_plan::BoundPlan;
use gofarm_proto::{Digest, Message, v1};
use gofarm_store::History;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::Remote;
use super::farm_test::TestFarm;
use super::story::Story;
use super::story_test::Told;
use crate::cli::FarmSettings;
use crate::farm::build::{Build, Choices, Finished};
use crate::farm::supply::Supply;
use crate::outline::Outline;

pub(super) const SOURCE: &[u8] = b"package m\n";
/// What [`Project::with_late`] has to be given.
pub(super) const LATE: &[u8] = b"package late\n";

/// Packages of one file each, of which each imports the one before, and a program of the last.
pub(super) struct Project {
    pub folder: TempDir,
    pub graph: v1::Graph,
    supply: Arc<Supply>,
    outline: Outline,
    history: History,
    pub told: Told,
}

fn produced(output: &str) -> v1::input::Source {
    v1::input::Source::Produced(v1::Produced {
        output: output.into(),
    })
}

fn action(
    label: &str,
    kind: v1::Kind,
    inputs: impl IntoIterator<Item = v1::input::Source>,
    output: &str,
) -> v1::Action {
    let inputs = inputs.into_iter().enumerate();
    v1::Action {
        label: label.to_owned(),
        kind: kind.into(),
        inputs: inputs
            .map(|(number, source)| v1::Input {
                path: format!("/__gofarm__/main/{number}"),
                source: Some(source),
                ..v1::Input::default()
            })
            .collect(),
        outputs: vec![v1::Output {
            name: output.to_owned(),
            path: "/__gofarm__/w/out".into(),
            ..v1::Output::default()
        }],
        ..v1::Action::default()
    }
}

impl Project {
    /// What happens to it, told to `watch`.
    pub fn story<'a>(&'a self, watch: &'a mut Told) -> Story<'a> {
        Story::new(&self.graph, watch, Arc::new(self.told.clone()), None)
    }

    /// `m`, and a program of it.
    pub fn new() -> Project {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("m.go");
        std::fs::write(&file, SOURCE).unwrap();
        Project::of(folder, &[(SOURCE, file)])
    }

    /// `m`, and above it a package whose file is a pipe: whoever reads it waits until somebody writes [`LATE`] to it.
    pub fn with_late() -> (Project, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("m.go");
        std::fs::write(&file, SOURCE).unwrap();
        let late = folder.path().join("late.go");
        nix::unistd::mkfifo(&late, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let files = [(SOURCE, file), (LATE, late.clone())];
        (Project::of(folder, &files), late)
    }

    fn of(folder: TempDir, files: &[(&[u8], PathBuf)]) -> Project {
        let mut actions = Vec::new();
        let mut edges = Vec::new();
        let edge = |node: usize| v1::Edge {
            node: node as u32,
            output: "object".into(),
        };
        for (number, (content, _)) in files.iter().enumerate() {
            let source = v1::input::Source::Digest(Digest::of(content).into());
            let before = (number > 0).then(|| produced("object"));
            let inputs = [source].into_iter().chain(before);
            actions.push(action("compile m", v1::Kind::Compile, inputs, "object"));
            edges.push(number.checked_sub(1).map(edge).into_iter().collect());
        }
        actions.push(action(
            "link m",
            v1::Kind::Link,
            [produced("object")],
            "binary",
        ));
        edges.push(vec![edge(files.len() - 1)]);
        let definitions: Vec<Vec<u8>> = actions.iter().map(Message::encode_to_vec).collect();
        let nodes = actions.iter().zip(edges).zip(&definitions);
        let nodes = nodes.map(|((action, inputs), definition)| v1::Node {
            action: Some(Digest::of(definition).into()),
            label: action.label.clone(),
            kind: action.kind,
            package: "m".into(),
            inputs,
            requested: action.kind() == v1::Kind::Link,
            ..v1::Node::default()
        });
        let digests = || files.iter().map(|(content, _)| Digest::of(content));
        let paths = files.iter().map(|(_, path)| path.clone());
        let own = digests().map(|digest| vec![digest]);
        let mut bound = BoundPlan {
            graph: v1::Graph {
                nodes: nodes.collect(),
            },
            definitions,
            sources: digests().zip(paths).collect::<HashMap<_, _>>(),
            node_sources: own.chain([vec![]]).collect(),
            go_hashes: HashMap::new(),
        };
        Project {
            supply: Arc::new(Supply::new(&mut bound)),
            graph: bound.graph,
            outline: Outline::default(),
            history: History::load(&folder.path().join("history"), std::time::SystemTime::now())
                .unwrap(),
            folder,
            told: Told::default(),
        }
    }

    pub fn source(&self) -> Digest {
        Digest::of(SOURCE)
    }

    pub async fn build(
        &self,
        remote: &Remote,
        id: u128,
        cancel: &CancellationToken,
    ) -> anyhow::Result<Finished> {
        let mut watch = self.told.clone();
        remote.build(self.told_to(id, &mut watch), cancel).await
    }

    pub fn told_to<'a>(&'a self, id: u128, watch: &'a mut Told) -> Build<'a> {
        Build {
            id: BuildId(id),
            graph: &self.graph,
            outline: &self.outline,
            supply: self.supply.clone(),
            history: &self.history,
            choices: Choices {
                keep_going: true,
                no_cache: false,
            },
            watch,
            worker_watch: Arc::new(self.told.clone()),
            shows_logs: true,
            shows_commands: false,
        }
    }

    /// Waits until something was told that begins so; all that was told up to it.
    pub async fn wait_for(&self, line: &str) -> Vec<String> {
        let mut all = Vec::new();
        while !all.iter().any(|told: &String| told.starts_with(line)) {
            tokio::time::sleep(Duration::from_millis(5)).await;
            all.extend(self.told.take());
        }
        all
    }
}

pub(super) fn remote(farm: &TestFarm) -> Remote {
    Remote::new(&FarmSettings {
        server: format!("http://127.0.0.1:{}", farm.port),
        token: None,
        token_file: None,
        ca: None,
        user: "ann".into(),
        pool: String::new(),
    })
    .unwrap()
}
