//! The action that links one program, and the one that prepares a profile.

use std::path::Path;

use gofarm_identity::BINARY_BUILD_ID;
use gofarm_proto::{WORK_DIR, v1};

use crate::action::assemble::Assembly;
use crate::action::group::{Group, tool_name};
use crate::action::inputs::Inputs;
use crate::dryrun::script::Entry;
use crate::error::PlanError;
use crate::node::PlannedNode;

impl Assembly<'_> {
    pub(crate) fn program(&mut self, group: &Group) -> Result<PlannedNode, PlanError> {
        let described = self.described(group)?;
        let mut inputs = Inputs::default();
        let mut steps = Vec::new();
        let mut host_tools = false;
        let mut binary = format!("{WORK_DIR}/a.out");
        for entry in &group.entries {
            let step = match entry {
                Entry::Write { path, content } if path.ends_with("/importcfg.link") => {
                    let text = std::str::from_utf8(content).map_err(|error| {
                        PlanError::Inconsistent(format!("importcfg.link: {error}"))
                    })?;
                    host_tools |= text
                        .lines()
                        .any(|line| line.starts_with("packagefile runtime/cgo="));
                    v1::step::Step::WriteFile(v1::WriteFile {
                        path: format!("{WORK_DIR}/importcfg.link"),
                        content: self.import_config(&mut inputs, text, "object", "a")?,
                    })
                }
                Entry::Run(command) if tool_name(command) == "link" => {
                    host_tools |= command.argv.iter().any(|arg| arg.contains("linkmode"));
                    binary = output_path(&command.argv);
                    let argv = self.link_arguments(group, &mut inputs, &command.argv)?;
                    v1::step::Step::Run(v1::Run {
                        argv,
                        cwd: WORK_DIR.to_owned(),
                        // GOROOT is a name that the linker writes into the program: it stays as it is.
                        env: command
                            .env
                            .iter()
                            .map(|(name, value)| v1::EnvVar {
                                name: name.clone(),
                                value: value.clone(),
                            })
                            .collect(),
                        ..Default::default()
                    })
                }
                Entry::Stamp { .. } => continue,
                other => {
                    return Err(PlanError::Inconsistent(format!(
                        "{other:?} is no step of a link"
                    )));
                }
            };
            steps.push(v1::Step {
                step: Some(step),
                skip_if_exists: String::new(),
            });
        }
        let compilers = if host_tools {
            vec![self.compiler("CC")]
        } else {
            Vec::new()
        };
        let (env, platform) = self.surroundings(&compilers)?;
        let (identity, _) = self.identity(&described.action_id, None, None)?;
        let main = self.packages.get(&group.objdir).copied();
        let (inputs, edges) = inputs.finish();
        let import_path = described.import_path().to_owned();
        Ok(PlannedNode {
            action: v1::Action {
                label: format!("link {}", described.package),
                kind: v1::Kind::Link.into(),
                package: described.package,
                steps,
                inputs,
                outputs: vec![v1::Output {
                    name: "binary".to_owned(),
                    path: binary,
                    optional: false,
                    executable: true,
                }],
                env,
                platform: Some(platform),
                host_tools,
                timeout_ms: 0,
            },
            edges,
            identity: Some(identity),
            import_path,
            folder: String::new(),
            main,
            target: group.target.clone(),
            c_toolchain_name: self.toolchain_name(&compilers),
        })
    }

    /// The linker's arguments. Only the paths that cmd/go chose are replaced: what stands in the user's own
    /// flags is data.
    fn link_arguments(
        &mut self,
        group: &Group,
        inputs: &mut Inputs,
        argv: &[String],
    ) -> Result<Vec<String>, PlanError> {
        let build_id = argv
            .iter()
            .find_map(|arg| arg.strip_prefix("-buildid="))
            .ok_or_else(|| PlanError::Inconsistent(format!("a link without -buildid: {argv:?}")))?
            .to_owned();
        let mut out = Vec::with_capacity(argv.len());
        let mut previous = "";
        for (index, arg) in argv.iter().enumerate() {
            out.push(if index == 0 {
                inputs.tool(&self.roots, arg)?
            } else if index == argv.len() - 1 {
                let archive = format!("{}/_pkg_.a", group.objdir);
                let main = self.packages.get(&group.objdir);
                match main {
                    Some(&node) if *arg == archive => inputs
                        .produced_file(node, "object")
                        .unwrap_or_else(|| inputs.produced("main.a", node, "object", false)),
                    _ => {
                        return Err(PlanError::Inconsistent(format!(
                            "a link of {arg}, which no action makes"
                        )));
                    }
                }
            } else if previous == "-o" {
                output_path(argv)
            } else if previous == "-importcfg" {
                format!("{WORK_DIR}/importcfg.link")
            } else if previous == "-fipso" {
                format!("{WORK_DIR}/fips.o")
            } else if *arg == format!("-buildid={build_id}") {
                format!("-buildid={BINARY_BUILD_ID}")
            } else if *arg == format!("-X=cmd/internal/objabi.buildID={build_id}") {
                format!("-X=cmd/internal/objabi.buildID={BINARY_BUILD_ID}")
            } else {
                arg.clone()
            });
            previous = arg;
        }
        Ok(out)
    }

    pub(crate) fn profile(&mut self, group: &Group) -> Result<PlannedNode, PlanError> {
        let [Entry::Run(command)] = &group.entries[..] else {
            return Err(PlanError::Inconsistent(format!(
                "{} is no profile",
                group.objdir
            )));
        };
        let after = |flag: &str| {
            let at = command.argv.iter().position(|arg| arg == flag)?;
            command.argv.get(at + 1).cloned()
        };
        let source = after("-i")
            .ok_or_else(|| PlanError::Inconsistent(format!("no -i in {:?}", command.argv)))?;
        self.roots
            .cover(Path::new(&source).parent().unwrap_or(Path::new("/")));
        let mut inputs = Inputs::default();
        inputs.file(&self.roots, &source);
        let tool = inputs.tool(&self.roots, &command.argv[0])?;
        let output = format!("{WORK_DIR}/pgo.preprofile");
        let path = self
            .roots
            .to_virtual(&source)
            .ok_or_else(|| PlanError::Inconsistent(format!("{source} is outside all roots")))?;
        let argv = [tool, "-o".to_owned(), output.clone(), "-i".to_owned(), path];
        let (env, platform) = self.surroundings(&[])?;
        let (inputs, edges) = inputs.finish();
        Ok(PlannedNode {
            action: v1::Action {
                label: format!(
                    "preprofile {source}",
                    source = source.rsplit('/').next().unwrap_or(&source)
                ),
                kind: v1::Kind::Preprofile.into(),
                package: String::new(),
                steps: vec![v1::Step {
                    step: Some(v1::step::Step::Run(v1::Run {
                        argv: argv.to_vec(),
                        cwd: WORK_DIR.to_owned(),
                        ..Default::default()
                    })),
                    skip_if_exists: String::new(),
                }],
                inputs,
                outputs: vec![v1::Output {
                    name: "profile".to_owned(),
                    path: output,
                    ..Default::default()
                }],
                env,
                platform: Some(platform),
                host_tools: false,
                timeout_ms: 0,
            },
            edges,
            identity: None,
            import_path: String::new(),
            folder: String::new(),
            main: None,
            target: None,
            c_toolchain_name: String::new(),
        })
    }
}

/// Where a link writes. The name stays as cmd/go has it: external linkers write it into what they make.
fn output_path(argv: &[String]) -> String {
    let path = argv
        .iter()
        .position(|arg| arg == "-o")
        .and_then(|at| argv.get(at + 1));
    let name = path
        .and_then(|path| path.rsplit('/').next())
        .unwrap_or("a.out");
    format!("{WORK_DIR}/{name}")
}
