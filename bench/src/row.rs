//! One line of the table.

use serde::Serialize;

/// What a figure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// The second side's time over that of the first.
    Ratio,
    /// Milliseconds.
    Milliseconds,
}

/// What was measured of one thing.
#[derive(Debug, Serialize)]
pub struct Row {
    /// The case, as `--case` calls it.
    pub case: &'static str,
    /// What was measured.
    pub what: &'static str,
    /// What is compared: the measure, and what is measured.
    pub sides: [&'static str; 2],
    /// What `values` are.
    pub unit: Unit,
    /// One for each repetition.
    pub values: Vec<f64>,
    /// Seconds of the first side (`go build`), one for each repetition. Empty where there is nothing to compare with.
    pub go: Vec<f64>,
    /// Seconds of the second side (gofarm), likewise.
    pub gofarm: Vec<f64>,
    /// The largest median that is promised. `None`: no promise, shown to complete the picture.
    pub bound: Option<f64>,
    /// What else to know about the last repetition.
    pub note: String,
}

impl Row {
    /// A comparison without a measurement yet.
    pub fn ratio(case: &'static str, what: &'static str, bound: Option<f64>) -> Row {
        Row {
            case,
            what,
            sides: ["go build", "gofarm"],
            unit: Unit::Ratio,
            values: Vec::new(),
            go: Vec::new(),
            gofarm: Vec::new(),
            bound,
            note: String::new(),
        }
    }

    /// Adds a pair: seconds of one build on each side.
    pub fn pair(&mut self, go: f64, gofarm: f64) {
        self.go.push(go);
        self.gofarm.push(gofarm);
        self.values.push(gofarm / go);
    }

    /// The latest repetition, for people.
    pub fn last(&self) -> String {
        match (self.go.last(), self.gofarm.last(), self.values.last()) {
            (Some(first), Some(second), _) => {
                let [one, other] = self.sides;
                format!("{one} {first:.3} s, {other} {second:.3} s")
            }
            (_, _, Some(value)) => format!("{value:.3} ms"),
            _ => String::new(),
        }
    }

    /// The median of the values.
    pub fn median(&self) -> f64 {
        median(&self.values)
    }

    /// Smallest and largest value.
    pub fn range(&self) -> (f64, f64) {
        let fold =
            |f: fn(f64, f64) -> f64| self.values.iter().copied().reduce(f).unwrap_or(f64::NAN);
        (fold(f64::min), fold(f64::max))
    }

    /// Whether the promise was kept; `None` where there is none.
    pub fn met(&self) -> Option<bool> {
        self.bound.map(|bound| self.median() <= bound)
    }
}

/// The middle, or the mean of the two in the middle; NaN of nothing.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match (sorted.len(), sorted.get(middle)) {
        (_, None) => f64::NAN,
        (length, Some(upper)) if length % 2 == 1 => *upper,
        (_, Some(upper)) => (sorted[middle - 1] + upper) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_of_ratios_pair_by_pair() {
        let mut row = Row::ratio("cold", "", Some(0.9));
        // The machine was ten times slower during the second pair; its ratio counts like the others.
        for (go, gofarm) in [(10.0, 8.0), (100.0, 95.0), (10.0, 9.0)] {
            row.pair(go, gofarm);
        }
        assert_eq!(row.median(), 0.9);
        assert_eq!(row.range(), (0.8, 0.95));
        assert_eq!(row.met(), Some(true));
        row.pair(10.0, 9.2);
        assert_eq!(row.met(), Some(false));
        assert_eq!(Row::ratio("cold", "", None).met(), None);
        assert!(median(&[]).is_nan());
    }
}
