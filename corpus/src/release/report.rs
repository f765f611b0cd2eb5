//! What is unknown of a release, each thing once.

use std::collections::BTreeMap;
use std::fmt;

use gofarm_plan::survey::{Survey, Unknown};
use serde::Serialize;

/// Lines of one thing that are printed; all of them are in the JSON.
const SHOWN: usize = 3;

/// What was found out about a release.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    go: String,
    /// Dry runs that go did.
    dry_runs: usize,
    hash_inputs: usize,
    action_ids_computed: usize,
    /// By what is unknown: where it was met.
    unknown: BTreeMap<String, Vec<String>>,
    /// Dry runs that go refused, or that the machine is not fit for, and why. Some specimens are meant to be.
    refused: BTreeMap<String, String>,
}

impl Report {
    /// Nothing is known yet of this release.
    pub fn new(go: &str) -> Report {
        Report {
            go: go.to_owned(),
            ..Report::default()
        }
    }

    /// Something is unknown.
    pub fn note(&mut self, sort: &str, what: impl fmt::Display, place: &str) {
        let places = self.unknown.entry(format!("{sort}: {what}")).or_default();
        places.push(place.to_owned());
    }

    /// What a survey found in a dry run.
    pub fn add(&mut self, name: &str, survey: Survey) {
        self.dry_runs += 1;
        self.hash_inputs += survey.hashes;
        self.action_ids_computed += survey.action_ids;
        for unknown in survey.unknown {
            self.unknown(unknown, name);
        }
    }

    /// Something that is unknown, and where it was found.
    pub fn unknown(&mut self, unknown: Unknown, place: &str) {
        let places = self.unknown.entry(unknown.to_string()).or_default();
        places.push(place.to_owned());
    }

    /// go would not, or the machine could not.
    pub fn refused(&mut self, name: &str, why: String) {
        self.refused.insert(name.to_owned(), why);
    }

    /// Whether nothing was unknown. A release of which no dry run came is not known.
    pub fn is_known(&self) -> bool {
        self.unknown.is_empty() && self.dry_runs > self.refused.len()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: {} dry runs, {} hash inputs, {} action IDs computed; {} refused; {} unknown",
            self.go,
            self.dry_runs,
            self.hash_inputs,
            self.action_ids_computed,
            self.refused.len(),
            self.unknown.len(),
        )?;
        for (what, places) in &self.unknown {
            writeln!(f, "  unknown {what}")?;
            let shown = places.iter().take(SHOWN).map(String::as_str);
            let more = places.len().saturating_sub(SHOWN);
            let shown = shown.collect::<Vec<_>>().join(", ");
            match more {
                0 => writeln!(f, "    in {shown}")?,
                _ => writeln!(f, "    in {shown} and {more} more")?,
            }
        }
        for (name, why) in &self.refused {
            writeln!(
                f,
                "  refused {name}: {}",
                why.lines().next().unwrap_or_default()
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gofarm_plan::survey::Unknown;

    #[test]
    fn what_is_met_often_is_told_once() {
        let mut report = Report::new("go1.28");
        for name in ["a", "b", "c", "d", "e"] {
            let survey = Survey {
                unknown: [Unknown::Mode("shuffle".into())].into(),
                hashes: 2,
                action_ids: 1,
            };
            report.add(name, survey);
        }
        report.refused("f", "go: no\nmore".into());
        assert!(!report.is_known());
        assert_eq!(
            report.to_string(),
            "\
go1.28: 5 dry runs, 10 hash inputs, 5 action IDs computed; 1 refused; 1 unknown
  unknown mode in -debug-actiongraph: shuffle
    in a, b, c and 2 more
  refused f: go: no
"
        );
    }

    #[test]
    fn a_release_that_refuses_everything_is_not_known() {
        let mut report = Report::new("go1.28");
        report.refused("a", "go: unknown flag -n".into());
        assert!(!report.is_known());
    }
}
