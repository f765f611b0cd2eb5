//! Who is told what the tools of an action print, and which they are.

/// Takes the output of an action while its tools run.
pub trait LogSink: Send + Sync {
    /// The next piece: whole lines as a rule, with virtual paths.
    fn log(&self, chunk: &[u8]);
}

/// Output that nobody watches.
impl LogSink for () {
    fn log(&self, _chunk: &[u8]) {}
}

/// A command that is about to run, as this machine sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TracedCommand {
    /// The action's label.
    pub label: String,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Working folder.
    pub cwd: String,
    /// The whole environment, by name.
    pub env: Vec<(String, String)>,
    /// The folder of this machine that is the exec root; in a sandbox `argv`, `cwd` and `env` name it `/__gofarm__`.
    pub exec_root: std::path::PathBuf,
}

/// Is told of the commands that run.
pub trait TraceSink: Send + Sync {
    /// Called before each command is started.
    fn command(&self, command: &TracedCommand);
}
