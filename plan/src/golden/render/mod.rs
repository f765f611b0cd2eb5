//! A graph as text that a person reads, with everything in it that a plan says.
//!
//! Every structure is taken apart with all of its fields named, so that a new one cannot be forgotten here.

mod condense;
mod step;

use gofarm_proto::v1;
use gofarm_proto::v1::identity_part::Kind as PartKind;
use gofarm_proto::v1::{IdentityPart, IdentityTemplate, RecordedFlags};

use self::condense::condense;
use super::cases::{Case, ROOT, Shown};
use crate::error::PlanError;
use crate::node::PlannedNode;
use crate::plan::Plan;

/// The graph, or the words of the refusal.
pub(super) fn outcome(case: &Case, plan: &Result<Plan, PlanError>) -> String {
    shown(plan, case.std)
}

/// As [`outcome`], and nothing is left to a digest.
pub(super) fn whole(plan: &Result<Plan, PlanError>) -> String {
    shown(plan, Shown::All)
}

fn shown(plan: &Result<Plan, PlanError>, std: Shown) -> String {
    match plan {
        Ok(plan) => graph(plan, std),
        Err(error) => format!("refused, {:?}: {error}\n", error.class()),
    }
}

fn graph(plan: &Plan, std: Shown) -> String {
    let Plan {
        nodes,
        roots,
        go_version,
        exe_suffix,
        notes,
    } = plan;
    let mut out = format!("{go_version}, programs end in {exe_suffix:?}\n");
    for note in notes {
        out.push_str(&format!("note {note}\n"));
    }
    for (seen, real) in roots.named() {
        out.push_str(&format!("root {seen} {real}\n"));
    }
    for node in nodes {
        let whole = self::node(nodes, node);
        let goroot = format!("{ROOT}/goroot/");
        let is_shown = match std {
            Shown::All => true,
            Shown::These(names) => names.contains(&node.import_path.as_str()),
        };
        let is_std = node.folder.starts_with(&goroot);
        if is_std && !is_shown {
            let digest = blake3::hash(whole.as_bytes()).to_hex();
            let label = &node.action.label;
            out.push_str(&format!("\n{label}: {}", &digest[..16]));
        } else {
            out.push_str(&format!("\n\n{whole}"));
        }
    }
    out.push('\n');
    out
}

fn node(nodes: &[PlannedNode], node: &PlannedNode) -> String {
    let PlannedNode {
        action,
        edges,
        identity,
        import_path,
        folder,
        main,
        target,
        recorded_flags,
        c_library,
        c_toolchain_name,
    } = node;
    let v1::Action {
        label,
        kind: _,
        package,
        steps,
        inputs,
        outputs,
        env,
        platform,
        host_tools,
        timeout_ms,
        places,
    } = action;
    let labels = |node: u32| nodes[node as usize].action.label.as_str();
    let mut lines = vec![format!("== {label}")];
    let mut say = |line: String| lines.push(format!("  {line}"));
    say(format!(
        "{:?} of {package:?}, import path {import_path:?}, in {folder:?}",
        action.kind()
    ));
    if let Some(main) = main {
        say(format!("main {}", labels(*main)));
    }
    if let Some(target) = target {
        say(format!("target {target}"));
    }
    if let Some(RecordedFlags { planned, given }) = recorded_flags {
        say(format!("records {planned:?} for {given:?}"));
    }
    if *c_library {
        say("a library for C".to_owned());
    }
    if *timeout_ms > 0 {
        say(format!("{timeout_ms} ms"));
    }
    if let Some(platform) = platform {
        let v1::Platform {
            os,
            arch,
            c_toolchain,
        } = platform;
        say(format!(
            "platform {os} {arch} {c_toolchain:?} {c_toolchain_name:?}, host tools {host_tools}"
        ));
    }
    let vars = env.iter().map(step::variable);
    say(format!("env {}", vars.collect::<Vec<_>>().join(" ")));
    let mut out = lines.join("\n") + "\n";
    for step in steps {
        step::step(&mut out, step);
    }
    out.push_str("  inputs\n");
    condense(&mut out, "    ", self::inputs(inputs, edges, &labels));
    out.push_str("  outputs\n");
    for output in outputs {
        let v1::Output {
            name,
            path,
            optional,
            executable,
        } = output;
        let marks = marks(&[("optional", *optional), ("executable", *executable)]);
        out.push_str(&format!("    {name} {path}{marks}\n"));
    }
    for place in places {
        let v1::Place { path, input } = place;
        out.push_str(&format!("  place {path} of {input}\n"));
    }
    if let Some(template) = identity {
        out.push_str("  identity\n");
        condense(&mut out, "    ", self::identity(template, &labels));
    }
    out
}

fn marks(marks: &[(&str, bool)]) -> String {
    let marks = marks.iter().filter(|(_, holds)| *holds);
    marks.map(|(name, _)| format!(", {name}")).collect()
}

/// Each input in a line, with the part of it in which those beside it differ.
fn inputs<'a>(
    inputs: &[v1::Input],
    edges: &[v1::Edge],
    labels: &dyn Fn(u32) -> &'a str,
) -> Vec<(String, String)> {
    let mut edges = edges.iter();
    let mut lines: Vec<(String, String)> = Vec::new();
    for input in inputs {
        let v1::Input {
            path,
            source,
            executable,
            by_reference,
        } = input;
        let marks = marks(&[("executable", *executable), ("by reference", *by_reference)]);
        lines.push(match source {
            None => {
                let name = path.rsplit('/').next().unwrap_or_default();
                (format!("{path}{marks}"), name.to_owned())
            }
            Some(v1::input::Source::Produced(v1::Produced { output })) => {
                let made = match edges.next() {
                    Some(v1::Edge { node, output }) => format!("{output} of {}", labels(*node)),
                    None => "of no edge".to_owned(),
                };
                let name = path.strip_prefix("/__gofarm__/in/").unwrap_or_default();
                let name = name.rsplit_once('.').map_or(name, |(name, _)| name);
                (format!("{path} {output} <- {made}{marks}"), name.to_owned())
            }
            Some(v1::input::Source::Digest(digest)) => {
                (format!("{path} {digest:?}"), String::new())
            }
        });
    }
    lines.extend(edges.map(|edge| (format!("{edge:?} of no input"), String::new())));
    lines
}

/// The lines of a hash input, with what placeholders stand for between braces.
fn identity<'a>(
    template: &IdentityTemplate,
    labels: &dyn Fn(u32) -> &'a str,
) -> Vec<(String, String)> {
    let IdentityTemplate { parts } = template;
    let mut text = String::new();
    for IdentityPart { kind } in parts {
        match kind {
            Some(PartKind::Literal(bytes)) => text.push_str(&String::from_utf8_lossy(bytes)),
            Some(PartKind::FileHash(path)) => text.push_str(&format!("{{hash of {path}}}")),
            Some(PartKind::ContentId(node)) => {
                text.push_str(&format!("{{content of {}}}", labels(*node)));
            }
            Some(PartKind::BuildId(node)) => {
                text.push_str(&format!("{{build ID of {}}}", labels(*node)));
            }
            Some(PartKind::ProfileHash(node)) => {
                text.push_str(&format!("{{profile of {}}}", labels(*node)));
            }
            None => text.push_str("{}"),
        }
    }
    let lines = text.lines().map(|line| {
        let after = |word: &str, end: char| Some(line.strip_prefix(word)?.split_once(end)?.0);
        let name = after("file ", ' ')
            .or_else(|| after("import ", ' '))
            .or_else(|| after("packagefile ", '='));
        (line.to_owned(), name.unwrap_or_default().to_owned())
    });
    lines.collect()
}
