//! Long argument lists, which the Go tools read from a file: the system's limit for them is 128 KiB for one argument and
//! commonly 2 MiB for all.
//!
//! By the rules of `passLongArgsInResponseFiles` and `encodeArg` (cmd/go/internal/work/exec.go); the tools read it with
//! cmd/internal/objabi's `expandArgs`.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use crate::error::{ExecuteError, Result};

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
pub(crate) struct ResponseFile {
    path: PathBuf,
}

impl ResponseFile {
    /// Writes the arguments, one a line. Nothing may be at the path.
    pub fn write(path: PathBuf, arguments: &[String]) -> Result<ResponseFile> {
        let mut content = String::new();
        for argument in arguments {
            content.push_str(&argument.replace('\\', "\\\\").replace('\n', "\\n"));
            content.push('\n');
        }
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .and_then(|mut file| file.write_all(content.as_bytes()));
        written.map_err(ExecuteError::io(
            "writing the arguments of a program to",
            &path,
        ))?;
        Ok(ResponseFile { path })
    }
}

impl Drop for ResponseFile {
    fn drop(&mut self) {
        // What the action leaves behind is removed with its folder.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_stand_one_a_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        let arguments = ["-o", "a\\b\nc", ""].map(str::to_owned);
        let file = ResponseFile::write(path.clone(), &arguments).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "-o\na\\\\b\\nc\n\n");
        assert!(ResponseFile::write(path.clone(), &arguments).is_err());
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn only_tools_that_read_files_get_them() {
        let long = vec!["x".repeat(LIMIT + 1)];
        assert!(is_needed("compile", &long) && !is_needed("gcc", &long));
        assert!(!is_needed("compile", &["x".repeat(LIMIT)]));
    }
}
