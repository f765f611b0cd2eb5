//! Makes a recording of a build: `record PLAN EVENTS > FILE`, of what `gofarm submit -n` wrote to stderr and
//! `gofarm submit --events FILE` to its file for the same packages.

use std::collections::HashMap;
use std::error::Error;
use std::fs;

use gofarm_proto::v1;
use gofarm_simulation::recording::{Recorded, write};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [plan, events] = arguments.as_slice() else {
        return Err("usage: record PLAN EVENTS".into());
    };
    let mut actions = planned(&fs::read_to_string(plan)?)?;
    let mut timed = 0;
    for line in fs::read_to_string(events)?.lines() {
        let event: serde_json::Value = serde_json::from_str(line)?;
        if event["type"] != "action_finished" {
            continue;
        }
        let node = event["node"].as_u64().ok_or("an action without a number")? as usize;
        let usage = &event["usage"];
        let of = |field: &str| usage[field].as_u64().unwrap_or(0);
        let action = actions.get_mut(node).ok_or("more actions than planned")?;
        if event["label"] != label(action) {
            return Err(format!(
                "action {node} is planned as {} and ran as {}",
                label(action),
                event["label"]
            )
            .into());
        }
        action.duration_ms = of("wall_ms") + (of("stage_us") + of("collect_us")).div_ceil(1000);
        timed += 1;
    }
    if timed != actions.len() {
        return Err(format!("{} actions are planned and {timed} have run", actions.len()).into());
    }
    print!("{}", write(&actions));
    Ok(())
}

fn label(action: &Recorded) -> String {
    let kind = if action.kind == v1::Kind::Link {
        "link"
    } else {
        "compile"
    };
    format!("{kind} {}", action.package)
}

/// Every action of a plan stands under a line with its label between two empty comments; what it reads is in its
/// import configurations.
fn planned(plan: &str) -> Result<Vec<Recorded>, Box<dyn Error>> {
    let lines: Vec<&str> = plan.lines().collect();
    let mut actions: Vec<Recorded> = Vec::new();
    let mut numbers: HashMap<String, u32> = HashMap::new();
    for (index, line) in lines.iter().enumerate() {
        let framed = index > 0 && lines[index - 1] == "#" && lines.get(index + 1) == Some(&"#");
        if let Some(label) = line.strip_prefix("# ").filter(|_| framed) {
            let (kind, package) = label.split_once(' ').ok_or("a label without a package")?;
            let kind = match kind {
                "compile" => v1::Kind::Compile,
                "link" => v1::Kind::Link,
                _ => return Err(format!("{label:?} cannot be recorded").into()),
            };
            if kind == v1::Kind::Compile {
                numbers.insert(package.to_owned(), actions.len() as u32);
            }
            actions.push(Recorded {
                kind,
                duration_ms: 0,
                package: package.to_owned(),
                inputs: Vec::new(),
            });
        } else if let Some(file) = line.strip_prefix("packagefile ") {
            let (package, _) = file.split_once('=').ok_or("a package without a file")?;
            let input = numbers
                .get(package)
                .ok_or_else(|| format!("{package} is read before it is made"))?;
            let action = actions
                .last_mut()
                .ok_or("a package file outside of an action")?;
            action.inputs.push(*input);
        }
    }
    for action in &mut actions {
        action.inputs.sort_unstable();
        action.inputs.dedup();
    }
    Ok(actions)
}
