//! What planning depends on inside a file.
//!
//! cmd/go reads of a Go file its comments, package clause and imports, and where there are any the //go:embed lines
//! (go/build/read.go); of other sources the constraints before the first line of code (go/build/build.go,
//! `shouldBuild`). gofarm reads the lines for the C preprocessor too, in files of any name, because any may be included. All
//! the rest of a file is body: it can change without another dry run. Where a file cannot be read this way, all of it counts.

use std::ffi::OsStr;
use std::path::Path;

use memchr::memmem;

use crate::cc::named;

/// How a file of some name is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Go,
    GoTest,
    /// All of it counts.
    Whole,
    /// What stands before the code, lines for the preprocessor, and the files that are named: see [`crate::cc::includes`].
    Directives,
}

impl Sort {
    fn of(path: &Path) -> Sort {
        let text = |part: Option<&OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
        let name = text(path.file_name());
        match text(path.extension()).as_str() {
            "go" if name.ends_with("_test.go") => Sort::GoTest,
            "go" => Sort::Go,
            "mod" | "sum" | "work" | "swig" | "swigcxx" => Sort::Whole,
            _ if name == "modules.txt" => Sort::Whole,
            _ => Sort::Directives,
        }
    }
}

/// Whether [`header_digest`] of the same content is the same under both names.
pub(crate) fn reads_alike(one: &Path, other: &Path) -> bool {
    Sort::of(one) == Sort::of(other)
}

/// The digest of what planning depends on in a file of this name.
pub(crate) fn header_digest(path: &Path, content: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("gofarm planning header v3");
    let sort = Sort::of(path);
    match sort {
        Sort::Go | Sort::GoTest => match Head::of(content) {
            Some(head) if sort == Sort::GoTest => head.of_test(content, &mut hasher),
            // Whether a directive stands in a comment or a string only a whole lexer could say.
            Some(head) if memmem::find(&content[head.end..], b"//go:embed").is_none() => {
                hasher.update(&content[..head.end]);
            }
            _ => {
                hasher.update(content);
            }
        },
        Sort::Whole => {
            hasher.update(content);
        }
        Sort::Directives => {
            hasher.update(&content[..leading_comments(content)]);
            // As the planner reads them, so that whatever it takes for a name counts.
            let text = String::from_utf8_lossy(content);
            let names = named::read(&text, |directive| {
                hasher.update(directive.as_bytes());
                hasher.update(b"\n");
            });
            for name in names {
                hasher.update(format!("{name:?}\n").as_bytes());
            }
        }
    }
    *hasher.finalize().as_bytes()
}

/// Where the comments and blank lines before the first line of code end.
fn leading_comments(content: &[u8]) -> usize {
    let mut scanner = Scanner::new(content);
    scanner.skip_blank_and_comments();
    scanner.at
}

/// How a Go file begins.
struct Head {
    /// Where the line of the package clause ends.
    package: usize,
    /// Where the last import declaration ends.
    end: usize,
    /// Where each import stands.
    imports: Vec<(usize, usize)>,
    /// Where each comment stands, those behind the last import too: cmd/go reads on to see whether another import comes, and
    /// refuses a file whose comment does not end.
    comments: Vec<(usize, usize)>,
}

impl Head {
    /// `None` when the file does not begin as one.
    fn of(content: &[u8]) -> Option<Head> {
        let mut scanner = Scanner::new(content);
        if content.starts_with(b"\xef\xbb\xbf") {
            scanner.at = 3;
        }
        scanner.skip_blank_and_comments();
        scanner.word(b"package")?;
        scanner.skip_blank_and_comments();
        scanner.identifier()?;
        let line = scanner.rest().iter().position(|&b| b == b'\n');
        let mut head = Head {
            package: line.map_or(content.len(), |line| scanner.at + line),
            end: scanner.at,
            imports: Vec::new(),
            comments: Vec::new(),
        };
        loop {
            head.end = scanner.at;
            scanner.skip_blank_and_comments();
            while scanner.peek() == Some(b';') {
                scanner.at += 1;
                scanner.skip_blank_and_comments();
            }
            if scanner.word(b"import").is_none() {
                head.comments = scanner.comments;
                return Some(head);
            }
            scanner.skip_blank_and_comments();
            if scanner.peek() == Some(b'(') {
                scanner.at += 1;
                loop {
                    scanner.skip_blank_and_comments();
                    match scanner.peek()? {
                        b')' => {
                            scanner.at += 1;
                            break;
                        }
                        b';' => scanner.at += 1,
                        _ => head.import(&mut scanner)?,
                    }
                }
            } else {
                head.import(&mut scanner)?;
            }
        }
    }

    fn import(&mut self, scanner: &mut Scanner<'_>) -> Option<()> {
        let start = scanner.at;
        scanner.import_spec()?;
        self.imports.push((start, scanner.at));
        Some(())
    }

    /// A file of tests takes part in a build only by being well-formed and of the right package: what it imports does not
    /// count, unless that alone makes cmd/go refuse it.
    fn of_test(&self, content: &[u8], hasher: &mut blake3::Hasher) {
        hasher.update(&content[..self.package]);
        for (start, end) in &self.comments {
            hasher.update(&content[*start..*end]);
        }
        for (start, end) in &self.imports {
            let import = &content[*start..*end];
            let path = import.split(|&b| b == b'"').nth(1).unwrap_or_default();
            let is_plain = |b: &u8| b.is_ascii_alphanumeric() || b"/._-~".contains(b);
            if path.is_empty() || path == b"C" || !path.iter().all(is_plain) {
                hasher.update(import);
            }
        }
    }
}

struct Scanner<'a> {
    content: &'a [u8],
    at: usize,
    comments: Vec<(usize, usize)>,
}

impl<'a> Scanner<'a> {
    fn new(content: &'a [u8]) -> Scanner<'a> {
        Scanner {
            content,
            at: 0,
            comments: Vec::new(),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.content.get(self.at).copied()
    }

    fn rest(&self) -> &[u8] {
        &self.content[self.at..]
    }

    fn skip_blank_and_comments(&mut self) {
        loop {
            while self.peek().is_some_and(|b| b.is_ascii_whitespace()) {
                self.at += 1;
            }
            let rest = self.rest();
            let length = if rest.starts_with(b"//") {
                rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len())
            } else if rest.starts_with(b"/*") {
                let end = rest.windows(2).skip(2).position(|pair| pair == b"*/");
                end.map_or(rest.len(), |end| end + 4)
            } else {
                return;
            };
            self.comments.push((self.at, self.at + length));
            self.at += length;
        }
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        let rest = self.rest();
        let after = rest.get(word.len()).copied().unwrap_or(b' ');
        (rest.starts_with(word) && !is_identifier(after)).then(|| self.at += word.len())
    }

    fn identifier(&mut self) -> Option<()> {
        let len = self
            .rest()
            .iter()
            .take_while(|&&b| is_identifier(b))
            .count();
        (len > 0).then(|| self.at += len)
    }

    fn import_spec(&mut self) -> Option<()> {
        if self.peek()? == b'.' {
            self.at += 1;
        } else if is_identifier(self.peek()?) {
            self.identifier()?;
        }
        self.skip_blank_and_comments();
        let quote = self.peek()?;
        if quote != b'"' && quote != b'`' {
            return None;
        }
        let end = self.rest()[1..]
            .iter()
            .position(|&b| b == quote || b == b'\n')?;
        if self.rest()[1 + end] != quote {
            return None;
        }
        self.at += end + 2;
        Some(())
    }
}

fn is_identifier(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_' || b >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(name: &str, a: &str, b: &str) -> bool {
        let path = Path::new(name);
        header_digest(path, a.as_bytes()) == header_digest(path, b.as_bytes())
    }

    const GO: &str = "// Package p.\npackage p\n\nimport \"fmt\"\nimport (\n\t. \"os\" // x\n\tb `io`\n)\n\nfunc F() { fmt.Println(\"a\") }\n";

    #[test]
    fn a_body_edit_is_no_change() {
        assert!(same("a.go", GO, &GO.replace("\"a\"", "\"bb\"")));
        assert!(same("a.go", GO, &format!("{GO}func G() {{}}\n")));
    }

    #[test]
    fn everything_that_cmd_go_reads_is_a_change() {
        for (from, to) in [
            ("// Package p.", "//go:build linux\n"),
            ("package p", "package q"),
            ("\"fmt\"", "\"fmt2\""),
            ("`io`", "`io/fs`"),
            (". \"os\"", "_ \"os\""),
            ("func F()", "//go:embed x.txt\nvar x string\nfunc F()"),
            ("import (", "import \"C\"\nimport ("),
        ] {
            assert!(!same("a.go", GO, &GO.replace(from, to)), "{to}");
        }
    }

    #[test]
    fn a_cgo_preamble_counts() {
        let go = "package p\n/*\n#cgo CFLAGS: -O1\n*/\nimport \"C\"\nvar x int\n";
        assert!(!same("a.go", go, &go.replace("-O1", "-O2")));
        assert!(same("a.go", go, &go.replace("var x", "var y")));
    }

    #[test]
    fn a_file_that_is_no_go_counts_as_a_whole() {
        assert!(!same("a.go", "pakcage p\nx", "pakcage p\ny"));
        assert!(!same(
            "a.go",
            "package p\nimport \"x\n",
            "package p\nimport \"y\n"
        ));
    }

    #[test]
    fn constraints_and_includes_of_c_and_assembly_count() {
        let text = "//go:build amd64\n\n#include \"textflag.h\"\nTEXT x(SB),0,$0\n";
        assert!(same("a.s", text, &text.replace("$0", "$8")));
        assert!(!same("a.s", text, &text.replace("amd64", "arm64")));
        assert!(!same("a.s", text, &text.replace("textflag", "other")));
    }

    #[test]
    fn of_a_test_the_package_counts_and_ordinary_imports_do_not() {
        let text = "//go:build linux\n\npackage p // x\n\nimport (\n\t\"testing\"\n\tq \"io\"\n)\n\nvar x = 1\n";
        for (from, to) in [("\"io\"", "\"os\""), ("= 1", "= 2"), ("q ", "r ")] {
            assert!(same("a_test.go", text, &text.replace(from, to)), "{to}");
        }
        for (from, to) in [
            ("linux", "windows"),
            ("package p", "package q"),
            ("// x", "// import \"y\""),
            ("q \"io\"", "\"C\""),
            ("\"io\"", "\"a b\""),
            ("import (", "import {"),
            ("var x", "/* var x"),
        ] {
            assert!(!same("a_test.go", text, &text.replace(from, to)), "{to}");
        }
    }

    #[test]
    fn in_a_file_of_any_name_the_lines_for_the_preprocessor_count() {
        let text = "int a;\n # include \"u.def\"\nint b;\n";
        for name in ["t.def", "t", "t.inc", "x.txt"] {
            assert!(same(name, text, &text.replace("int b", "int c")));
            assert!(!same(name, text, &text.replace("u.def", "v.def")));
            assert!(!same(name, text, &format!("{text}\t.incbin \"x\"\n")));
            for more in [
                "#if 1 \\\n && __has_include(\"X\")\n",
                "/* */ #include \"X\"\n",
                "%:include \"X\"\n",
            ] {
                let text = format!("{text}{more}");
                assert!(!same(name, &text, &text.replace('X', "y")), "{more}");
            }
        }
    }

    #[test]
    fn module_files_count_as_a_whole_and_data_not_at_all() {
        assert!(!same("go.mod", "module a\n", "module a\n\n"));
        assert!(!same("vendor/modules.txt", "a", "b"));
        assert!(same("data.txt", "a", "b"));
    }
}
