//! The directives of a text for the C preprocessor (C11, 5.1.1.2 and 6.10).
//!
//! The text may be C, C++, assembly, or Go with preambles of cgo, and what looks like a comment may be part of a string and the other
//! way round. So every sign that could begin a directive is taken for one, wherever it stands, and comments are left out in both
//! ways where they differ. That finds more than there is, and nothing less.

use std::borrow::Cow;

use memchr::memmem;

/// What begins a directive; the last one where trigraphs are read.
const SIGNS: [&str; 3] = ["#", "%:", "??="];

/// The text with its lines joined where a backslash is the last of one; where the next one is of a preamble of `//` lines, with
/// that sign and without.
pub(super) fn joined(text: &str) -> Vec<Cow<'_, str>> {
    let mut texts = vec![Cow::Borrowed(text)];
    let has_trigraphs = occurrences(text, "??/").next().is_some();
    if !has_trigraphs && occurrences(text, "\\").next().is_none() {
        return texts;
    }
    if has_trigraphs {
        texts.push(text.replace("??/", "\\").into());
    }
    let mut all = Vec::new();
    for text in texts {
        let (with_signs, of_preamble) = (join(&text, false), join(&text, true));
        if of_preamble != with_signs {
            all.push(of_preamble.into());
        }
        all.push(match with_signs == text {
            true => text,
            false => with_signs.into(),
        });
    }
    all
}

/// Compilers take a backslash for the last of its line when only blanks follow.
fn join(text: &str, of_preamble: bool) -> String {
    let mut joined = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        joined.push_str(before);
        let blank = [' ', '\t', '\r', '\u{b}', '\u{c}'];
        rest = match after.trim_start_matches(blank).strip_prefix('\n') {
            Some(next) if of_preamble => next.trim_start().strip_prefix("//").unwrap_or(next),
            Some(next) => next,
            None => {
                joined.push('\\');
                after
            }
        };
    }
    joined.push_str(rest);
    joined
}

/// Where a word stands in a text. Whole source trees are read with it.
pub(super) fn occurrences<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    memmem::find_iter(text.as_bytes(), word.as_bytes())
}

/// What stands behind the signs of a [joined] text, to the end of each line and with a blank for each comment.
pub(super) fn directives(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    SIGNS.iter().flat_map(move |sign| {
        occurrences(text, sign).flat_map(move |at| {
            let rest = &text[at + sign.len()..];
            let line = &rest[..rest.find('\n').unwrap_or(rest.len())];
            match line.contains("/*") {
                true => vec![
                    bare(rest, false).trim_start().to_owned().into(),
                    bare(rest, true).trim_start().to_owned().into(),
                ],
                false => vec![Cow::Borrowed(line.trim_start())],
            }
        })
    })
}

/// The text up to the end of its line, which a comment may put off. With `quotes`, what looks like a comment in quotes is none.
fn bare(text: &str, quotes: bool) -> String {
    let mut bare = String::new();
    let mut quote = None;
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        if quote.is_none() && rest.starts_with("/*") {
            bare.push(' ');
            rest = rest[2..].split_once("*/").map_or("", |(_, after)| after);
            continue;
        }
        match quote {
            _ if next == '\n' => break,
            Some(begun) if begun == next => quote = None,
            None if quotes && matches!(next, '"' | '\'') => quote = Some(next),
            _ => {}
        }
        bare.push(next);
        rest = &rest[next.len_utf8()..];
    }
    bare
}
