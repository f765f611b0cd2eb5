//! The flags of a C compiler's driver that links, taken apart: which of them are its own and which are the linker's, with
//! response files read.

use std::path::Path;

use crate::lookups::Lookups;

/// Response files name each other no deeper than this; gcc has a limit, too.
const DEEPEST: usize = 8;

/// One flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Word {
    /// The driver's own.
    Driver(String),
    /// `-Wl,a,b`, or `-Xlinker a`.
    Linker(Vec<String>),
}

impl Word {
    /// The same flag with other arguments.
    pub fn with(&self, arguments: Vec<String>) -> Vec<String> {
        match self {
            Word::Driver(_) => arguments,
            // A comma separates in -Wl.
            Word::Linker(_) if arguments.iter().any(|argument| argument.contains(',')) => arguments
                .into_iter()
                .flat_map(|argument| ["-Xlinker".to_owned(), argument])
                .collect(),
            Word::Linker(_) => vec![format!("-Wl,{}", arguments.join(","))],
        }
    }
}

/// Takes flags apart. Response files are relative to `cwd`.
pub(crate) fn read(lookups: &Lookups, flags: &[String], cwd: &Path) -> Vec<Word> {
    let mut words = Vec::with_capacity(flags.len());
    let mut flags = expand(lookups, flags, cwd, 0).into_iter();
    while let Some(flag) = flags.next() {
        if let Some(list) = flag.strip_prefix("-Wl,") {
            let list: Vec<String> = list.split(',').map(str::to_owned).collect();
            words.push(Word::Linker(expand(lookups, &list, cwd, 0)));
        } else if flag == "-Xlinker" {
            match flags.next() {
                Some(argument) => words.push(Word::Linker(expand(lookups, &[argument], cwd, 0))),
                None => words.push(Word::Driver(flag)),
            }
        } else {
            words.push(Word::Driver(flag));
        }
    }
    words
}

/// Puts the content of response files in their place.
fn expand(lookups: &Lookups, flags: &[String], cwd: &Path, depth: usize) -> Vec<String> {
    let mut out = Vec::with_capacity(flags.len());
    for flag in flags {
        let content = flag
            .strip_prefix('@')
            .filter(|name| !name.is_empty() && depth < DEEPEST)
            .map(|name| cwd.join(name))
            .filter(|path| lookups.is_file(path))
            .and_then(|path| lookups.read_whole(&path).ok());
        match content {
            Some(content) => {
                let words = split(&String::from_utf8_lossy(&content));
                out.extend(expand(lookups, &words, cwd, depth + 1));
            }
            None => out.push(flag.clone()),
        }
    }
    out
}

/// The words of a response file: separated by white space, quoted with ' or ", a backslash protects one character
/// (libiberty's `buildargv`).
fn split(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', _) => word.get_or_insert_default().extend(chars.next()),
            (c, Some(open)) if c == open => quote = None,
            ('\'' | '"', None) => {
                word.get_or_insert_default();
                quote = Some(c);
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn response_files_are_read_as_gcc_reads_them() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a"), "-lx 'b c'\n\"d\"\\ e @b").unwrap();
        std::fs::write(dir.path().join("b"), "-Wl,-s").unwrap();
        let flags = ["@a", "@none", "-Xlinker", "-z"].map(str::to_owned);
        assert_eq!(
            read(&Lookups::default(), &flags, dir.path()),
            [
                Word::Driver("-lx".into()),
                Word::Driver("b c".into()),
                Word::Driver("d e".into()),
                Word::Linker(vec!["-s".into()]),
                Word::Driver("@none".into()),
                Word::Linker(vec!["-z".into()]),
            ]
        );
    }
}
