//! Licence expressions (SPDX specification, annex on license expressions), as far as crates use them.

/// Whether what an expression asks for can be had with these licences alone. `MIT/Apache-2.0` is how old crates write OR.
pub fn is_met(expression: &str, allowed: &[&str]) -> bool {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let mut words = spaced.split_whitespace().peekable();
    let met = any(&mut words, allowed);
    // What cannot be read is not met.
    met == Some(true) && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any(words: &mut Words<'_>, allowed: &[&str]) -> Option<bool> {
    let mut met = all(words, allowed)?;
    while words.next_if_eq(&"OR").is_some() {
        met |= all(words, allowed)?;
    }
    Some(met)
}

fn all(words: &mut Words<'_>, allowed: &[&str]) -> Option<bool> {
    let mut met = one(words, allowed)?;
    while words.next_if_eq(&"AND").is_some() {
        met &= one(words, allowed)?;
    }
    Some(met)
}

fn one(words: &mut Words<'_>, allowed: &[&str]) -> Option<bool> {
    match words.next()? {
        "(" => {
            let met = any(words, allowed)?;
            words.next_if_eq(&")").map(|_| met)
        }
        ")" | "AND" | "OR" | "WITH" => None,
        licence => {
            // An exception gives more than the licence does.
            if words.next_if_eq(&"WITH").is_some() {
                words.next()?;
            }
            Some(allowed.contains(&licence))
        }
    }
}

#[test]
fn expressions_are_met_by_what_is_allowed() {
    let allowed = ["MIT", "Apache-2.0"];
    for (expression, met) in [
        ("MIT", true),
        ("MIT OR GPL-3.0-only", true),
        ("MIT/Apache-2.0", true),
        ("MIT AND GPL-3.0-only", false),
        ("(GPL-3.0-only OR MIT) AND Apache-2.0", true),
        ("GPL-3.0-only OR MIT AND ISC", false),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("GPL-3.0-only", false),
        ("", false),
        ("MIT MIT", false),
        ("(MIT", false),
        ("MIT OR", false),
    ] {
        assert_eq!(is_met(expression, &allowed), met, "{expression:?}");
    }
}
