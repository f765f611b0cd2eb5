//! What tools said about a package, as `go build` prints it (cmd/go/internal/work/shell.go, reportCmd).

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use gofarm_proto::{EXEC_ROOT, WORK_DIR};
use memchr::memmem;

use super::cgo_text::CgoText;
use super::short_path::short_path;

/// What cmd/go calls the working folder of an action. The number is that of the first action: which one it would have
/// been cannot be known, and says nothing.
const SCRATCH: &[u8] = b"$WORK/b001";

/// Whose output it is.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The import path, without a variant.
    pub import_path: &'a str,
    /// As cmd/go describes the package, variants included: `fmt [example.com/cmd/a]`.
    pub description: &'a str,
    /// The package's folder on this machine. None for a link, whose output cmd/go does not shorten.
    pub folder: Option<&'a Path>,
}

/// Turns logs into what the user reads.
pub struct Diagnostics<'a> {
    /// The user's working folder, after -C: absolute, in the user's spelling (PWD).
    pub cwd: &'a Path,
    /// The folder of this machine for a virtual root such as `/__gofarm__/main` or `/__gofarm__/ext/0`; None for what has
    /// none. (`gofarm_plan::Roots::to_real`.)
    pub real: &'a dyn Fn(&str) -> Option<PathBuf>,
    /// Whether the user's locale has the quotes that C compilers use where they can.
    pub utf8: bool,
}

impl Diagnostics<'_> {
    /// Text of tools as the user reads it. `positions`: see [`CgoText::apply`].
    pub(super) fn refined(
        &self,
        subject: &Subject<'_>,
        cgo: CgoText,
        positions: &mut bool,
        text: Vec<u8>,
    ) -> Vec<u8> {
        let mut text = self.real_paths(&text);
        if subject.folder.is_none() {
            text = self.libraries(&text);
        }
        if !self.utf8 {
            text = plain_quotes(&text);
        }
        if let Some(folder) = subject.folder {
            text = self.shorten(text, folder);
        }
        cgo.apply(text, positions)
    }

    /// What a block begins with.
    pub fn header(&self, subject: &Subject<'_>) -> String {
        header(subject)
    }

    /// Replaces the virtual roots wherever they stand.
    pub fn real_paths(&self, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len());
        let mut copied = 0;
        for at in memmem::find_iter(text, EXEC_ROOT) {
            let end = at + root_length(&text[at..]);
            let Ok(root) = std::str::from_utf8(&text[at..end]) else {
                continue;
            };
            let real = if root == WORK_DIR {
                Some(SCRATCH.to_vec())
            } else {
                (self.real)(root).map(|path| path.as_os_str().as_bytes().to_vec())
            };
            if let Some(real) = real {
                out.extend_from_slice(&text[copied..at]);
                out.extend_from_slice(&real);
                copied = end;
            }
        }
        out.extend_from_slice(&text[copied..]);
        out
    }

    /// Replaces the paths by which a C linker has found libraries: relative to the action's folder.
    fn libraries(&self, text: &[u8]) -> Vec<u8> {
        const UP: &[u8] = b"../";
        let mut out = Vec::with_capacity(text.len());
        let mut copied = 0;
        for at in memmem::find_iter(text, UP) {
            if !matches!(
                &text[..at],
                [] | [.., b' ' | b'\n' | b'\t' | b'`' | b'\'' | b'"' | b'(']
            ) {
                continue;
            }
            let path = [EXEC_ROOT.as_bytes(), &text[at + UP.len() - 1..]].concat();
            let length = root_length(&path);
            let real = std::str::from_utf8(&path[..length])
                .ok()
                .and_then(|root| (self.real)(root));
            if let Some(real) = real {
                out.extend_from_slice(&text[copied..at]);
                out.extend_from_slice(real.as_os_str().as_bytes());
                copied = at + UP.len() - 1 + length - EXEC_ROOT.len();
            }
        }
        out.extend_from_slice(&text[copied..]);
        out
    }

    /// Makes the package's folder, and then each folder above it, relative where that is shorter.
    fn shorten(&self, mut text: Vec<u8>, folder: &Path) -> Vec<u8> {
        for folder in folder.ancestors() {
            let short = short_path(folder, self.cwd);
            if short != folder {
                text = replace_prefix(
                    &text,
                    folder.as_os_str().as_bytes(),
                    short.as_os_str().as_bytes(),
                );
            }
        }
        text
    }
}

/// cmdError.Error. A link is described by the import path alone, so for a variant the path is named twice.
fn header(subject: &Subject<'_>) -> String {
    let Subject {
        import_path,
        description,
        folder,
    } = subject;
    match folder {
        Some(_) => format!("# {description}\n"),
        None if description == import_path => format!("# {import_path}\n"),
        None => format!("# {import_path}\n# [{import_path}]\n"),
    }
}

/// Length of the virtual root that the text begins with: `/__gofarm__/NAME`, `/__gofarm__/ext/N`, or
/// `/__gofarm__/toolexec/NAME`.
fn root_length(text: &[u8]) -> usize {
    let component = |from: usize| {
        let rest = text.get(from..).unwrap_or_default();
        let name = rest.strip_prefix(b"/").unwrap_or_default();
        let is_name = |byte: &&u8| byte.is_ascii_alphanumeric();
        match name.iter().take_while(is_name).count() {
            0 => from,
            length => from + 1 + length,
        }
    };
    let end = component(EXEC_ROOT.len());
    if text[..end].ends_with(b"/ext") {
        component(end)
    } else if text[..end].ends_with(b"/toolexec") {
        // A program, whatever its name.
        let name = &text[end..];
        let is_name =
            |byte: &&u8| !byte.is_ascii_whitespace() && !matches!(byte, b':' | b'"' | b'\'');
        end + name.iter().take_while(is_name).count()
    } else if text[..end].ends_with(b"/mod") {
        // A module by its version: it may be a vendored one.
        let path = text[end..]
            .iter()
            .take_while(|byte| !byte.is_ascii_whitespace() && !matches!(byte, b':' | b'"' | b'\''))
            .count();
        let path = &text[end..end + path];
        let version = memchr::memchr(b'@', path).unwrap_or(path.len());
        match path[version..].iter().position(|byte| *byte == b'/') {
            Some(length) => end + version + length,
            None if version < path.len() => end + path.len(),
            None => end,
        }
    } else {
        end
    }
}

/// The quotes of GNU programs in a locale that has no others.
fn plain_quotes(text: &[u8]) -> Vec<u8> {
    match std::str::from_utf8(text) {
        Ok(text) => text.replace(['\u{2018}', '\u{2019}'], "'").into_bytes(),
        Err(_) => text.to_vec(),
    }
}

/// Whether the locale of this process, as the environment says it, is one of UTF-8.
pub fn locale_is_utf8() -> bool {
    let value = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        .unwrap_or_default()
        .to_ascii_lowercase();
    value.ends_with("utf-8") || value.ends_with("utf8") || value.contains("utf-8@")
}

/// cmd/go's replacePrefix: only behind a blank, or at the beginning of a line or behind its tab.
fn replace_prefix(text: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut copied = 0;
    for at in memmem::find_iter(text, old) {
        let behind = matches!(&text[..at], [] | [.., b' ' | b'\n'] | [.., b'\n', b'\t']);
        if behind {
            out.extend_from_slice(&text[copied..at]);
            out.extend_from_slice(new);
            copied = at + old.len();
        }
    }
    out.extend_from_slice(&text[copied..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn real(root: &str) -> Option<PathBuf> {
        let folder = match root {
            "/__gofarm__/main" => "/no/such/repo",
            "/__gofarm__/goroot" => "/no/go",
            "/__gofarm__/mod" => "/no/mod",
            root if root.starts_with("/__gofarm__/mod/") => {
                return Some(Path::new("/no/mod").join(&root["/__gofarm__/mod/".len()..]));
            }
            "/__gofarm__/toolexec/wrap-1" => "/no/tools/wrap-1",
            "/__gofarm__/ext/1" => "/no/such/replaced",
            _ => return None,
        };
        Some(PathBuf::from(folder))
    }

    fn diagnostics(cwd: &str) -> Diagnostics<'_> {
        Diagnostics {
            cwd: Path::new(cwd),
            real: &real,
            utf8: true,
        }
    }

    fn package() -> Subject<'static> {
        Subject {
            import_path: "example.com/m/a",
            description: "example.com/m/a",
            folder: Some(Path::new("/no/such/repo/a")),
        }
    }

    fn block(cwd: &str, log: &str) -> String {
        let cgo = CgoText::PositionsAndNames;
        String::from_utf8(diagnostics(cwd).block(&package(), log.as_bytes(), cgo)).unwrap()
    }

    #[test]
    fn paths_are_relative_to_where_the_user_stands() {
        let log = "/__gofarm__/main/a/x.go:3:2: undefined: y\n\t/__gofarm__/main/b/z.go:1:1: other declaration";
        for (cwd, text) in [
            (
                "/no/such/repo/a",
                "./x.go:3:2: undefined: y\n\t../b/z.go:1:1: other declaration\n",
            ),
            (
                "/no/such/repo",
                "a/x.go:3:2: undefined: y\n\t./b/z.go:1:1: other declaration\n",
            ),
            (
                "/no/such/repo/c/d",
                "../../a/x.go:3:2: undefined: y\n\t../../b/z.go:1:1: other declaration\n",
            ),
            (
                "/elsewhere/far/away/from/it",
                "/no/such/repo/a/x.go:3:2: undefined: y\n\t/no/such/repo/b/z.go:1:1: other declaration\n",
            ),
        ] {
            assert_eq!(
                block(cwd, log),
                format!("# example.com/m/a\n{text}"),
                "{cwd}"
            );
        }
    }

    #[test]
    fn other_roots_are_mapped_and_only_line_starts_are_shortened() {
        let log = "/__gofarm__/goroot/src/fmt/print.go:1:1: x\n\
                   -I/__gofarm__/main/a (/__gofarm__/ext/1/y.go) /__gofarm__/mod/m@v1/z.go /__gofarm__/in/3/export\n";
        assert_eq!(
            block("/no/such/repo/a", log),
            "# example.com/m/a\n/no/go/src/fmt/print.go:1:1: x\n\
             -I/no/such/repo/a (/no/such/replaced/y.go) /no/mod/m@v1/z.go /__gofarm__/in/3/export\n"
        );
    }

    #[test]
    fn scratch_is_called_work() {
        assert_eq!(
            block(
                "/no/such/repo/a",
                "open /__gofarm__/w/_pkg_.a: gone\n/__gofarm__/work/x\n"
            ),
            "# example.com/m/a\nopen $WORK/b001/_pkg_.a: gone\n/__gofarm__/work/x\n"
        );
    }

    #[test]
    fn generated_code_of_cgo_is_hidden() {
        assert_eq!(
            block(
                "/no/such/repo/a",
                "/__gofarm__/main/a/x.go:9[/__gofarm__/w/x.cgo1.go:12]: bad _Ctype_int\n"
            ),
            "# example.com/m/a\n./x.go:9: bad C.int\n"
        );
    }

    #[test]
    fn a_variant_is_named_in_the_header() {
        let mut variant = package();
        variant.description = "example.com/m/a [example.com/m/cmd]";
        let shown = diagnostics("/no").block(&variant, b"x\n", CgoText::Keep);
        assert_eq!(shown, b"# example.com/m/a [example.com/m/cmd]\nx\n");
        variant.folder = None;
        let shown = diagnostics("/no").block(&variant, b"/no/x\n", CgoText::Keep);
        assert_eq!(shown, b"# example.com/m/a\n# [example.com/m/a]\n/no/x\n");
    }

    #[test]
    fn a_silent_failure_names_the_program_and_a_silent_success_nothing() {
        let diagnostics = diagnostics("/no");
        assert_eq!(diagnostics.block(&package(), b"", CgoText::Keep), b"");
        let program = Some("/__gofarm__/goroot/pkg/tool/linux_amd64/compile");
        let shown = diagnostics.failure(&package(), b"", CgoText::Keep, program, 2);
        let expected = "example.com/m/a: /no/go/pkg/tool/linux_amd64/compile: exit status 2\n";
        assert_eq!(String::from_utf8(shown).unwrap(), expected);
        let shown = diagnostics.failure(&package(), b"", CgoText::Keep, None, 1);
        assert_eq!(shown, b"example.com/m/a: exit status 1\n");
    }

    #[test]
    fn bytes_that_are_no_text_pass_through() {
        let shown = diagnostics("/no/such/repo/a").block(
            &package(),
            b"/__gofarm__/main/a/\xff.go: x",
            CgoText::Keep,
        );
        assert_eq!(shown, b"# example.com/m/a\n./\xff.go: x\n");
    }
}
