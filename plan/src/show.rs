//! A plan as text, for `-n`.

use std::fmt::Write;

use gofarm_proto::v1;

use crate::dryrun::quote::quote;
use crate::plan::Plan;

impl Plan {
    /// Every action with its commands, as a shell would read them, with virtual paths.
    pub fn script(&self) -> String {
        let mut out = String::new();
        for node in &self.nodes {
            // Writing to a String cannot fail.
            let _ = write!(out, "\n#\n# {}\n#\n\n", node.action.label);
            for step in &node.action.steps {
                if let Some(step) = &step.step {
                    show(&mut out, step);
                }
            }
        }
        out
    }
}

fn show(out: &mut String, step: &v1::step::Step) {
    use v1::step::Step;
    let _ = match step {
        Step::Run(run) => {
            let mut words: Vec<String> = run
                .env
                .iter()
                .map(|var| format!("{}={}", var.name, word(&var.value)))
                .collect();
            words.extend(run.argv.iter().map(|arg| word(arg)));
            writeln!(out, "cd {}\n{}", word(&run.cwd), words.join(" "))
        }
        Step::WriteFile(file) => {
            let text = String::from_utf8_lossy(&file.content);
            let newline = if text.is_empty() || text.ends_with('\n') {
                ""
            } else {
                "\n"
            };
            writeln!(
                out,
                "cat >{} << 'EOF' # internal\n{text}{newline}EOF",
                word(&file.path)
            )
        }
        Step::CopyFile(copy) => writeln!(out, "cp {} {}", word(&copy.from), word(&copy.to)),
        Step::Pack(pack) => {
            let members: Vec<String> = pack.members.iter().map(|member| word(member)).collect();
            writeln!(
                out,
                "pack r {} {} # internal",
                word(&pack.archive),
                members.join(" ")
            )
        }
        Step::GoArchive(archive) => {
            writeln!(
                out,
                "contentid {} {} # internal",
                word(&archive.export),
                word(&archive.object)
            )
        }
        Step::ReplaceText(replace) => writeln!(
            out,
            "replace {} {} {} # internal",
            word(&replace.path),
            word(&replace.from),
            word(&replace.to)
        ),
    };
}

pub(crate) fn word(text: &str) -> String {
    let plain = !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_=./,:+@%".contains(&b));
    if plain { text.to_owned() } else { quote(text) }
}
