//! What a client has to know of a build beside its graph: how its actions are called, where their files are on the user's
//! machine, and what Go's identities of its programs are computed from.
//!
//! A build that is submitted to a farm takes its outline along, so that whoever attaches to it from elsewhere prints the
//! same text and writes the same programs.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use gofarm_plan::{BoundPlan, IdentityTemplate, PartKind, Plan, RecordedFlags, Roots};
use gofarm_proto::v1;

/// What is to be known of a build. The graph's nodes and these are the same, in the same order.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Outline {
    /// In topological order.
    #[prost(message, repeated, tag = "1")]
    pub nodes: Vec<OutlineNode>,
    /// Where the files are.
    #[prost(message, repeated, tag = "2")]
    pub roots: Vec<Root>,
    /// As `go env GOVERSION` has it.
    #[prost(string, tag = "3")]
    pub go_version: String,
    /// `.exe` or nothing.
    #[prost(string, tag = "4")]
    pub exe_suffix: String,
    /// What cmd/go said to the user while it planned.
    #[prost(string, repeated, tag = "5")]
    pub notes: Vec<String>,
    /// Go hashes of the files that identities name, by virtual path.
    #[prost(map = "string, string", tag = "6")]
    pub go_hashes: HashMap<String, String>,
    /// What was asked for, as it was written.
    #[prost(string, repeated, tag = "7")]
    pub packages: Vec<String>,
    /// The working folder, in the user's spelling.
    #[prost(string, tag = "8")]
    pub folder: String,
    /// -o.
    #[prost(string, optional, tag = "9")]
    pub output: Option<String>,
    /// -x, which changes what cmd/go shows of cgo.
    #[prost(bool, tag = "10")]
    pub print_commands: bool,
}

/// An action.
#[derive(Clone, PartialEq, prost::Message)]
pub struct OutlineNode {
    /// As in the graph.
    #[prost(string, tag = "1")]
    pub label: String,
    /// As in the graph.
    #[prost(enumeration = "v1::Kind", tag = "2")]
    pub kind: i32,
    /// As in the graph: the import path, variants included.
    #[prost(string, tag = "3")]
    pub package: String,
    /// The import path, without a variant.
    #[prost(string, tag = "4")]
    pub import_path: String,
    /// The package's folder on the user's machine; empty for programs.
    #[prost(string, tag = "5")]
    pub folder: String,
    /// It runs programs of the machine.
    #[prost(bool, tag = "6")]
    pub host_tools: bool,
    /// How cmd/go identifies what this makes; only where a program's or an archive's identity needs it.
    #[prost(message, optional, tag = "7")]
    pub identity: Option<IdentityTemplate>,
    /// For programs: the node of package main.
    #[prost(uint32, optional, tag = "8")]
    pub main: Option<u32>,
    /// Where cmd/go would move the program or archive, when it was told.
    #[prost(string, optional, tag = "9")]
    pub target: Option<String>,
    /// For packages: linker flags that stand in its object code otherwise than cmd/go would record them.
    #[prost(message, optional, tag = "10")]
    pub recorded_flags: Option<RecordedFlags>,
    /// For programs: a library for C, which comes with the header that package main exports.
    #[prost(bool, tag = "11")]
    pub c_library: bool,
}

/// A folder of the user's machine.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Root {
    /// The virtual folder that stands for it.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The folder.
    #[prost(string, tag = "2")]
    pub real: String,
}

/// What the user asked for, as far as it is part of an outline.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// See [`Outline::packages`].
    pub packages: &'a [String],
    /// See [`Outline::folder`].
    pub folder: &'a Path,
    /// See [`Outline::output`].
    pub output: Option<&'a str>,
    /// See [`Outline::print_commands`].
    pub print_commands: bool,
}

impl Outline {
    /// The outline of a plan.
    pub fn new(plan: &Plan, bound: &BoundPlan, asked: Asked<'_>) -> Outline {
        let identified = identified(plan);
        let nodes = plan.nodes.iter().enumerate().map(|(index, node)| {
            let identity = identified.contains(&index);
            OutlineNode {
                label: node.action.label.clone(),
                kind: node.action.kind,
                package: node.action.package.clone(),
                import_path: node.import_path.clone(),
                folder: node.folder.clone(),
                host_tools: node.action.host_tools,
                identity: node.identity.clone().filter(|_| identity),
                main: node.main,
                target: node.target.clone(),
                recorded_flags: node.recorded_flags.clone(),
                c_library: node.c_library,
            }
        });
        let nodes: Vec<OutlineNode> = nodes.collect();
        let hashed = nodes
            .iter()
            .filter_map(|node| node.identity.as_ref())
            .flat_map(|identity| &identity.parts);
        let go_hashes = hashed.filter_map(|part| match &part.kind {
            Some(PartKind::FileHash(path)) => {
                Some((path.clone(), bound.go_hashes.get(path)?.to_string()))
            }
            _ => None,
        });
        Outline {
            go_hashes: go_hashes.collect(),
            nodes,
            roots: roots(&plan.roots),
            go_version: plan.go_version.clone(),
            exe_suffix: plan.exe_suffix.clone(),
            notes: plan.notes.clone(),
            packages: asked.packages.to_vec(),
            folder: asked.folder.to_string_lossy().into_owned(),
            output: asked.output.map(str::to_owned),
            print_commands: asked.print_commands,
        }
    }

    /// Indices of the nodes that link programs.
    pub fn programs(&self) -> impl Iterator<Item = usize> {
        self.nodes
            .iter()
            .enumerate()
            .filter(|(_, node)| node.kind() == v1::Kind::Link)
            .map(|(index, _)| index)
    }

    /// The nodes that make profiles which identities name, each once.
    pub fn profiles(&self) -> BTreeSet<u32> {
        let identities = self.nodes.iter().filter_map(|node| node.identity.as_ref());
        let parts = identities.flat_map(|identity| &identity.parts);
        parts
            .filter_map(|part| match part.kind {
                Some(PartKind::ProfileHash(node)) => Some(node),
                _ => None,
            })
            .collect()
    }

    /// The packages whose content ID is not that of their object code as it is.
    pub fn restored(&self) -> impl Iterator<Item = usize> {
        let nodes = self.nodes.iter().enumerate();
        nodes.filter_map(|(index, node)| node.recorded_flags.as_ref().map(|_| index))
    }

    /// The nodes whose outputs are read when these nodes' programs or archives are written.
    pub fn read_for(&self, targets: impl IntoIterator<Item = usize>) -> BTreeSet<usize> {
        let profiles = self.profiles().into_iter().map(|node| node as usize);
        let targets: Vec<usize> = targets.into_iter().collect();
        let headers: Vec<usize> = targets
            .iter()
            .filter_map(|node| self.nodes.get(*node).filter(|node| node.c_library)?.main)
            .map(|node| node as usize)
            .collect();
        targets
            .into_iter()
            .chain(headers)
            .chain(profiles)
            .chain(self.restored())
            .collect()
    }

    /// The path on the user's machine of a virtual path; `None` for scratch and produced inputs.
    pub fn to_real(&self, path: &str) -> Option<PathBuf> {
        self.roots.iter().find_map(|root| {
            let rest = path.strip_prefix(root.name.as_str())?;
            (rest.is_empty() || rest.starts_with('/'))
                .then(|| PathBuf::from(format!("{}{rest}", root.real)))
        })
    }
}

/// The nodes whose identities have to be known for stamping any program or archive of the plan.
fn identified(plan: &Plan) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut open: Vec<usize> = plan.programs().collect();
    let archives = plan.nodes.iter().enumerate();
    open.extend(archives.filter_map(|(index, node)| node.target.as_ref().map(|_| index)));
    while let Some(index) = open.pop() {
        let Some(node) = plan.nodes.get(index).filter(|_| found.insert(index)) else {
            continue;
        };
        open.extend(node.main.map(|main| main as usize));
        let parts = node.identity.iter().flat_map(|identity| &identity.parts);
        open.extend(parts.filter_map(|part| match part.kind {
            Some(PartKind::BuildId(node)) => Some(node as usize),
            _ => None,
        }));
    }
    found
}

/// One inside another comes first: the first that fits is the one.
fn roots(roots: &Roots) -> Vec<Root> {
    let named = roots.named().into_iter();
    named
        .map(|(name, real)| Root {
            name: name.to_owned(),
            real: real.to_owned(),
        })
        .collect()
}
