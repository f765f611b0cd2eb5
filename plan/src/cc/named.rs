//! The names of files in the text of C and assembly sources, and in the preambles of cgo.

use super::directives::{directives, joined, occurrences};

/// A file that a source names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Name {
    /// Text that may name further files.
    Source(String),
    /// Bytes.
    Data(String),
    /// It is not known which: a macro says so.
    Computed,
}

/// The files that a text names: in `#include` and `#embed` lines and the questions whether a file is there, and in the
/// assembler's `.incbin` and `.include`, which may stand in a string of C.
pub(crate) fn names(text: &str) -> Vec<Name> {
    read(text, |_| {})
}

/// The files that a text names; does something with the text of each directive on the way.
pub(crate) fn read(text: &str, mut with: impl FnMut(&str)) -> Vec<Name> {
    let mut names = Vec::new();
    for text in joined(text) {
        for directive in directives(&text) {
            with(&directive);
            of_directive(&directive, &mut names);
        }
        // `#pragma GCC dependency`, and the same in `_Pragma`.
        for rest in behind(&text, "GCC dependency") {
            let bare = rest.trim_start().trim_start_matches('\\');
            let name = quoted(bare).and_then(|name| name.split('\\').next());
            names.extend(name.map(|name| Name::Data(name.to_owned())));
        }
        for (word, is_source) in [(".incbin", false), (".include", true)] {
            names.extend(behind(&text, word).filter_map(|rest| of_assembler(rest, is_source)));
        }
    }
    names
}

/// What stands behind a word, up to the end of the line.
fn behind<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = &'a str> {
    occurrences(text, word).map(move |at| {
        let rest = &text[at + word.len()..];
        &rest[..rest.find('\n').unwrap_or(rest.len())]
    })
}

/// Whether a line says by a macro which file it includes.
pub(crate) fn any_includes_by_macro(text: &str) -> bool {
    joined(text)
        .iter()
        .any(|text| directives(text).any(|directive| includes_by_macro(&directive)))
}

fn of_directive(directive: &str, names: &mut Vec<Name>) {
    for question in ["__has_include_next", "__has_include", "__has_embed"] {
        for rest in directive.split(question).skip(1) {
            let name = rest.trim_start().strip_prefix('(').and_then(quoted);
            names.extend(name.map(|name| Name::Source(name.to_owned())));
        }
    }
    for word in ["include_next", "include", "import"] {
        if let Some(rest) = directive.strip_prefix(word) {
            names.extend(quoted(rest).map(|name| Name::Source(name.to_owned())));
            return;
        }
    }
    if let Some(rest) = directive.strip_prefix("embed") {
        names.push(match quoted(rest) {
            Some(name) => Name::Data(name.to_owned()),
            None => Name::Computed,
        });
    }
}

/// What stands behind `.incbin`: a string, with a backslash before each quote when it is in a string itself.
fn of_assembler(rest: &str, is_source: bool) -> Option<Name> {
    let rest = rest
        .strip_prefix(|c: char| c.is_whitespace() || c == '\\' || c == '"')
        .map(|after| &rest[rest.len() - after.len() - 1..])?;
    let name = rest
        .trim_start()
        .trim_start_matches('\\')
        .strip_prefix('"')
        .and_then(|rest| rest.split(['"', '\\']).next());
    Some(match name {
        Some(name) if !name.is_empty() && is_source => Name::Source(name.to_owned()),
        Some(name) if !name.is_empty() => Name::Data(name.to_owned()),
        _ => Name::Computed,
    })
}

/// `#include HEADER`.
fn includes_by_macro(directive: &str) -> bool {
    directive
        .strip_prefix("include")
        .map(|rest| rest.trim_start_matches("_next").trim_start())
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_'))
}

/// Every string in a text that could be the name of a file.
pub(crate) fn strings(text: &str) -> Vec<String> {
    let mut strings: Vec<String> = text
        .lines()
        .flat_map(|line| line.split(['"', '\'', '<', '>', '\\', '=']))
        .filter(|part| {
            !part.is_empty()
                && part.len() < 4096
                && !part.contains(['\0', '\n'])
                && part.trim() == *part
        })
        .map(str::to_owned)
        .collect();
    strings.sort();
    strings.dedup();
    strings
}

fn quoted(text: &str) -> Option<&str> {
    let text = text.trim_start();
    match text.chars().next()? {
        '"' => text[1..].split('"').next(),
        '<' => text[1..].split('>').next(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_a_compiler_takes_for_one() {
        for text in [
            "#if 1 \\\n && __has_include(\"a.h\")\n",
            "#include \\\n\"a.h\"\n",
            "#inc\\\r\nlude \"a.h\"\n",
            "/* x */ #include \"a.h\"\n",
            "/* x\n */ # /* y */ include /* z */ <a.h>\n",
            "%:include \"a.h\"\n",
            "/*\n#include \\\n\"a.h\"\n*/\nimport \"C\"\n",
        ] {
            assert!(
                names(text).contains(&Name::Source("a.h".to_owned())),
                "{text}"
            );
        }
        for text in [
            "_Pragma(\"GCC dependency \\\"a.h\\\"\")",
            "#pragma GCC dependency <a.h>\n",
        ] {
            assert_eq!(names(text), [Name::Data("a.h".to_owned())], "{text}");
        }
        assert!(any_includes_by_macro("#include \\\nFILE\n"));
    }

    #[test]
    fn a_macro_that_names_the_file_is_noticed() {
        assert_eq!(names("\t.incbin FILE\n"), [Name::Computed]);
        assert_eq!(names("asm(\".incbin \\\"\" F \"\\\"\")"), [Name::Computed]);
        assert_eq!(names("#embed FILE\n"), [Name::Computed]);
        assert_eq!(names("x.included = 1; .incbinary"), []);
    }
}
