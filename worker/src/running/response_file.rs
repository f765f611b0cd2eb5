//! Long argument lists, which the Go tools read from a file: the system's limit for them is 128 KiB for one argument and
//! commonly 2 MiB for all.
//!
//! By the rules of `passLongArgsInResponseFiles` and `encodeArg` (cmd/go/internal/work/exec.go); the tools read it with
//! cmd/internal/objabi's `expandArgs`.

use crate::tree::{ActionTree, Result, Trouble};

/// The file's name in the scratch folder. No tool writes one of this name.
pub(crate) const NAME: &str = "gofarm-arguments";

/// The programs that read such files.
const TOOLS: [&str; 5] = ["compile", "link", "cgo", "asm", "cover"];

/// Arguments of more bytes than this are handed over in a file (`ExecArgLengthLimit` in cmd/internal/sys).
const LIMIT: usize = 30 << 10;

/// Whether this program is given its arguments in a file.
pub(crate) fn is_needed(tool: &str, argv: &[String]) -> bool {
    TOOLS.contains(&tool) && argv.iter().map(String::len).sum::<usize>() > LIMIT
}

/// A file with arguments. It goes when this is dropped.
#[derive(Debug)]
pub(crate) struct ResponseFile<'a> {
    tree: &'a ActionTree,
    path: String,
}

impl ResponseFile<'_> {
    /// Writes the arguments, one a line. Nothing may be at the path.
    pub fn write<'a>(
        tree: &'a ActionTree,
        path: &str,
        arguments: &[String],
    ) -> Result<ResponseFile<'a>> {
        if tree.exists(path)? {
            return Err(Trouble::Refused(format!(
                "writing the arguments of a program to {path}: there is something already"
            )));
        }
        tree.write(path, text(arguments).as_bytes())?;
        Ok(ResponseFile {
            tree,
            path: path.to_owned(),
        })
    }
}

fn text(arguments: &[String]) -> String {
    let mut text = String::new();
    for argument in arguments {
        text.push_str(&argument.replace('\\', "\\\\").replace('\n', "\\n"));
        text.push('\n');
    }
    text
}

impl Drop for ResponseFile<'_> {
    fn drop(&mut self) {
        // What the action leaves behind is removed with its folder.
        let _ = self.tree.remove(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_stand_one_a_line() {
        let arguments = ["-o", "a\\b\nc", ""].map(str::to_owned);
        assert_eq!(text(&arguments), "-o\na\\\\b\\nc\n\n");
    }

    #[test]
    fn only_tools_that_read_files_get_them() {
        let long = vec!["x".repeat(LIMIT + 1)];
        assert!(is_needed("compile", &long) && !is_needed("gcc", &long));
        assert!(!is_needed("compile", &["x".repeat(LIMIT)]));
    }
}
