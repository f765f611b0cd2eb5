//! The action that makes one package: cgo, cover, assembler, compiler and pack, as cmd/go runs them, with the
//! export data and the object code kept apart.

use std::path::{Path, PathBuf};

use gofarm_identity::PACKAGE_BUILD_ID;
use gofarm_proto::{WORK_DIR, v1};

use crate::action::assemble::{Assembly, quoted_flags};
use crate::action::group::{Group, is_go_tool, tool_name};
use crate::action::inputs::Inputs;
use crate::cc::flags::{self, PackageFlags};
use crate::cc::{includes, pkgconfig};
use crate::dryrun::command::Command;
use crate::dryrun::script::Entry;
use crate::error::PlanError;
use crate::node::PlannedNode;
use crate::roots::map_objdir;

/// Folders of the system, visible to actions with `host_tools`.
const SYSTEM: [&str; 8] = [
    "/usr/", "/lib/", "/lib64/", "/bin/", "/sbin/", "/etc/", "/dev/", "/proc/",
];
const DYNIMPORT_FAIL: &str = "dynimportfail";

/// A package while it is put together.
struct Draft<'g> {
    group: &'g Group,
    inputs: Inputs,
    steps: Vec<v1::Step>,
    /// Sources in which `#include` lines are followed, and the -I folders for them.
    includers: Vec<PathBuf>,
    include_folders: Vec<PathBuf>,
    compilers: Vec<Vec<String>>,
    profile: Option<u32>,
    uses_cgo: bool,
    /// The package's folder on this machine, where it must stand in what cgo reads: cgo hashes its input, and what
    /// `cover` has instrumented names the source that it came from.
    real_folder: Option<String>,
}

impl Assembly<'_> {
    pub(crate) fn package(&mut self, group: &Group) -> Result<PlannedNode, PlanError> {
        let described = self.described(group)?;
        let folder = package_folder(group);
        if let Some(folder) = &folder {
            self.roots.cover(folder);
        }
        let asked = pkgconfig::ask(self.go, &group.pkg_config)?;
        let source_map = self.source_map(&described.action_id, folder.as_deref());
        let mut draft = Draft {
            group,
            inputs: Inputs::default(),
            steps: Vec::new(),
            includers: Vec::new(),
            include_folders: Vec::new(),
            compilers: Vec::new(),
            profile: None,
            uses_cgo: false,
            real_folder: None,
        };
        let cflags = self.compiler("CGO_CFLAGS");
        let ldflags = self.compiler("CGO_LDFLAGS");
        let package = PackageFlags {
            objdir: &group.objdir,
            source_map,
            pkg_config: &asked,
            cflags: &cflags,
            ldflags: &ldflags,
        };
        for entry in &group.entries {
            self.entry(&mut draft, entry, &package)?;
        }

        let (identity, files) =
            self.identity(&described.action_id, folder.as_deref(), draft.profile)?;
        for file in &files {
            draft.inputs.file(&self.roots, &file.to_string_lossy());
            draft.includers.push(file.clone());
        }
        if draft.uses_cgo
            || draft
                .includers
                .iter()
                .any(|path| path.extension().is_some_and(|ext| ext == "s"))
        {
            for path in includes::follow(&draft.includers, &draft.include_folders) {
                draft.inputs.file(&self.roots, &path.to_string_lossy());
            }
        }

        let host_tools = !draft.compilers.is_empty();
        let (env, platform) = self.surroundings(&draft.compilers)?;
        let (inputs, edges) = draft.inputs.finish();
        let work = |name: &str| format!("{WORK_DIR}/{name}");
        let output = |name: &str, path: &str| v1::Output {
            name: name.to_owned(),
            path: work(path),
            ..Default::default()
        };
        let import_path = described
            .package
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned();
        Ok(PlannedNode {
            action: v1::Action {
                label: format!("compile {}", described.package),
                kind: v1::Kind::Compile.into(),
                package: described.package,
                steps: draft.steps,
                inputs,
                outputs: vec![output("export", "pkg.x"), output("object", "pkg.a")],
                env,
                platform: Some(platform),
                host_tools,
                timeout_ms: 0,
            },
            edges,
            identity: Some(identity),
            import_path,
            folder: folder.unwrap_or_default().to_string_lossy().into_owned(),
            main: None,
            target: group.target.clone(),
        })
    }

    fn entry(
        &mut self,
        draft: &mut Draft<'_>,
        entry: &Entry,
        package: &PackageFlags<'_>,
    ) -> Result<(), PlanError> {
        let step = match entry {
            Entry::Write { path, content } => step(v1::step::Step::WriteFile(v1::WriteFile {
                path: self.work_path(draft, path)?,
                content: self.written(draft, path, content)?,
            })),
            Entry::Copy { from, to } => {
                self.roots
                    .cover(Path::new(from).parent().unwrap_or(Path::new("/")));
                draft.inputs.file(&self.roots, from);
                draft.includers.push(PathBuf::from(from));
                step(v1::step::Step::CopyFile(v1::CopyFile {
                    from: self.roots.map_text(from),
                    to: self.work_path(draft, to)?,
                }))
            }
            Entry::Run(command) => self.run(draft, command, package)?,
            Entry::Pack { archive, members } => {
                self.check_archive(draft, archive)?;
                self.pack(draft, members)?
            }
            Entry::Stamp { path } => {
                self.check_archive(draft, path)?;
                step(v1::step::Step::GoArchive(v1::GoArchive {
                    export: format!("{WORK_DIR}/pkg.x"),
                    object: format!("{WORK_DIR}/pkg.a"),
                    build_id: PACKAGE_BUILD_ID.to_owned(),
                }))
            }
            Entry::Move { .. } | Entry::LinkTest => return Ok(()),
        };
        draft.steps.push(step);
        Ok(())
    }

    fn check_archive(&self, draft: &Draft<'_>, path: &str) -> Result<(), PlanError> {
        if path == format!("{}/_pkg_.a", draft.group.objdir) {
            return Ok(());
        }
        Err(PlanError::Inconsistent(format!(
            "{path} is not the archive of {}",
            draft.group.objdir
        )))
    }

    fn work_path(&self, draft: &Draft<'_>, text: &str) -> Result<String, PlanError> {
        map_objdir(text, &draft.group.objdir).map_err(|other| {
            PlanError::Inconsistent(format!("{} reads {other} in {text:?}", draft.group.objdir))
        })
    }

    /// The contents of a configuration file, with virtual paths.
    fn written(
        &mut self,
        draft: &mut Draft<'_>,
        path: &str,
        content: &[u8],
    ) -> Result<Vec<u8>, PlanError> {
        let Ok(text) = std::str::from_utf8(content) else {
            return Ok(content.to_vec());
        };
        if path.ends_with("/importcfg") {
            return self.import_config(&mut draft.inputs, text, "export", "x");
        }
        if path.ends_with("/embedcfg") {
            return self.embed_config(draft, text);
        }
        Ok(self.work_path(draft, text)?.into_bytes())
    }

    /// Replaces the archives of an importcfg by produced inputs.
    pub(crate) fn import_config(
        &self,
        inputs: &mut Inputs,
        text: &str,
        output: &'static str,
        extension: &str,
    ) -> Result<Vec<u8>, PlanError> {
        let mut out = String::with_capacity(text.len());
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("packagefile ") {
                let unknown = || {
                    PlanError::Inconsistent(format!(
                        "importcfg line {line:?} names no known archive"
                    ))
                };
                let (import, archive) = rest.split_once('=').ok_or_else(unknown)?;
                let objdir = archive.strip_suffix("/_pkg_.a").ok_or_else(unknown)?;
                let node = *self.packages.get(objdir).ok_or_else(unknown)?;
                let path = inputs.produced(&format!("{import}.{extension}"), node, output, true);
                out.push_str(&format!("packagefile {import}={path}\n"));
            } else if line.starts_with("packageshlib ") {
                return Err(PlanError::Unsupported {
                    what: "-linkshared".to_owned(),
                    why: "shared Go libraries are files of this machine that cannot be shared with a farm".to_owned(),
                });
            } else {
                out.push_str(line);
                out.push('\n');
            }
        }
        Ok(out.into_bytes())
    }

    /// The files of //go:embed, by virtual path.
    fn embed_config(&mut self, draft: &mut Draft<'_>, text: &str) -> Result<Vec<u8>, PlanError> {
        let bad = |why: String| PlanError::Inconsistent(format!("embedcfg: {why}"));
        let mut config: serde_json::Value =
            serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
        let files = config
            .get_mut("Files")
            .and_then(serde_json::Value::as_object_mut)
            .ok_or_else(|| bad("no Files".to_owned()))?;
        for file in files.values_mut() {
            let real = file
                .as_str()
                .ok_or_else(|| bad("a file that is no text".to_owned()))?;
            self.roots
                .cover(Path::new(real).parent().unwrap_or(Path::new("/")));
            draft.inputs.file(&self.roots, real);
            *file = self
                .roots
                .to_virtual(real)
                .ok_or_else(|| bad(format!("{real} is outside all roots")))?
                .into();
        }
        serde_json::to_vec_pretty(&config).map_err(|error| bad(error.to_string()))
    }

    fn run(
        &mut self,
        draft: &mut Draft<'_>,
        command: &Command,
        package: &PackageFlags<'_>,
    ) -> Result<v1::Step, PlanError> {
        let mut command = command.clone();
        if !is_go_tool(&command) {
            return self.run_cc(draft, command, package);
        }
        let mut run = v1::Run::default();
        match tool_name(&command) {
            "compile" => {
                split_outputs(&mut command.argv)?;
                set_flag(&mut command.argv, "-buildid", PACKAGE_BUILD_ID)?;
                let before = command.argv.len();
                command.argv.retain(|arg| !is_concurrency(arg));
                run.compiler_concurrency = before != command.argv.len();
                run.drop_missing = vec![format!("{WORK_DIR}/_cgo_import.go")];
            }
            "asm" => {
                let include = Path::new(self.env.get("GOROOT")).join("pkg/include");
                draft
                    .inputs
                    .folder(&self.roots, &include, |name| name.ends_with(".h"))?;
            }
            "cgo" => {
                draft.uses_cgo = true;
                if command.argv.iter().any(|arg| arg == "-dynimport") {
                    let step_run = self.finish_run(draft, command, run)?;
                    return Ok(v1::Step {
                        step: Some(v1::step::Step::Run(step_run)),
                        skip_if_exists: format!("{WORK_DIR}/{DYNIMPORT_FAIL}"),
                    });
                }
                flags::complete_cgo(&mut command, package)?;
                self.check_cgo_ldflags(&command)?;
                draft.compilers.push(self.compiler("CC"));
                self.name_real_folder(draft, &command)?;
            }
            "cover" | "preprofile" => {}
            other => {
                return Err(PlanError::Inconsistent(format!(
                    "{other} is no tool of a package build"
                )));
            }
        }
        self.finish_run(draft, command, run)
            .map(|run| step(v1::step::Step::Run(run)))
    }

    fn run_cc(
        &mut self,
        draft: &mut Draft<'_>,
        mut command: Command,
        package: &PackageFlags<'_>,
    ) -> Result<v1::Step, PlanError> {
        if tool_name(&command) == "swig" {
            return Err(PlanError::Unsupported {
                what: "SWIG".to_owned(),
                why: format!(
                    "{} has .swig files; generate their Go code and commit it",
                    package.objdir
                ),
            });
        }
        flags::complete(&mut command, self.go, &mut self.probes, package)?;
        let compiles = command.argv.iter().any(|arg| arg == "-c");
        if !self.trimpath && compiles {
            // Without -trimpath the objects name this machine's folders, as go build's would.
            let output = command
                .argv
                .iter()
                .rposition(|arg| arg == "-o")
                .unwrap_or(command.argv.len());
            let maps = self
                .roots
                .entries()
                .iter()
                .map(|(real, name)| format!("-ffile-prefix-map={name}={real}"))
                .collect::<Vec<_>>();
            command.argv.splice(output..output, maps);
        }
        let end = command.argv.iter().position(|arg| arg == "-I").unwrap_or(1);
        let compiler = command.argv[..end].to_vec();
        if !draft.compilers.contains(&compiler) {
            draft.compilers.push(compiler);
        }
        let mut run = v1::Run::default();
        if !compiles {
            run.failure_marker = format!("{WORK_DIR}/{DYNIMPORT_FAIL}");
        }
        self.finish_run(draft, command, run)
            .map(|run| step(v1::step::Step::Run(run)))
    }

    /// Puts the package's real folder into the sources that cgo reads from the object folder.
    fn name_real_folder(
        &mut self,
        draft: &mut Draft<'_>,
        command: &Command,
    ) -> Result<(), PlanError> {
        for arg in &command.argv[1..] {
            if !(arg.starts_with("$WORK/") && arg.ends_with(".go")) {
                continue;
            }
            let Some(from) = self.roots.to_virtual(&command.cwd) else {
                continue;
            };
            draft
                .steps
                .push(step(v1::step::Step::ReplaceText(v1::ReplaceText {
                    path: self.work_path(draft, arg)?,
                    from: format!("{from}/"),
                    to: format!("{}/", command.cwd),
                })));
            draft.real_folder = Some(command.cwd.clone());
        }
        Ok(())
    }

    /// Declares the files that a command names and gives it virtual paths.
    fn finish_run(
        &mut self,
        draft: &mut Draft<'_>,
        command: Command,
        mut run: v1::Run,
    ) -> Result<v1::Run, PlanError> {
        let mut previous = "";
        for arg in &command.argv[1..] {
            let path = ["-I", "-L", "-isystem", "-iquote", "-include"]
                .iter()
                .find_map(|flag| arg.strip_prefix(flag))
                .filter(|rest| rest.starts_with('/'))
                .unwrap_or(arg);
            if path.starts_with('/')
                && previous != "-D"
                && !SYSTEM
                    .iter()
                    .any(|system| path.starts_with(system) && self.roots.to_virtual(path).is_none())
            {
                let path = normal(Path::new(path));
                if path.is_file() {
                    self.roots.cover(path.parent().unwrap_or(Path::new("/")));
                    draft.inputs.file(&self.roots, &path.to_string_lossy());
                    draft.includers.push(path);
                } else if path.is_dir() {
                    self.roots.cover(&path);
                    if !draft.include_folders.contains(&path) {
                        draft.include_folders.push(path);
                    }
                }
            }
            previous = arg;
        }
        let is_tool = is_go_tool(&command);
        let mut is_definition = false;
        let mut argv = Vec::with_capacity(command.argv.len());
        for (index, arg) in command.argv.iter().enumerate() {
            if index == 0 {
                argv.push(if is_tool {
                    draft.inputs.tool(&self.roots, arg)?
                } else {
                    arg.clone()
                });
                continue;
            }
            if let Some(profile) = arg.strip_prefix("-pgoprofile=") {
                argv.push(format!(
                    "-pgoprofile={}",
                    self.profile_input(draft, profile)?
                ));
                continue;
            }
            let mut mapped = self.work_path(draft, arg)?;
            // A definition may hold a path as data, which ends up in the program as it is.
            if !(is_definition || arg.starts_with("-D") || arg.starts_with("-ldflags=")) {
                mapped = self.roots.map_text(&mapped);
            }
            if let Some(real) = &draft.real_folder
                && command.argv[index - 1] == "-trimpath"
                && let Some(name) = arg
                    .strip_prefix(&format!("{real}=>"))
                    .and_then(|rest| rest.split(';').next())
            {
                mapped.push_str(&format!(";{real}=>{name}"));
            }
            if !self.trimpath && index > 0 && command.argv[index - 1] == "-trimpath" {
                mapped.push_str(&self.restoring_rewrites());
            }
            is_definition = arg == "-D";
            if draft.real_folder.is_some() && mapped != *arg && arg.contains("-prefix-map=") {
                argv.push(arg.clone());
            }
            argv.push(mapped);
        }
        run.argv = argv;
        // These run where the go command was started, which must not get into a key; they get no relative paths.
        let anywhere = tool_name(&command) == "compile"
            || command.argv.iter().any(|arg| arg == "-dynimport")
            || !run.failure_marker.is_empty();
        run.cwd = if anywhere {
            WORK_DIR.to_owned()
        } else {
            self.roots.map_text(&self.work_path(draft, &command.cwd)?)
        };
        run.env = command
            .env
            .into_iter()
            .map(|(name, value)| v1::EnvVar { name, value })
            .collect();
        Ok(run)
    }

    /// Rewrites for the compiler's -trimpath that put this machine's folders back.
    fn restoring_rewrites(&self) -> String {
        self.roots
            .entries()
            .iter()
            .map(|(real, name)| {
                // What lies in GOROOT is recorded below the literal $GOROOT (cmd/internal/objabi/line.go).
                let real = if name.ends_with("/goroot") {
                    "$GOROOT"
                } else {
                    real
                };
                format!(";{name}=>{real}")
            })
            .collect()
    }

    fn profile_input(&self, draft: &mut Draft<'_>, path: &str) -> Result<String, PlanError> {
        let objdir = path.rsplit_once('/').map_or(path, |(folder, _)| folder);
        let node = *self.profiles.get(objdir).ok_or_else(|| {
            PlanError::Inconsistent(format!("{path} is a profile that no action makes"))
        })?;
        draft.profile = Some(node);
        Ok(draft
            .inputs
            .produced("pgo.preprofile", node, "profile", false))
    }

    fn pack(&mut self, draft: &mut Draft<'_>, members: &[String]) -> Result<v1::Step, PlanError> {
        let mut paths = Vec::with_capacity(members.len() + 1);
        for member in members {
            if member.starts_with('/') {
                draft.inputs.file(&self.roots, member);
            }
            paths.push(self.roots.map_text(&self.work_path(draft, member)?));
        }
        let mut drop_missing = Vec::new();
        if draft.uses_cgo {
            // Behind the objects of cgo, before those of the system (Builder.build).
            let fail = format!("{WORK_DIR}/{DYNIMPORT_FAIL}");
            let at = paths
                .iter()
                .rposition(|path| path.starts_with(WORK_DIR))
                .map_or(0, |at| at + 1);
            paths.insert(at, fail.clone());
            drop_missing.push(fail);
        }
        Ok(step(v1::step::Step::Pack(v1::Pack {
            archive: format!("{WORK_DIR}/pkg.a"),
            members: paths,
            drop_missing,
        })))
    }

    /// A library folder of the module in LDFLAGS is recorded in the package as it is, and looked for again
    /// when programs are linked, on whatever machine that happens.
    fn check_cgo_ldflags(&self, command: &Command) -> Result<(), PlanError> {
        let flags = command
            .argv
            .iter()
            .find_map(|arg| arg.strip_prefix("-ldflags="))
            .and_then(quoted_flags)
            .unwrap_or_default();
        match flags.iter().find(|flag| self.roots.map_text(flag) != **flag) {
            Some(flag) => Err(PlanError::Unsupported {
                what: format!("the cgo linker flag {flag}"),
                why: "it names a library in the module's own folder; install the library in a folder of the system"
                    .to_owned(),
            }),
            None => Ok(()),
        }
    }

    /// What -ffile-prefix-map replaces in a package's C objects (`ccompile`).
    fn source_map(&self, action_id: &str, folder: Option<&Path>) -> Option<(String, String)> {
        let folder = folder?.to_string_lossy().into_owned();
        let goroot = self.env.get("GOROOT");
        if folder.starts_with(&format!("{goroot}/")) {
            return Some((goroot.to_owned(), "/_/GOROOT".to_owned()));
        }
        let module = self.hashed_line(action_id, "module ")?;
        let (path, version) = module.split_once('@').unwrap_or((&module, ""));
        if let Some(at) = folder.find("/vendor/") {
            return Some((
                folder[..at + "/vendor".len()].to_owned(),
                "/_/vendor".to_owned(),
            ));
        }
        let from = Path::new(&folder).ancestors().find(|ancestor| {
            if version.is_empty() {
                ancestor.join("go.mod").is_file()
            } else {
                ancestor.to_string_lossy().ends_with(&format!("@{version}"))
                    || ancestor.join("go.mod").is_file()
            }
        })?;
        let suffix = if version.is_empty() {
            String::new()
        } else {
            format!("@{version}")
        };
        Some((
            from.to_string_lossy().into_owned(),
            format!("/_/{path}{suffix}"),
        ))
    }
}

fn step(step: v1::step::Step) -> v1::Step {
    v1::Step {
        step: Some(step),
        skip_if_exists: String::new(),
    }
}

/// `-c=4`.
fn is_concurrency(arg: &str) -> bool {
    arg.strip_prefix("-c=")
        .is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

/// Export data and object code into files of their own: dependents read the first, only links the second.
fn split_outputs(argv: &mut Vec<String>) -> Result<(), PlanError> {
    set_flag(argv, "-o", &format!("{WORK_DIR}/pkg.x"))?;
    let at = argv.iter().position(|arg| arg == "-o").unwrap_or(0);
    argv.splice(
        at + 2..at + 2,
        ["-linkobj".to_owned(), format!("{WORK_DIR}/pkg.a")],
    );
    Ok(())
}

fn set_flag(argv: &mut [String], flag: &str, value: &str) -> Result<(), PlanError> {
    let at = argv.iter().position(|arg| arg == flag);
    match at.and_then(|at| argv.get_mut(at + 1)) {
        Some(slot) => {
            value.clone_into(slot);
            Ok(())
        }
        None => Err(PlanError::Inconsistent(format!("no {flag} in {argv:?}"))),
    }
}

/// The folder of a package: where its sources are, or where cgo runs.
fn package_folder(group: &Group) -> Option<PathBuf> {
    let commands = group.entries.iter().filter_map(|entry| match entry {
        Entry::Run(command) => Some(command),
        _ => None,
    });
    let mut fallback = None;
    for command in commands {
        let name = tool_name(command);
        if name == "cgo"
            && command.cwd.starts_with('/')
            && !command.argv.iter().any(|arg| arg == "-dynimport")
        {
            return Some(PathBuf::from(&command.cwd));
        }
        if name == "compile" || name == "cover" {
            let source = command
                .argv
                .iter()
                .rev()
                .take_while(|arg| !arg.starts_with('-'))
                .find(|arg| arg.starts_with('/') && arg.ends_with(".go"));
            if let Some(source) = source {
                fallback = fallback.or_else(|| Path::new(source).parent().map(Path::to_path_buf));
            }
        }
    }
    fallback
}

/// Resolves `..` in the text.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            std::path::Component::ParentDir => {
                out.pop();
            }
            std::path::Component::CurDir => {}
            other => out.push(other),
        }
    }
    out
}
