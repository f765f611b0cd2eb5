//! Finds the word that was most likely meant.

/// The candidate with the fewest typing mistakes, if there are few enough for it to be meant; the first of equals.
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // A third of the letters may be wrong, but of a short word at least one: `-rase`, `-verison`, `--sumary-json`.
    let limit = (word.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| (mistakes(word, candidate), candidate))
        .filter(|(mistakes, candidate)| *mistakes <= limit && *mistakes < candidate.chars().count())
        .min_by_key(|(mistakes, _)| *mistakes)
        .map(|(_, candidate)| candidate)
}

/// Letters left out, added, changed, or swapped with their neighbour (optimal string alignment).
fn mistakes(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let same = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1)
                .min(rows[i][j - 1] + 1)
                .min(rows[i - 1][j - 1] + same);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_mistakes_are_seen_through() {
        let flags = ["race", "tags", "trimpath", "summary-json", "v", "x"];
        for (typed, meant) in [
            ("rase", Some("race")),
            ("tag", Some("tags")),
            ("trimpth", Some("trimpath")),
            ("tirmpath", Some("trimpath")),
            ("sumary-jsn", Some("summary-json")),
            ("foo", None),
            ("q", None),
        ] {
            assert_eq!(nearest(typed, flags), meant, "{typed}");
        }
    }
}
