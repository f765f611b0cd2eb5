//! The steps of an action.

use gofarm_proto::v1;

use super::condense::condense;
use crate::show::word;

/// `NAME=VALUE`.
pub(super) fn variable(variable: &v1::EnvVar) -> String {
    let v1::EnvVar { name, value } = variable;
    format!("{name}={}", word(value))
}

pub(super) fn step(out: &mut String, step: &v1::Step) {
    let v1::Step {
        step,
        skip_if_exists,
    } = step;
    if !skip_if_exists.is_empty() {
        out.push_str(&format!("  unless {skip_if_exists} exists\n"));
    }
    match step {
        None => out.push_str("  nothing\n"),
        Some(v1::step::Step::Run(run)) => self::run(out, run),
        Some(v1::step::Step::WriteFile(v1::WriteFile { path, content })) => {
            out.push_str(&format!("  write {path}\n"));
            let text = String::from_utf8_lossy(content);
            let lines = text.split_inclusive('\n').map(|line| {
                let name = line.strip_prefix("packagefile ");
                let name = name.and_then(|rest| Some(rest.split_once('=')?.0));
                let end = if line.ends_with('\n') {
                    ""
                } else {
                    " (no end of line)"
                };
                let line = line.trim_end_matches('\n');
                (
                    format!("| {line}{end}"),
                    name.unwrap_or_default().to_owned(),
                )
            });
            condense(out, "    ", lines.collect());
        }
        Some(v1::step::Step::CopyFile(v1::CopyFile { from, to })) => {
            out.push_str(&format!("  copy {from} to {to}\n"));
        }
        Some(v1::step::Step::Pack(pack)) => {
            let v1::Pack {
                archive,
                members,
                drop_missing,
            } = pack;
            out.push_str(&format!(
                "  pack {archive} without missing {drop_missing:?}\n"
            ));
            words(out, members);
        }
        Some(v1::step::Step::GoArchive(archive)) => {
            let v1::GoArchive {
                export,
                object,
                build_id,
            } = archive;
            out.push_str(&format!("  stamp {export} {object} {build_id}\n"));
        }
        Some(v1::step::Step::ReplaceText(v1::ReplaceText { path, from, to })) => {
            out.push_str(&format!(
                "  replace in {path} {} by {}\n",
                word(from),
                word(to)
            ));
        }
    }
}

fn run(out: &mut String, run: &v1::Run) {
    let v1::Run {
        argv,
        cwd,
        env,
        drop_missing,
        failure_marker,
        compiler_concurrency,
    } = run;
    out.push_str(&format!("  run in {cwd}"));
    for var in env {
        out.push_str(&format!(" {}", variable(var)));
    }
    if *compiler_concurrency {
        out.push_str(", with as many threads as there are");
    }
    if !drop_missing.is_empty() {
        out.push_str(&format!(", without missing {drop_missing:?}"));
    }
    if !failure_marker.is_empty() {
        out.push_str(&format!(", failure makes {failure_marker}"));
    }
    out.push('\n');
    words(out, argv);
}

/// One flag with its value in a line, and files of a folder together.
fn words(out: &mut String, argv: &[String]) {
    let mut lines: Vec<(String, String)> = Vec::new();
    let mut after_flag = false;
    for arg in argv {
        let is_flag = arg.starts_with('-');
        match lines.last_mut() {
            Some((line, name)) if after_flag && !is_flag => {
                line.push(' ');
                line.push_str(&word(arg));
                name.clear();
            }
            _ => {
                let name = match is_flag {
                    true => "",
                    false => arg.rsplit('/').next().unwrap_or_default(),
                };
                lines.push((word(arg), name.to_owned()));
            }
        }
        after_flag = is_flag && !arg.contains('=') && arg != "-pack";
    }
    condense(out, "    ", lines);
}
