//! The table for people.

use crate::compare::{Outcome, Verdict};

const HEADINGS: [&str; 8] = [
    "go", "program", "sort", "programs", "verdict", "go build", "gofarm", "actions",
];

/// A line for each program and release, and how many were identical.
pub fn of(outcomes: &[Outcome]) -> String {
    let mut lines = vec![HEADINGS.map(str::to_owned)];
    lines.extend(outcomes.iter().map(cells));
    let mut widths = [0; HEADINGS.len()];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for line in &lines {
        let mut padded = String::new();
        for (column, (cell, width)) in line.iter().zip(widths).enumerate() {
            match column {
                3 | 5.. => padded.push_str(&format!("{cell:>width$}  ")),
                _ => padded.push_str(&format!("{cell:width$}  ")),
            }
        }
        text.push_str(padded.trim_end());
        text.push('\n');
    }
    let identical = |outcome: &&Outcome| outcome.verdict == Verdict::Identical;
    text.push_str(&format!(
        "{} of {} identical\n",
        outcomes.iter().filter(identical).count(),
        outcomes.len()
    ));
    text
}

fn cells(outcome: &Outcome) -> [String; HEADINGS.len()] {
    let seconds =
        |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.1} s"));
    [
        outcome.go.clone(),
        outcome.program.clone(),
        outcome.sort.clone(),
        outcome.programs.to_string(),
        outcome.verdict.text().to_owned(),
        seconds(outcome.go_seconds),
        seconds(outcome.gofarm_seconds),
        outcome.actions.map_or("-".to_owned(), |actions| {
            format!("{}/{}", actions.executed, actions.total)
        }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Actions;

    #[test]
    fn failures_stand_out() {
        let outcome = |program: &str, verdict| Outcome {
            program: program.into(),
            sort: "pure".into(),
            go: "go1.27.3".into(),
            verdict,
            detail: None,
            programs: 1,
            go_seconds: Some(12.34),
            gofarm_seconds: (verdict == Verdict::Identical).then_some(9.0),
            actions: (verdict == Verdict::Identical).then_some(Actions {
                total: 120,
                executed: 7,
            }),
        };
        assert_eq!(
            of(&[
                outcome("age", Verdict::Identical),
                outcome("mkcert", Verdict::GofarmFails)
            ]),
            "\
go        program  sort  programs  verdict       go build  gofarm  actions
go1.27.3  age      pure         1  identical       12.3 s   9.0 s    7/120
go1.27.3  mkcert   pure         1  GOFARM FAILS    12.3 s       -        -
1 of 2 identical
"
        );
    }
}
