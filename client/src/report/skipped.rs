//! What was not built because something else failed.

use std::collections::HashSet;

use super::count::Count;

/// Names that a line holds at most.
const NAMES: usize = 5;

/// Collects skipped actions, grouped by the failed one that they wait for.
#[derive(Debug, Default)]
pub struct Skipped {
    /// In the order in which failures were first waited for.
    groups: Vec<Group>,
}

#[derive(Debug)]
struct Group {
    waits_for: String,
    /// The first ones, in order.
    shown: Vec<String>,
    all: HashSet<String>,
}

impl Skipped {
    /// Notes one. `name` is what a person calls it, a label or an import path; a name that comes twice counts once.
    pub fn add(&mut self, name: &str, waits_for: &str) {
        let at = match self
            .groups
            .iter()
            .position(|group| group.waits_for == waits_for)
        {
            Some(at) => at,
            None => {
                let waits_for = waits_for.to_owned();
                self.groups.push(Group {
                    waits_for,
                    shown: Vec::new(),
                    all: HashSet::new(),
                });
                self.groups.len() - 1
            }
        };
        let group = &mut self.groups[at];
        if group.all.insert(name.to_owned()) && group.shown.len() < NAMES {
            group.shown.push(name.to_owned());
        }
    }

    /// One line for each failed action that others wait for, with line ends. Empty when nothing was skipped.
    pub fn lines(&self) -> String {
        self.groups.iter().map(Group::line).collect()
    }
}

impl Group {
    fn line(&self) -> String {
        let shown = self.shown.join(", ");
        let more = match self.all.len() - self.shown.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let waits_for = &self.waits_for;
        match self.all.len() {
            1 => format!("gofarm: skipped {shown}: waits for {waits_for}\n"),
            count => format!(
                "gofarm: skipped {} that wait for {waits_for}: {shown}{more}\n",
                Count(count, "action")
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_has_one_line() {
        let mut skipped = Skipped::default();
        assert_eq!(skipped.lines(), "");
        skipped.add("compile example.com/x", "compile example.com/y");
        for name in ["a", "b", "c", "d", "e", "a", "f", "g"] {
            skipped.add(name, "compile example.com/z");
        }
        skipped.add("link x", "compile y");
        skipped.add("link z", "compile y");
        assert_eq!(
            skipped.lines(),
            "gofarm: skipped compile example.com/x: waits for compile example.com/y\n\
             gofarm: skipped 7 actions that wait for compile example.com/z: a, b, c, d, e and 2 more\n\
             gofarm: skipped 2 actions that wait for compile y: link x, link z\n"
        );
    }
}
