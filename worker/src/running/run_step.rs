//! The step that runs a program, and what its end means.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gofarm_proto::v1::Run;
use gofarm_proto::{EXEC_ROOT, WORK_DIR};
use nix::errno::Errno;
use tokio_util::sync::CancellationToken;

use super::response_file;
use super::response_file::ResponseFile;
use super::staged_action::StagedAction;
use super::tuning::{RunningActions, compiler_concurrency};
use super::undeclared::{Known, undeclared_folders, undeclared_reads};
use crate::action::VirtualPath;
use crate::error::{ExecuteError, Result};
use crate::logs::{Log, TraceSink, TracedCommand};
use crate::printed::Printed;
use crate::sandbox::{Command, Finished, Interruption, SandboxView, Tools, find_in_path};
use crate::tree::Trouble;

const SIGKILL: i32 = nix::libc::SIGKILL;

/// What the programs of one action have in common.
pub(crate) struct RunStep<'a> {
    pub staged: &'a Arc<StagedAction>,
    pub machine_path: &'a str,
    /// See [`compiler_concurrency`].
    pub cpus: usize,
    pub running: &'a RunningActions,
    pub tuning: &'a [(String, String)],
    pub trace: Option<&'a dyn TraceSink>,
    pub cancel: &'a CancellationToken,
    pub limit: Duration,
    pub deadline: Instant,
    /// Present in a sandbox.
    pub view: Option<&'a SandboxView>,
}

/// How a program ended that was neither killed nor interrupted.
pub(crate) struct RunEnd {
    pub finished: Finished,
    /// 0 also when a failure was turned into a marker.
    pub exit_code: i32,
    pub undeclared: Vec<String>,
}

impl RunStep<'_> {
    /// Runs the program. An error means that nothing can be said about the action.
    pub async fn perform(&self, run: &Run, tools: &mut Tools, log: &mut Log<'_>) -> Result<RunEnd> {
        let mut command = self.command(run).map_err(|trouble| self.trouble(trouble))?;
        self.require_shown(&command)?;
        let tool = tool_name(run);
        if let Some(trace) = self.trace {
            trace.command(&self.traced(&command));
        }
        let named = named_by(&command);
        let _arguments = self.shorten(tool, &mut command)?;
        let may_fail = !run.failure_marker.is_empty();
        log.begin_step(may_fail);
        let finished = match tools.run(command, log, self.cancel, self.deadline).await {
            Ok(finished) => finished,
            Err(why) => return Err(self.interrupted(why, tool, tools, log).await),
        };
        log.end_line();
        let failed = finished.signal != 0 || finished.code != 0;
        if failed && self.out_of_memory(&finished, log) {
            return Err(ExecuteError::OutOfMemory {
                label: self.label(),
                tool: tool.to_owned(),
                peak_memory: finished.peak_memory,
                log: log.tail(),
            });
        }
        log.end_step(failed && may_fail);
        if !failed {
            return Ok(RunEnd {
                finished,
                exit_code: 0,
                undeclared: Vec::new(),
            });
        }
        if may_fail {
            self.mark(&run.failure_marker)?;
            return Ok(RunEnd {
                finished,
                exit_code: 0,
                undeclared: Vec::new(),
            });
        }
        if finished.signal != 0 {
            return Err(ExecuteError::KilledBySignal {
                label: self.label(),
                tool: tool.to_owned(),
                signal: finished.signal,
                log: log.tail(),
            });
        }
        if log.said().full {
            return Err(ExecuteError::Full {
                what: format!("{tool} said so"),
                folder: self.staged.root.folder().to_owned(),
                log: log.tail(),
            });
        }
        let undeclared = self.undeclared(&named, log);
        for path in &undeclared {
            // The tool may have meant to write it.
            log.note(&format!(
                "gofarm: the action needs {path}, which is not among its declared inputs, so its sandbox does not show it; use one in the module or in the system's folders, or build with --sandbox=off"
            ));
        }
        let exit_code = finished.code;
        Ok(RunEnd {
            finished,
            exit_code,
            undeclared,
        })
    }

    /// What an interruption is called by the outside.
    pub async fn interrupted(
        &self,
        why: Interruption,
        tool: &str,
        tools: &mut Tools,
        log: &mut Log<'_>,
    ) -> ExecuteError {
        match why {
            Interruption::Cancelled => ExecuteError::Cancelled,
            Interruption::TimedOut => self.timed_out(tool, log).await,
            Interruption::Failed(failed) => {
                let errno = Errno::from_raw(failed.errno);
                if matches!(errno, Errno::ENOSPC | Errno::EDQUOT) {
                    return ExecuteError::Full {
                        what: failed.reason,
                        folder: self.staged.root.folder().to_owned(),
                        log: log.tail(),
                    };
                }
                ExecuteError::CannotStart {
                    label: self.label(),
                    no_program: errno == Errno::ENOENT,
                    reason: self.explain(failed.reason, errno),
                }
            }
            Interruption::Launcher(problem) => match tools.last_words() {
                words if words.is_empty() => ExecuteError::Launcher(problem),
                words => ExecuteError::Launcher(format!("{problem}: {words}")),
            },
        }
    }

    /// A fact about the action, so what was printed goes with it.
    async fn timed_out(&self, tool: &str, log: &mut Log<'_>) -> ExecuteError {
        let because = |printed| ExecuteError::TimedOut {
            label: self.label(),
            limit: self.limit,
            tool: tool.to_owned(),
            printed,
        };
        log.end_step(false);
        log.note(&because(Printed::default()).to_string());
        match log.finish().settle_failed().await {
            Ok(printed) => because(printed),
            Err(error) => error,
        }
    }

    /// The command as this machine has to run it. Its working folder is made.
    fn command(&self, run: &Run) -> Result<Command, Trouble> {
        let (root, tree) = (&self.staged.root, &self.staged.tree);
        let action = &self.staged.definition.action;
        tree.make_folder(&run.cwd)?;
        let mut argv: Vec<String> = run.argv[..1]
            .iter()
            .map(|program| root.text(program))
            .collect();
        if run.compiler_concurrency {
            argv.push(format!(
                "-c={}",
                compiler_concurrency(self.cpus, self.running.count())
            ));
        }
        for argument in &run.argv[1..] {
            if !run.drop_missing.contains(argument) || tree.exists(argument)? {
                argv.push(root.text(argument));
            }
        }
        let set = action
            .env
            .iter()
            .chain(&run.env)
            .map(|var| (var.name.clone(), root.text(&var.value)));
        let mut env: BTreeMap<String, String> = self.tuning.iter().cloned().chain(set).collect();
        if action.host_tools {
            // The one thing that is inherited: a compiler finds its assembler and linker by it.
            env.entry("PATH".to_owned())
                .or_insert_with(|| self.machine_path.to_owned());
        }
        Ok(Command {
            argv,
            cwd: root.text(&run.cwd),
            env,
            // Said by who knows which is the first.
            begins_action: false,
        })
    }

    /// Refuses a program of the machine that the sandbox does not show: in it the next one on PATH would run, which is not the
    /// one in the action's key.
    fn require_shown(&self, command: &Command) -> Result<()> {
        let action = &self.staged.definition.action;
        let (Some(view), Some(program)) = (self.view, command.argv.first()) else {
            return Ok(());
        };
        if !action.host_tools {
            return Ok(());
        }
        let path = command.env.get("PATH").map_or("", String::as_str);
        let found = match program.contains('/') {
            false => find_in_path(program, path),
            true => Some(PathBuf::from(program)).filter(|path| !path.starts_with(EXEC_ROOT)),
        };
        match found {
            Some(found) if view.hides(&found) => Err(ExecuteError::Refused {
                label: action.label.clone(),
                problem: format!(
                    "{} is not seen in a sandbox; install it in another folder than /tmp, or build with --sandbox=off",
                    found.display()
                ),
            }),
            _ => Ok(()),
        }
    }

    /// Hands long arguments over in a file, where and as cmd/go does. The file is there until what is returned is dropped.
    fn shorten(&self, tool: &str, command: &mut Command) -> Result<Option<ResponseFile<'_>>> {
        if !response_file::is_needed(tool, &command.argv) {
            return Ok(None);
        }
        let path = format!("{WORK_DIR}/{}", response_file::NAME);
        let (root, tree) = (&self.staged.root, &self.staged.tree);
        let file = ResponseFile::write(tree, &path, &command.argv[1..])
            .map_err(|trouble| self.trouble(trouble))?;
        command.argv.truncate(1);
        command.argv.push(format!("@{}", root.text(&path)));
        Ok(Some(file))
    }

    fn traced(&self, command: &Command) -> TracedCommand {
        TracedCommand {
            label: self.label(),
            argv: command.argv.clone(),
            cwd: command.cwd.clone(),
            env: command.env.clone().into_iter().collect(),
            exec_root: self.staged.root.folder().to_owned(),
        }
    }

    fn out_of_memory(&self, finished: &Finished, log: &Log<'_>) -> bool {
        // Nobody else sends it: what we kill ourselves, we do not wait for.
        finished.signal == SIGKILL || log.said().out_of_memory
    }

    fn mark(&self, path: &str) -> Result<()> {
        let written = self.staged.tree.write(path, b"");
        written.map_err(|trouble| self.trouble(trouble))
    }

    fn trouble(&self, trouble: Trouble) -> ExecuteError {
        let StagedAction {
            definition, root, ..
        } = &**self.staged;
        trouble.into_error(&definition.action.label, root.folder())
    }

    fn undeclared(&self, named: &[String], log: &Log<'_>) -> Vec<String> {
        let definition = &self.staged.definition;
        let known = Known {
            declared: &|path| definition.input(path).is_some(),
            staged: &|path| {
                // What cannot be looked at is no undeclared read either.
                VirtualPath::new(path).is_err() || self.staged.tree.exists(path).unwrap_or(true)
            },
            shown: &|path| {
                self.view
                    .is_none_or(|view| view.shows(path, definition.action.host_tools))
            },
        };
        let not_there = &log.said().not_there;
        let mut found = undeclared_reads(not_there, &known);
        if self.view.is_some() && definition.action.host_tools && !not_there.is_empty() {
            found.extend(undeclared_folders(named, &known));
        }
        found
    }

    /// Adds what can be known about a program that was not found.
    fn explain(&self, reason: String, errno: Errno) -> String {
        let real = self.staged.root.folder().to_string_lossy();
        let reason = reason.replace(&*real, gofarm_proto::EXEC_ROOT);
        match (errno, self.view.is_some()) {
            (Errno::ENOENT, true) => format!(
                "{reason}; in the sandbox there is nothing but the action's declared inputs (a program that is there may lack its loader, a script its interpreter)"
            ),
            _ => reason,
        }
    }

    fn label(&self) -> String {
        self.staged.definition.action.label.clone()
    }
}

/// The words of a command, and of the compilers that it runs itself: cgo does.
fn named_by(command: &Command) -> Vec<String> {
    let compilers = ["CC", "CXX", "FC"].iter();
    let lines = compilers.filter_map(|name| command.env.get(*name));
    let words = lines.flat_map(|line| line.split_whitespace());
    let words = words.map(|word| word.trim_matches(['"', '\'']).to_owned());
    command.argv.iter().cloned().chain(words).collect()
}

/// The last part of the program's name.
fn tool_name(run: &Run) -> &str {
    let program = run.argv.first().map_or("", String::as_str);
    program.rsplit('/').next().unwrap_or(program)
}
