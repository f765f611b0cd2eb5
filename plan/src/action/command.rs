//! The commands of a package's action: cgo, cover, assembler, compiler and C compilers, with virtual paths and every file
//! that they name declared.

use std::path::Path;

use gofarm_identity::PACKAGE_BUILD_ID;
use gofarm_proto::v1::RecordedFlags;
use gofarm_proto::{EXEC_ROOT, WORK_DIR, v1};

use crate::action::assemble::{Assembly, quoted_flags};
use crate::action::group::{is_go_tool, tool_name};
use crate::action::package::{DYNIMPORT_FAIL, Draft, EXPORT_HEADER, step};
use crate::cc::arguments::{self, Named};
use crate::cc::flags::{self, PackageFlags};
use crate::cc::system::is_shown;
use crate::cc::{header_folder, includes, linking, unseen};
use crate::dryrun::command::Command;
use crate::dryrun::quote::quote;
use crate::error::PlanError;

/// A place that an argument names by way of another root.
struct LedOut {
    argument: String,
    /// `-I` and the like; may be empty.
    option: String,
    /// Where it is inside the action.
    seen: String,
    /// The path as it was written, which the compiler records.
    spelled: String,
}

impl Assembly<'_> {
    pub(super) fn run(
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
                self.refuse_other_rewrites(&command)?;
                split_outputs(&mut command.argv)?;
                set_flag(&mut command.argv, "-buildid", PACKAGE_BUILD_ID)?;
                let before = command.argv.len();
                command.argv.retain(|arg| !is_concurrency(arg));
                run.compiler_concurrency = before != command.argv.len();
                run.drop_missing = vec![format!("{WORK_DIR}/_cgo_import.go")];
            }
            "asm" => {
                self.refuse_other_rewrites(&command)?;
                let include = Path::new(self.env.get("GOROOT")).join("pkg/include");
                draft
                    .inputs
                    .folder(&self.roots, &self.lookups, &include, |name| {
                        name.ends_with(".h")
                    })?;
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
                self.link_flags(draft, &mut command)?;
                draft.exports_header = command.argv.iter().any(|arg| {
                    arg.strip_prefix("-exportheader=")
                        .is_some_and(|path| path.ends_with(EXPORT_HEADER))
                });
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
        flags::complete(&mut command, self.go, &mut self.toolchains, package)?;
        let compiles = command.argv.iter().any(|arg| arg == "-c");
        let end = command.argv.iter().position(|arg| arg == "-I").unwrap_or(1);
        let compiler = command.argv[..end].to_vec();
        if !draft.compilers.contains(&compiler) {
            draft.compilers.push(compiler);
        }
        let mut run = v1::Run::default();
        if !compiles {
            self.link_objects(draft, &mut command)?;
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
        if !is_go_tool(&command) || tool_name(&command) == "cgo" {
            self.declare_named(draft, &command)?;
        } else {
            self.declare_paths(draft, &command)?;
        }
        let is_tool = is_go_tool(&command);
        let led_out: Vec<LedOut> = command
            .argv
            .iter()
            .filter_map(|arg| self.led_out(arg))
            .collect();
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
                mapped = match led_out.iter().find(|led| led.argument == *arg) {
                    Some(led) => format!("{}{}", led.option, led.seen),
                    None => self.roots.map_text(&mapped),
                };
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
            let scratch = mapped
                .split_once("-prefix-map=")
                .filter(|(_, map)| map.starts_with(WORK_DIR));
            let restoring = match scratch {
                Some((flag, _)) => {
                    let mut maps = self.restoring_maps(flag);
                    let spelled = led_out.iter().map(|led| {
                        let name = draft.source_name(&led.spelled);
                        format!("{flag}-prefix-map={}={name}", led.seen)
                    });
                    maps.extend(spelled);
                    maps
                }
                None => Vec::new(),
            };
            argv.push(mapped);
            argv.extend(restoring);
        }
        run.argv = argv;
        // These run where the go command was started, which must not get into a key; they get no relative paths.
        let anywhere = tool_name(&command) == "compile"
            || command.argv.iter().any(|arg| arg == "-dynimport")
            || !run.failure_marker.is_empty();
        run.cwd = if anywhere {
            WORK_DIR.to_owned()
        } else {
            let cwd = self.work_path(draft, &command.cwd)?;
            self.roots.map_text(cwd.trim_end_matches('/'))
        };
        run.env = command
            .env
            .iter()
            .cloned()
            .map(|(name, value)| v1::EnvVar { name, value })
            .collect();
        self.wrap(&command, &mut draft.inputs, &draft.package, &mut run)?;
        Ok(run)
    }

    /// Refuses a -trimpath of the user's that takes the place of go's own and leaves paths as they are: inside an action they are
    /// others than on this machine.
    fn refuse_other_rewrites(&self, command: &Command) -> Result<(), PlanError> {
        let mut given = command.argv.iter().enumerate().filter_map(|(at, word)| {
            let next = command.argv.get(at + 1);
            let next = next.filter(|_| word == "-trimpath").map(String::as_str);
            word.strip_prefix("-trimpath=").or(next)
        });
        // The tools take the last, and go's own is the first.
        let Some(rewrites) = given.next().and_then(|_| given.next_back()) else {
            return Ok(());
        };
        let is_rewritten = |source: &String| {
            let source = Path::new(&command.cwd).join(source);
            let mut folders = rewrites
                .split(';')
                .filter_map(|rewrite| rewrite.split("=>").next());
            folders
                .any(|folder| source.starts_with(folder) && self.roots.to_virtual(folder).is_some())
        };
        let is_source = |word: &&String| {
            !word.starts_with('-') && (word.ends_with(".go") || word.ends_with(".s"))
        };
        match command.argv.iter().skip(1).filter(is_source).all(is_rewritten) {
            true => Ok(()),
            false => Err(PlanError::Unsupported {
                what: format!("the tool flag -trimpath={rewrites}"),
                why: "it takes the place of go's own, and what it leaves as it is would be a path inside of an action; leave it \
                      out: gofarm trims paths anyway, as go build -trimpath does"
                    .to_owned(),
            }),
        }
    }

    /// Whether an argument names a place by going up out of the root in which its path begins. Inside an action the roots do
    /// not lie to each other as they do on this machine.
    fn led_out(&self, argument: &str) -> Option<LedOut> {
        let (option, path) = argument.split_at(argument.find('/')?);
        let names_path = option.is_empty() || arguments::OPTIONS.contains(&option);
        if !names_path || !(path.contains("/../") || path.ends_with("/..")) {
            return None;
        }
        let real = includes::normalise(Path::new(path));
        let seen = self.roots.to_virtual(&real.to_string_lossy())?;
        let by_spelling = self.roots.to_virtual(path)?;
        if includes::normalise(Path::new(&by_spelling)) == Path::new(&seen) {
            return None;
        }
        Some(LedOut {
            argument: argument.to_owned(),
            option: option.to_owned(),
            seen,
            spelled: path.to_owned(),
        })
    }

    /// Declares what a C compiler's arguments name.
    fn declare_named(&mut self, draft: &mut Draft<'_>, command: &Command) -> Result<(), PlanError> {
        unseen::refuse(&command.argv[1..])?;
        let system = self.toolchains.system(self.go, &draft.compilers)?;
        for named in arguments::named(&self.lookups, &command.argv, &command.cwd) {
            match &named {
                Named::Folder(path) | Named::Absent(path)
                    if system.has_below(path, &self.roots) => {}
                Named::Folder(path) => self.include_folder(draft, path)?,
                // Another machine may have it, where no key would say so.
                Named::Absent(path) if is_shown(path) => self.roots.cover(&self.lookups, path),
                Named::Absent(_) => {}
                Named::Source(path) | Named::File(path) if system.has(path, &self.roots) => {}
                Named::Source(path) | Named::File(path) => {
                    self.roots
                        .cover(&self.lookups, path.parent().unwrap_or(Path::new("/")));
                    draft.inputs.file(&self.roots, &path.to_string_lossy());
                }
            }
            match named {
                Named::Source(path) if !system.has(&path, &self.roots) => {
                    draft.includers.push(path);
                }
                _ => {}
            }
        }
        let after = command.argv.windows(2).filter(|pair| pair[0] == "-D");
        let joined = command.argv.iter().filter(|arg| arg.starts_with("-D"));
        draft
            .definitions
            .extend(after.map(|pair| &pair[1]).chain(joined).cloned());
        Ok(())
    }

    /// Takes a folder for one in which headers are looked for. In one that lies in a folder of the system, headers of the system
    /// find theirs, too (those of GLib their `glibconfig.h`), and these are not read: so all that is there is declared.
    fn include_folder(&mut self, draft: &mut Draft<'_>, folder: &Path) -> Result<(), PlanError> {
        let refused = |why: &str| PlanError::Unsupported {
            what: format!("the folder of headers {}", folder.display()),
            why: why.to_owned(),
        };
        if folder.parent().is_none() {
            return Err(refused(
                "every file of the machine would be an input; name the folder itself",
            ));
        }
        let seen = self.roots.to_virtual(&folder.to_string_lossy());
        let is_systems = is_shown(folder)
            && seen.is_none_or(|seen| seen.starts_with(&format!("{EXEC_ROOT}/ext/")));
        self.roots.cover(&self.lookups, folder);
        if draft.include_folders.iter().any(|known| known == folder) {
            return Ok(());
        }
        draft.include_folders.push(folder.to_owned());
        if is_systems {
            let files = header_folder::all_below(&self.lookups, folder).ok_or_else(|| {
                refused(
                    "it lies in a folder of the system, and holds too many files to make all of them inputs; name the folders \
                     in it that hold the headers",
                )
            })?;
            for file in files {
                draft.inputs.file(&self.roots, &file.to_string_lossy());
            }
        }
        Ok(())
    }

    /// Declares the files that a Go tool's arguments name by absolute paths.
    fn declare_paths(&mut self, draft: &mut Draft<'_>, command: &Command) -> Result<(), PlanError> {
        let system = self.toolchains.system(self.go, &draft.compilers)?;
        let mut previous = "";
        for arg in &command.argv[1..] {
            let path = arg
                .strip_prefix("-I")
                .filter(|rest| rest.starts_with('/'))
                .unwrap_or(arg);
            if path.starts_with('/')
                && !path.starts_with(EXEC_ROOT)
                && !matches!(previous, "-D" | "-trimpath")
                && !system.has(Path::new(path), &self.roots)
            {
                let path = includes::normalise(Path::new(path));
                if self.lookups.is_file(&path) {
                    self.roots
                        .cover(&self.lookups, path.parent().unwrap_or(Path::new("/")));
                    draft.inputs.file(&self.roots, &path.to_string_lossy());
                    draft.includers.push(path);
                } else if self.lookups.is_dir(&path) {
                    self.roots.cover(&self.lookups, &path);
                    if !draft.include_folders.contains(&path) {
                        draft.include_folders.push(path);
                    }
                }
            }
            previous = arg;
        }
        Ok(())
    }

    /// Prefix maps for a C compiler that put this machine's folders back where cmd/go does not trim them: without -trimpath,
    /// and in headers outside all modules. A compiler takes the last map that fits, so the package's own comes later.
    fn restoring_maps(&self, flag: &str) -> Vec<String> {
        self.roots
            .entries()
            .iter()
            .filter(|(_, name)| {
                !name.ends_with("/goroot") && (!self.trimpath || name.contains("/ext/"))
            })
            .map(|(real, name)| format!("{flag}-prefix-map={name}={real}"))
            .collect()
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

    /// Gives cgo the linker flags that mean the same files in every action, and remembers those that cmd/go gave.
    fn link_flags(
        &mut self,
        draft: &mut Draft<'_>,
        command: &mut Command,
    ) -> Result<(), PlanError> {
        let Some(argument) = command
            .argv
            .iter_mut()
            .find(|arg| arg.starts_with("-ldflags="))
        else {
            return Ok(());
        };
        let given = argument
            .strip_prefix("-ldflags=")
            .and_then(quoted_flags)
            .ok_or_else(|| PlanError::Inconsistent(format!("cgo's {argument}")))?;
        let system = self.toolchains.system(self.go, &[self.compiler("CC")])?;
        let linked = linking::link(
            &self.lookups,
            &given,
            &self.go.cwd,
            &mut self.roots,
            &system,
        )?;
        draft.link_files(&self.roots, &linked);
        self.linker_flags
            .insert(draft.group.objdir.clone(), given.clone());
        if linked.flags != given {
            let quoted: Vec<String> = linked.flags.iter().map(|flag| quote(flag)).collect();
            *argument = format!("-ldflags={}", quoted.join(" "));
            draft.recorded_flags = Some(RecordedFlags {
                planned: linked.flags,
                given,
            });
        }
        Ok(())
    }

    /// The same for the link that finds out what a package imports dynamically.
    fn link_objects(
        &mut self,
        draft: &mut Draft<'_>,
        command: &mut Command,
    ) -> Result<(), PlanError> {
        let at = command
            .argv
            .iter()
            .position(|arg| arg == "-o")
            .map(|at| at + 2)
            .filter(|at| *at <= command.argv.len())
            .ok_or_else(|| PlanError::Inconsistent(format!("no -o in {:?}", command.argv)))?;
        let tail = command.argv.split_off(at);
        let system = self.toolchains.system(self.go, &[self.compiler("CC")])?;
        let linked = linking::link(&self.lookups, &tail, &self.go.cwd, &mut self.roots, &system)?;
        draft.link_files(&self.roots, &linked);
        command.argv.extend(linked.flags);
        Ok(())
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
