//! The table for people, and the file for programs.

use std::fs;
use std::path::Path;

use anyhow::Context;
use serde::Serialize;

use crate::machine::Machine;
use crate::row::{Row, Unit, median};

const COLUMNS: usize = 7;

/// The rows in columns, each with what there is to know about it below. Rows that compare something else have headings of
/// their own.
pub fn table(rows: &[Row]) -> String {
    rows.chunk_by(|one, next| one.sides == next.sides)
        .map(part)
        .collect()
}

fn part(rows: &[Row]) -> String {
    let [one, other] = rows.first().map_or([""; 2], |row| row.sides);
    let headings = ["case", one, other, "measured", "min - max", "bound", ""];
    let mut lines = vec![headings.map(str::to_owned)];
    lines.extend(rows.iter().map(cells));
    let mut widths = [0; COLUMNS];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::from("\n");
    for (index, line) in lines.iter().enumerate() {
        let mut padded = String::new();
        for (column, (cell, width)) in line.iter().zip(widths).enumerate() {
            match column {
                0 | 6 => padded.push_str(&format!("{cell:width$}  ")),
                _ => padded.push_str(&format!("{cell:>width$}  ")),
            }
        }
        text.push_str(padded.trim_end());
        text.push('\n');
        if let Some(row) = index.checked_sub(1).and_then(|index| rows.get(index)) {
            text.push_str(&format!("    {}\n", row.note));
        }
    }
    text
}

fn cells(row: &Row) -> [String; COLUMNS] {
    let seconds = |values: &[f64]| match values {
        [] => String::new(),
        values => format!("{:.3} s", median(values)),
    };
    let value = |value: f64| match row.unit {
        Unit::Ratio => format!("{value:.3}"),
        Unit::Milliseconds => format!("{value:.2} ms"),
    };
    let (low, high) = row.range();
    let verdict = match row.met() {
        Some(true) => "met",
        Some(false) => "missed",
        None => "",
    };
    [
        format!("{}: {}", row.case, row.what),
        seconds(&row.go),
        seconds(&row.gofarm),
        value(row.median()),
        format!("{} - {}", value(low), value(high)),
        row.bound.map_or(String::from("-"), value),
        verdict.to_owned(),
    ]
}

#[derive(Serialize)]
struct Report<'a> {
    machine: &'a Machine,
    rows: Vec<Judged<'a>>,
}

#[derive(Serialize)]
struct Judged<'a> {
    #[serde(flatten)]
    row: &'a Row,
    median: f64,
    met: Option<bool>,
}

/// Writes everything that was measured.
///
/// # Errors
/// The file cannot be written.
pub fn write_json(path: &Path, machine: &Machine, rows: &[Row]) -> anyhow::Result<()> {
    let rows = rows.iter().map(|row| Judged {
        row,
        median: row.median(),
        met: row.met(),
    });
    let report = Report {
        machine,
        rows: rows.collect(),
    };
    let mut text = serde_json::to_string_pretty(&report).context("encoding the report")?;
    text.push('\n');
    fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_shows_its_bound_and_whether_it_holds() {
        let mut body = Row::ratio("body", "edited", Some(0.08));
        body.pair(10.0, 0.5);
        body.note = "4 of 565 actions executed".into();
        let mut place = Row::ratio("nothing", "in place", None);
        place.pair(0.1, 0.2);
        let overhead = Row {
            unit: Unit::Milliseconds,
            values: vec![6.25],
            bound: Some(5.0),
            ..Row::ratio("overhead", "per action", None)
        };
        assert_eq!(
            table(&[body, place, overhead]),
            "
case                  go build   gofarm  measured          min - max    bound
body: edited          10.000 s  0.500 s     0.050      0.050 - 0.050    0.080  met
    4 of 565 actions executed
nothing: in place      0.100 s  0.200 s     2.000      2.000 - 2.000        -
    
overhead: per action                      6.25 ms  6.25 ms - 6.25 ms  5.00 ms  missed
    
"
        );
    }

    #[test]
    fn what_is_compared_stands_above_the_figures() {
        let mut cold = Row::ratio("cold", "empty", Some(0.9));
        cold.pair(10.0, 8.0);
        let mut farm = Row {
            sides: ["embedded", "farm"],
            ..Row::ratio("farm", "loopback", Some(1.05))
        };
        farm.pair(8.0, 8.2);
        assert_eq!(
            table(&[cold, farm]),
            "
case         go build   gofarm  measured      min - max  bound
cold: empty  10.000 s  8.000 s     0.800  0.800 - 0.800  0.900  met
    

case            embedded     farm  measured      min - max  bound
farm: loopback   8.000 s  8.200 s     1.025  1.025 - 1.025  1.050  met
    
"
        );
    }
}
