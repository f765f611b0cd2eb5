//! The action that links one program, and the one that prepares a profile.

use std::path::Path;

use gofarm_identity::BINARY_BUILD_ID;
use gofarm_proto::{WORK_DIR, v1};

use crate::action::assemble::{Assembly, join_quoted, split_quoted};
use crate::action::group::{Group, tool_name};
use crate::action::inputs::Inputs;
use crate::cc::linking;
use crate::cc::response_file;
use crate::dryrun::command::Command;
use crate::dryrun::script::Entry;
use crate::error::PlanError;
use crate::node::PlannedNode;

impl Assembly<'_> {
    pub(crate) fn program(&mut self, group: &Group) -> Result<PlannedNode, PlanError> {
        let described = self.described(group)?;
        let mut inputs = Inputs::default();
        let mut steps = Vec::new();
        let mut host_tools = false;
        let mut c_library = false;
        let mut linker_flags = Vec::new();
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
                    linker_flags = self.recorded_flags(text);
                    v1::step::Step::WriteFile(v1::WriteFile {
                        path: format!("{WORK_DIR}/importcfg.link"),
                        content: self.import_config(&mut inputs, text, "object", "a")?,
                    })
                }
                Entry::Run(command) if tool_name(command) == "link" => {
                    host_tools |= command.argv.iter().any(|arg| arg.contains("linkmode"));
                    binary = output_path(&command.argv);
                    c_library = is_c_library(&command.argv);
                    let mut argv = self.link_arguments(group, &mut inputs, &command.argv)?;
                    if host_tools {
                        let files = self.external_linker(&mut inputs, &mut argv, &linker_flags)?;
                        steps.extend(files.into_iter().map(|file| v1::Step {
                            step: Some(v1::step::Step::WriteFile(file)),
                            skip_if_exists: String::new(),
                        }));
                    }
                    let mut run = v1::Run {
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
                    };
                    self.wrap(command, &mut inputs, &described.package, &mut run)?;
                    v1::step::Step::Run(run)
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
                places: Vec::new(),
            },
            edges,
            identity: Some(identity),
            import_path,
            folder: String::new(),
            main,
            target: group.target.clone(),
            recorded_flags: None,
            c_library,
            c_toolchain_name: self.toolchains.name(&compilers),
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
            } else if previous == "-o" && arg.contains('/') {
                output_path(argv)
            } else if previous == "-o" {
                // A shared library may record the path that it is linked to, so cmd/go links it where it is
                // (gcToolchain.ld); so does the action.
                arg.clone()
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

    /// The flags that the packages of a program have recorded for the C linker.
    fn recorded_flags(&self, importcfg: &str) -> Vec<String> {
        importcfg
            .lines()
            .filter_map(|line| line.strip_prefix("packagefile ")?.split_once('='))
            .filter_map(|(_, archive)| self.linker_flags.get(archive.strip_suffix("/_pkg_.a")?))
            .flatten()
            .cloned()
            .collect()
    }

    /// Declares what the C linker reads, by the flags of packages and by the user's own, and gives the latter paths that
    /// mean the same on every machine. `-extldflags` is one flag with a list in it. Returned are the files of further flags
    /// (`@FILE`) that the list names, as the action has them.
    fn external_linker(
        &mut self,
        inputs: &mut Inputs,
        argv: &mut [String],
        recorded: &[String],
    ) -> Result<Vec<v1::WriteFile>, PlanError> {
        const NAMES: [&str; 2] = ["-extldflags", "--extldflags"];
        self.refuse_unknown_linker(argv)?;
        let mut all = recorded.to_vec();
        let mut files = Vec::new();
        for at in 1..argv.len() {
            let (name, value) = match argv[at].split_once('=') {
                Some((name, value)) if NAMES.contains(&name) => (format!("{name}="), value),
                _ if NAMES.contains(&argv[at - 1].as_str()) => (String::new(), &*argv[at]),
                _ => continue,
            };
            let given = split_quoted(value);
            let mut planned = Vec::with_capacity(given.len());
            let is_file =
                |flag: &String| response_file::named(&self.lookups, flag, &self.go.cwd).is_some();
            let parts = given.chunk_by(|one, other| !is_file(one) && !is_file(other));
            let parts: Vec<Vec<String>> = parts.map(<[String]>::to_vec).collect();
            for flags in parts {
                planned.extend(self.linker_words(&flags, &mut all, &mut files)?);
            }
            if planned != given {
                argv[at] = format!("{name}{}", join_quoted(&planned)?);
            }
        }
        let system = self.toolchains.system(self.go, &[self.compiler("CC")])?;
        let linked = linking::link(&self.lookups, &all, &self.go.cwd, &mut self.roots, &system)?;
        for file in linked.files {
            inputs.file(&self.roots, &file.to_string_lossy());
        }
        Ok(files)
    }

    /// cmd/go names the C compiler (`setextld` in cmd/go/internal/work/gc.go), whose identity is in the key; a flag of the user
    /// may name any program.
    fn refuse_unknown_linker(&self, argv: &[String]) -> Result<(), PlanError> {
        let compilers = ["CC", "CXX"].map(|name| split_quoted(self.env.get(name)));
        // With the flags that stand in the variable or without any.
        let known = |linker: &str| {
            let words = split_quoted(linker);
            let mut compilers = compilers.iter().filter(|words| !words.is_empty());
            compilers.any(|compiler| words == *compiler || words == compiler[..1])
        };
        let mut previous = "";
        for word in argv {
            let before = std::mem::replace(&mut previous, word);
            let joined = ["-extld=", "--extld="]
                .iter()
                .find_map(|name| word.strip_prefix(name));
            let program = joined.or_else(|| matches!(before, "-extld" | "--extld").then_some(word));
            if let Some(program) = program.filter(|program| !known(program)) {
                return Err(PlanError::Unsupported {
                    what: format!("the linker flag -extld={program}"),
                    why: "what that program does is in no key; set CC to it".to_owned(),
                });
            }
        }
        Ok(())
    }

    /// Flags of the C linker as an action has them: some, or one that names a file of further ones, which is then written
    /// anew. What they say is added to `all`.
    fn linker_words(
        &mut self,
        flags: &[String],
        all: &mut Vec<String>,
        files: &mut Vec<v1::WriteFile>,
    ) -> Result<Vec<String>, PlanError> {
        let cwd = &self.go.cwd;
        let system = self.toolchains.system(self.go, &[self.compiler("CC")])?;
        let named = match flags {
            [flag] => response_file::named(&self.lookups, flag, cwd),
            _ => None,
        };
        let Some(path) = named else {
            all.extend_from_slice(flags);
            return Ok(linking::link(&self.lookups, flags, cwd, &mut self.roots, &system)?.flags);
        };
        let bytes = self.lookups.read_whole(&path);
        let bytes = bytes.map_err(|source| PlanError::File {
            path: path.display().to_string(),
            source,
        })?;
        let text = String::from_utf8(bytes).ok();
        let flags = text.and_then(|text| response_file::split(&text));
        let flags = flags.ok_or_else(|| PlanError::Unsupported {
            what: format!("the linker flag @{}", path.display()),
            why: "C compilers read a backslash between quotes or at the end of a line, a quoted line end and an empty word in \
                  such a file in different ways; write it without them, and in UTF-8"
                .to_owned(),
        })?;
        let linked = linking::link(&self.lookups, &flags, cwd, &mut self.roots, &system)?;
        let name = format!("extldflags-{}", files.len());
        files.push(v1::WriteFile {
            path: format!("{WORK_DIR}/{name}"),
            content: response_file::join(&linked.flags).into_bytes(),
        });
        all.extend(flags);
        // The linker runs where it is written.
        Ok(vec![format!("@{name}")])
    }

    /// Has the tool say what is wrong with a folder in the place of a profile: no file can be declared there.
    fn refuse_odd_profile(&self, command: &Command, source: &Path) -> Result<(), PlanError> {
        if !self.lookups.is_dir(source) {
            return Ok(());
        }
        let shown = source.display();
        let argv = [
            &command.argv[0],
            "-o",
            "/dev/null",
            "-i",
            &shown.to_string(),
        ];
        let argv = argv.map(str::to_owned);
        let host = self.lookups.host();
        let said = host.run_tool(self.go, &argv, Path::new(&command.cwd))?;
        let words = String::from_utf8_lossy(&said.stderr).into_owned();
        Err(PlanError::Go {
            text: format!("# {shown}\n{}", words.trim_end()),
            exit_code: 1,
        })
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
        self.roots.cover(
            &self.lookups,
            Path::new(&source).parent().unwrap_or(Path::new("/")),
        );
        let mut inputs = Inputs::default();
        inputs.file(&self.roots, &source);
        self.refuse_odd_profile(command, Path::new(&source))?;
        let tool = inputs.tool(&self.roots, &command.argv[0])?;
        let output = format!("{WORK_DIR}/pgo.preprofile");
        let path = self
            .roots
            .to_virtual(&source)
            .ok_or_else(|| PlanError::Inconsistent(format!("{source} is outside all roots")))?;
        let argv = [tool, "-o".to_owned(), output.clone(), "-i".to_owned(), path];
        let mut run = v1::Run {
            argv: argv.to_vec(),
            cwd: WORK_DIR.to_owned(),
            ..Default::default()
        };
        // A profile is of no package.
        self.wrap(command, &mut inputs, "", &mut run)?;
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
                    step: Some(v1::step::Step::Run(run)),
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
                places: Vec::new(),
            },
            edges,
            identity: None,
            import_path: String::new(),
            folder: String::new(),
            main: None,
            target: None,
            recorded_flags: None,
            c_library: false,
            c_toolchain_name: String::new(),
        })
    }
}

/// Whether a link makes a library for C.
fn is_c_library(argv: &[String]) -> bool {
    argv.iter()
        .any(|arg| matches!(arg.as_str(), "-buildmode=c-archive" | "-buildmode=c-shared"))
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
