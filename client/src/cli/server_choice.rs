//! What flags, variables or a file say of the farm.

use std::path::{Path, PathBuf};

/// What flags and variables say of the farm.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerChoice {
    /// --server, and how it was said.
    pub server: Option<(String, String)>,
    /// --token-file, else GOFARM_TOKEN_FILE.
    pub token_file: Option<PathBuf>,
    /// --ca.
    pub ca: Option<PathBuf>,
    /// --user.
    pub user: Option<String>,
    /// --pool.
    pub pool: Option<String>,
}

impl ServerChoice {
    /// Makes paths absolute. `cwd` is the working folder, after `-C`.
    pub fn rooted_at(mut self, cwd: &Path) -> ServerChoice {
        self.token_file = self.token_file.map(|path| cwd.join(path));
        self.ca = self.ca.map(|path| cwd.join(path));
        self
    }
}
