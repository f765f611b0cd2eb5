//! A store, an executor over it, and short ways to write an action down.

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use gofarm_proto::v1::{self, input, step};
use gofarm_proto::{ActionKey, Digest, Message};
use gofarm_store::{DiskStore, DiskStoreOptions};
use gofarm_worker::{
    ExecuteError, Execution, Executor, ExecutorOptions, Launcher, LogSink, SandboxMode,
    SandboxState, Task, TraceSink, TracedCommand,
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

pub struct Farm {
    pub store: DiskStore,
    pub executor: Executor,
    // Last: the store cleans up in it.
    _folder: TempDir,
}

pub fn launcher() -> Launcher {
    Launcher {
        program: PathBuf::from(env!("CARGO_BIN_EXE_gofarm-sandbox")),
        args: Vec::new(),
    }
}

pub fn options(sandbox: SandboxMode) -> ExecutorOptions {
    ExecutorOptions {
        sandbox,
        cpus: 2,
        tuning: Vec::new(),
        compilers: Vec::new(),
        private: Vec::new(),
        default_timeout: Duration::from_secs(60),
        kept_work: None,
        launcher: launcher(),
    }
}

impl Farm {
    pub fn new(sandbox: SandboxMode) -> Farm {
        Farm::new_in(tempfile::tempdir().unwrap(), sandbox)
    }

    pub fn new_in(folder: TempDir, sandbox: SandboxMode) -> Farm {
        Farm::with(folder, options(sandbox))
    }

    pub fn with(folder: TempDir, options: ExecutorOptions) -> Farm {
        let store = DiskStore::open(folder.path(), DiskStoreOptions::default()).unwrap();
        let executor = Executor::new(store.clone(), options).unwrap();
        Farm {
            store,
            executor,
            _folder: folder,
        }
    }

    /// One without a sandbox, and one with, where the machine has one.
    pub fn both() -> Vec<Farm> {
        [Some(Farm::new(SandboxMode::Off)), Farm::sandboxed()]
            .into_iter()
            .flatten()
            .collect()
    }

    /// `None`, said aloud, on a machine that does not allow sandboxes.
    pub fn sandboxed() -> Option<Farm> {
        let farm = Farm::new(SandboxMode::Auto);
        match farm.executor.sandbox() {
            SandboxState::Active => Some(farm),
            state => {
                eprintln!("not tested: there is no sandbox on this machine: {state:?}");
                None
            }
        }
    }

    /// Stores the action and makes a task of it.
    pub fn task(&self, action: &v1::Action, produced: &[Digest]) -> Task {
        let definition = self.store.put_bytes(&action.encode_to_vec()).unwrap();
        Task {
            key: ActionKey::new(&definition, produced.iter().copied()),
            definition,
            produced: produced.to_vec(),
            exclusive: false,
        }
    }

    pub async fn execute(&self, action: &v1::Action) -> Result<Execution, ExecuteError> {
        self.execute_with(action, &CancellationToken::new(), &())
            .await
    }

    pub async fn execute_with(
        &self,
        action: &v1::Action,
        cancel: &CancellationToken,
        log: &dyn LogSink,
    ) -> Result<Execution, ExecuteError> {
        let task = self.task(action, &[]);
        let outcome = self.executor.execute(&task, cancel, log, None).await;
        self.assert_clean();
        outcome
    }

    /// No file of an action stays in the scratch folder.
    pub fn assert_clean(&self) {
        let mut folders = vec![self.store.scratch_dir()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                assert!(
                    path.is_dir() && !path.is_symlink(),
                    "left behind: {}",
                    path.display()
                );
                folders.push(path);
            }
        }
    }

    /// What its tools have printed, however much that is.
    pub fn printed(&self, execution: &Execution) -> Vec<u8> {
        match &execution.result.log_blob {
            None => execution.result.log.clone(),
            Some(digest) => {
                assert!(execution.result.log.is_empty());
                self.store.read(&digest.try_into().unwrap()).unwrap()
            }
        }
    }

    pub fn input(&self, path: &str, content: &[u8]) -> v1::Input {
        known(path, self.store.put_bytes(content).unwrap())
    }

    /// What an execution wrote.
    pub fn output(&self, execution: &Execution, name: &str) -> Option<Vec<u8>> {
        Some(self.store.read(&digest(execution, name)?).unwrap())
    }
}

pub fn digest(execution: &Execution, name: &str) -> Option<Digest> {
    let output = execution
        .result
        .outputs
        .iter()
        .find(|output| output.name == name)?;
    Some(output.digest.as_ref().unwrap().try_into().unwrap())
}

pub fn log(execution: &Execution) -> String {
    String::from_utf8(execution.result.log.clone()).unwrap()
}

pub fn known(path: &str, digest: Digest) -> v1::Input {
    v1::Input {
        path: path.to_owned(),
        source: Some(input::Source::Digest(digest.into())),
        ..Default::default()
    }
}

pub fn env(name: &str, value: &str) -> v1::EnvVar {
    v1::EnvVar {
        name: name.to_owned(),
        value: value.to_owned(),
    }
}

pub fn output(name: &str, path: &str) -> v1::Output {
    v1::Output {
        name: name.to_owned(),
        path: path.to_owned(),
        ..Default::default()
    }
}

pub fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

pub fn step(step: step::Step) -> v1::Step {
    v1::Step {
        step: Some(step),
        ..Default::default()
    }
}

pub fn run(argv: &[&str]) -> v1::Run {
    v1::Run {
        argv: strings(argv),
        cwd: "/__gofarm__/w".to_owned(),
        ..Default::default()
    }
}

/// `sh -c script` in the work folder.
pub fn sh(script: &str) -> v1::Step {
    step(step::Step::Run(run(&["sh", "-c", script])))
}

pub fn write(path: &str, content: &str) -> v1::Step {
    step(step::Step::WriteFile(v1::WriteFile {
        path: path.to_owned(),
        content: content.into(),
    }))
}

/// An action that may use the machine's programs.
pub fn host_action(steps: Vec<v1::Step>) -> v1::Action {
    v1::Action {
        label: "test".to_owned(),
        steps,
        env: vec![env("PATH", "/usr/local/bin:/usr/bin:/bin")],
        host_tools: true,
        ..Default::default()
    }
}

/// Remembers chunks and commands.
#[derive(Default)]
pub struct Watched {
    pub chunks: Mutex<Vec<u8>>,
    pub commands: Mutex<Vec<TracedCommand>>,
}

impl Watched {
    pub fn text(&self) -> String {
        String::from_utf8(self.chunks.lock().unwrap().clone()).unwrap()
    }

    /// Waits until the text has a line with this prefix, and returns what follows it there.
    pub async fn line(&self, prefix: &str) -> String {
        for _ in 0..2000 {
            let text = self.text();
            if let Some(rest) = text.lines().find_map(|line| line.strip_prefix(prefix)) {
                return rest.trim().to_owned();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("no line {prefix:?} came: {}", self.text());
    }
}

impl LogSink for Watched {
    fn log(&self, chunk: &[u8]) {
        self.chunks.lock().unwrap().extend_from_slice(chunk);
    }
}

impl TraceSink for Watched {
    fn command(&self, command: &TracedCommand) {
        self.commands.lock().unwrap().push(command.clone());
    }
}

/// Whether a process exists and is not a zombie.
pub fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.chars().next());
    state.is_some_and(|state| state != 'Z' && state != 'X')
}

/// Waits until none of these processes exists, not even as a zombie.
pub async fn assert_gone(pids: &[&str]) {
    for _ in 0..600 {
        if pids
            .iter()
            .all(|pid| !PathBuf::from(format!("/proc/{pid}")).exists())
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!(
        "still there: {pids:?}, alive: {:?}",
        pids.iter().map(|pid| is_alive(pid)).collect::<Vec<_>>()
    );
}
