//! Files of further flags, `@FILE`, as the driver of a C compiler reads them (libiberty/argv.c).

use std::path::{Path, PathBuf};

use crate::lookups::Lookups;

/// The file that a flag names; nothing where there is none, because then the flag is taken as it stands.
pub(crate) fn named(lookups: &Lookups, flag: &str, cwd: &Path) -> Option<PathBuf> {
    let path = cwd.join(flag.strip_prefix('@')?);
    lookups.is_file(&path).then_some(path)
}

/// The flags in such a file: blanks separate, both kinds of quotes protect, and a backslash takes what follows as it is
/// (`buildargv`). Nothing where drivers differ: in a backslash between quotes or before the end of a line, in a quoted line end,
/// and in a word with nothing in it.
pub(crate) fn split(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut letters = text.chars();
    while let Some(c) = letters.next() {
        if c == '\\' {
            let next = letters.next().filter(|next| *next != '\n')?;
            if quote.is_some() {
                return None;
            }
            word.get_or_insert_default().push(next);
        } else if quote == Some(c) {
            quote = None;
        } else if quote.is_some() {
            if c == '\n' {
                return None;
            }
            word.get_or_insert_default().push(c);
        } else if c == '\'' || c == '"' {
            quote = Some(c);
            word.get_or_insert_default();
        } else if c.is_ascii_whitespace() || c == '\u{b}' {
            words.extend(word.take());
        } else {
            word.get_or_insert_default().push(c);
        }
    }
    words.extend(word);
    (!words.iter().any(String::is_empty)).then_some(words)
}

/// A file that every driver takes apart into these flags, none of which is empty or has a line end in it.
pub(crate) fn join(flags: &[String]) -> String {
    let mut text = String::new();
    for flag in flags {
        for c in flag.chars() {
            if c.is_ascii_whitespace() || matches!(c, '\u{b}' | '\\' | '\'' | '"') {
                text.push('\\');
            }
            text.push(c);
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_split_as_the_driver_splits_them() {
        for (text, flags) in [
            ("", &[][..]),
            ("  \n\t", &[]),
            ("-a -b\n-c", &["-a", "-b", "-c"]),
            ("'a b' \"c 'd'\" e'f g'h", &["a b", "c 'd'", "ef gh"]),
            ("a\\ b \\\" \\' \\\\", &["a b", "\"", "'", "\\"]),
            ("'unfinished word", &["unfinished word"]),
        ] {
            assert_eq!(split(text).unwrap(), flags, "{text}");
        }
    }

    #[test]
    fn what_drivers_read_differently_is_not_read() {
        for text in [
            "'a\\b'",
            "\"a\\\"b\"",
            "a\\\nb",
            "a\\",
            "'a\nb'",
            "a '' b",
            "\"\"",
        ] {
            assert_eq!(split(text), None, "{text}");
        }
    }

    #[test]
    fn flags_that_are_joined_are_split_into_the_same() {
        let flags = ["a b", "-Wl,-rpath,/x'y\"z\\", "\t", "plain"].map(str::to_owned);
        assert_eq!(split(&join(&flags)).unwrap(), flags);
    }
}
