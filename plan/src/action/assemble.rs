//! Puts the groups of a dry run together as nodes of an action graph.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gofarm_proto::v1;
use gofarm_proto::v1::IdentityTemplate;

use crate::action::environment;
use crate::action::group::{self, Group, Making};
use crate::action::vendored;
use crate::cc::allowed::PkgConfigText;
use crate::cc::memory::Memory;
use crate::cc::toolchain::{self, Toolchains, Used};
use crate::dryrun::actiongraph::ActionGraph;
use crate::dryrun::quote;
use crate::dryrun::script::{HashInput, Script};
use crate::error::PlanError;
use crate::gocmd::Answer;
use crate::gocmd::{GoCommand, GoEnv};
use crate::identity;
use crate::lookups::{Lookups, Question};
use crate::machine::{ListingFact, SearchedFact};
use crate::node::PlannedNode;
use crate::overlay::Overlay;
use crate::roots::Roots;
use crate::wrapper::Wrapper;

/// Everything that the actions of one build share while they are put together.
pub(crate) struct Assembly<'a> {
    pub go: &'a GoCommand,
    pub env: &'a GoEnv,
    pub graph: &'a ActionGraph,
    pub roots: Roots,
    /// Every question to the file system goes through this.
    pub lookups: Lookups,
    /// False with -trimpath=false: then the folders of this machine get into the objects.
    pub trimpath: bool,
    /// What pkg-config said.
    pub answers: Vec<Answer>,
    /// Of that, what go allows.
    pub allowed: Vec<PkgConfigText>,
    pub overlay: Overlay,
    pub wrapper: Option<Wrapper>,
    /// The tools that it starts.
    pub wrapped: BTreeSet<String>,
    pub toolchains: Toolchains,
    hashes: HashMap<String, HashInput>,
    /// The nodes made so far: packages by object folder, and by the action ID of the dry run.
    pub packages: HashMap<String, u32>,
    pub profiles: HashMap<String, u32>,
    /// The linker flags of packages with cgo as cmd/go has them, by object folder.
    pub linker_flags: HashMap<String, Vec<String>>,
    by_id: HashMap<String, u32>,
    pub nodes: Vec<PlannedNode>,
}

/// A dry run put together.
pub(crate) struct Assembled {
    /// In topological order.
    pub nodes: Vec<PlannedNode>,
    pub roots: Roots,
    /// What was asked of the file system.
    pub questions: BTreeSet<Question>,
    /// What pkg-config said.
    pub answers: Vec<Answer>,
    /// The files that the C toolchains' identities rest on.
    pub machine_files: Vec<PathBuf>,
    /// And the folders.
    pub listings: Vec<ListingFact>,
    /// And where their names lead.
    pub searched: Vec<SearchedFact>,
    /// The names of the C compilers.
    pub compilers: Vec<String>,
    pub overlay: Overlay,
    /// A wrapper starts tools.
    pub wrapped: bool,
}

/// What was asked for, as far as actions depend on it.
pub(crate) struct Choices<'a> {
    /// The folder of the main module or workspace.
    pub main: Option<&'a Path>,
    /// See [`Assembly::trimpath`].
    pub trimpath: bool,
    pub overlay: Overlay,
    pub wrapper: Option<Wrapper>,
    /// See [`Assembly::lookups`].
    pub lookups: Lookups,
    /// What is known of C toolchains.
    pub memory: Memory,
    /// See [`PlanRequest::compilers`](crate::PlanRequest::compilers).
    pub compilers: Vec<PathBuf>,
}

/// Puts a dry run together.
pub(crate) fn assemble(
    go: &GoCommand,
    env: &GoEnv,
    script: Script,
    graph: &ActionGraph,
    mut roots: Roots,
    choices: Choices<'_>,
) -> Result<Assembled, PlanError> {
    let groups = group::group(script.entries, env.get("PKG_CONFIG"))?;
    let lookups = choices.lookups;
    let host = Arc::clone(lookups.host());
    if let Some(main) = choices.main.filter(|_| choices.trimpath) {
        vendored::add_roots(&lookups, &choices.overlay, &mut roots, &groups, main);
    }
    let mut assembly = Assembly {
        go,
        env,
        graph,
        roots,
        lookups,
        answers: Vec::new(),
        allowed: Vec::new(),
        trimpath: choices.trimpath,
        overlay: choices.overlay,
        wrapper: choices.wrapper,
        wrapped: BTreeSet::new(),
        toolchains: Toolchains::new(host, choices.memory, choices.compilers),
        hashes: identity::by_action_id(script.hashes)?,
        packages: HashMap::new(),
        profiles: HashMap::new(),
        linker_flags: HashMap::new(),
        by_id: HashMap::new(),
        nodes: Vec::with_capacity(groups.len()),
    };
    for group in groups {
        let index = assembly.nodes.len() as u32;
        let node = match group.making {
            Making::Package => {
                let node = assembly.package(&group)?;
                assembly.packages.insert(group.objdir.clone(), index);
                let action = &assembly.graph.builds[&group.objdir];
                assembly.by_id.insert(action.action_id.clone(), index);
                node
            }
            Making::Program => assembly.program(&group)?,
            Making::Profile => {
                assembly.profiles.insert(group.objdir.clone(), index);
                assembly.profile(&group)?
            }
        };
        assembly.nodes.push(node);
    }
    refuse_separators(&assembly.roots)?;
    let versions = assembly.versions();
    assembly.answers.extend(versions);
    let Used {
        compilers,
        files,
        listings,
        searched,
    } = assembly.toolchains.finish();
    Ok(Assembled {
        nodes: assembly.nodes,
        roots: assembly.roots,
        questions: assembly.lookups.into_questions(),
        answers: assembly.answers,
        machine_files: files,
        listings,
        searched,
        compilers,
        overlay: assembly.overlay,
        wrapped: !assembly.wrapped.is_empty(),
    })
}

/// cmd/go joins what its tools are to rewrite with `;`, so that of a folder with one in its name only a part is rewritten, and more
/// of its name is in programs than the tools were meant to leave (`Action.trimpath` in cmd/go/internal/work/gc.go).
fn refuse_separators(roots: &Roots) -> Result<(), PlanError> {
    let mut folders = roots.entries().iter().map(|(real, _)| real);
    match folders.find(|real| real.contains(';')) {
        None => Ok(()),
        Some(real) => Err(PlanError::Unsupported {
            what: format!("the folder {real}"),
            why: "Go's tools take ; for the end of a folder's name, and leave the rest of it in what they make; rename the folder"
                .to_owned(),
        }),
    }
}

impl Assembly<'_> {
    /// The template of a node's Go action ID.
    pub fn identity(
        &mut self,
        action_id: &str,
        folder: Option<&Path>,
        profile: Option<u32>,
    ) -> Result<(IdentityTemplate, Vec<PathBuf>), PlanError> {
        let hash = self.hashes.get(action_id).ok_or_else(|| {
            PlanError::Inconsistent(format!("no hash input gives the action ID {action_id}"))
        })?;
        let mut files = Vec::new();
        if let Some(folder) = folder {
            for part in &hash.parts {
                if let Some(name) = hashed_file(part) {
                    files.extend(self.seen_file(&folder.join(name)));
                }
            }
        }
        for file in &files {
            self.roots
                .cover(&self.lookups, file.parent().unwrap_or(file));
        }
        let this = &*self;
        let context = identity::TemplateContext {
            nodes: &this.by_id,
            file: &|name| {
                let file = this.seen_file(&folder?.join(name))?;
                this.roots.to_virtual(&file.to_string_lossy())
            },
            profile,
        };
        Ok((identity::template(hash, &context)?, files))
    }

    /// The file that is read when cmd/go asks for this path; nothing where there is none.
    pub fn seen_file(&self, path: &Path) -> Option<PathBuf> {
        let file = self.overlay.actual(path)?;
        self.lookups.is_file(file).then(|| file.to_owned())
    }

    /// A line of a node's hash input that begins so, without that beginning.
    pub fn hashed_line(&self, action_id: &str, prefix: &str) -> Option<String> {
        self.hashes.get(action_id)?.parts.iter().find_map(|part| {
            let text = std::str::from_utf8(part).ok()?;
            Some(text.strip_prefix(prefix)?.trim_end_matches('\n').to_owned())
        })
    }

    /// The compiler that a variable of `go env` names.
    pub fn compiler(&self, variable: &str) -> Vec<String> {
        split_quoted(self.env.get(variable))
    }

    /// Environment and platform of an action.
    pub fn surroundings(
        &mut self,
        compilers: &[Vec<String>],
    ) -> Result<(Vec<v1::EnvVar>, v1::Platform), PlanError> {
        let mut platform = v1::Platform {
            os: self.env.get("GOHOSTOS").to_owned(),
            arch: self.env.get("GOHOSTARCH").to_owned(),
            c_toolchain: String::new(),
        };
        if compilers.is_empty() {
            return Ok((
                environment::of_go_tools(self.env, self.go, &self.roots),
                platform,
            ));
        }
        environment::refuse_places(self.go)?;
        let mut folders = Vec::new();
        let mut identities = Vec::new();
        for compiler in compilers {
            let toolchain = self.toolchains.identified(self.go, compiler)?;
            identities.push(toolchain.identity.clone());
            folders.push(PathBuf::from(&toolchain.folder));
            // `env mygcc`: what the first program starts is looked for on PATH again.
            let named = compiler.iter().skip(1);
            for word in named.take_while(|word| !word.starts_with('-')) {
                let found = Some(word).filter(|word| !word.contains('/'));
                let host = self.lookups.host();
                let found = found.and_then(|word| host.look_up(self.go, Path::new(word)));
                folders.extend(found.as_deref().and_then(Path::parent).map(PathBuf::from));
            }
        }
        platform.c_toolchain = toolchain::joined(identities.iter().map(String::as_str));
        let env = environment::with_c_compiler(self.env, self.go, &self.roots, &folders);
        Ok((env, platform))
    }

    /// The description that cmd/go has for a group.
    pub fn described(
        &self,
        group: &Group,
    ) -> Result<crate::dryrun::actiongraph::GoAction, PlanError> {
        let actions = match group.making {
            Making::Program => &self.graph.links,
            Making::Package | Making::Profile => &self.graph.builds,
        };
        actions.get(&group.objdir).cloned().ok_or_else(|| {
            PlanError::Inconsistent(format!(
                "the action graph has no action in {}",
                group.objdir
            ))
        })
    }
}

/// `file NAME HASH`.
fn hashed_file(part: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(part).ok()?.strip_suffix('\n')?;
    Some(text.strip_prefix("file ")?.rsplit_once(' ')?.0)
}

/// Fields of an environment variable, as cmd/internal/quoted splits them: blanks separate, single or double
/// quotes protect.
pub(crate) fn split_quoted(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (word, after) = if first == '\'' || first == '"' {
            match rest[1..].find(first) {
                Some(end) => (&rest[1..=end], &rest[end + 2..]),
                None => (&rest[1..], ""),
            }
        } else {
            rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()))
        };
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    words
}

/// The text that [`split_quoted`] takes apart into these words, as cmd/internal/quoted joins them.
pub(crate) fn join_quoted(words: &[String]) -> Result<String, PlanError> {
    let mut out = Vec::with_capacity(words.len());
    for word in words {
        let blank = word.is_empty() || word.contains(|c: char| c.is_whitespace());
        out.push(match (word.contains('\''), word.contains('"')) {
            (true, true) => {
                return Err(PlanError::Unsupported {
                    what: format!("the linker flag {word}"),
                    why: "it holds both kinds of quotes; name the file by a path without them"
                        .to_owned(),
                });
            }
            (true, false) => format!("\"{word}\""),
            (false, true) => format!("'{word}'"),
            (false, false) if blank => format!("'{word}'"),
            (false, false) => word.clone(),
        });
    }
    Ok(out.join(" "))
}

/// One flag of `-ldflags="..."` as runCgo quotes it.
pub(crate) fn quoted_flags(text: &str) -> Option<Vec<String>> {
    let mut flags = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (bytes, len) = quote::unquote_prefix(rest)?;
        flags.push(String::from_utf8(bytes).ok()?);
        rest = rest[len..].trim_start_matches(' ');
    }
    Some(flags)
}
