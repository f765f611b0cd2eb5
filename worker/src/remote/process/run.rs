//! The worker as a process: from its arguments to its end.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use gofarm_daemon::{Misuse, Signals, Spans};
use gofarm_identity::c_toolchain::CToolchainError;
use gofarm_proto::v1;
use gofarm_rpc::{ConnectOptions, FarmToken, RpcError};
use gofarm_store::DiskStoreOptions;
use tokio_util::sync::CancellationToken;

use super::arguments::{Arguments, SandboxChoice, SlotCount};
use super::c_toolchains::{c_toolchains, sort};
use super::name::worker_name;
use crate::leasing::{Machine, WorkerLoop, WorkerOptions, machine};
use crate::remote::cache::{LocalCache, bounded};
use crate::remote::options::{RemoteOptions, ScrubOptions};
use crate::remote::servers::Servers;
use crate::remote::source::RemoteSource;
use crate::running::{Executor, ExecutorOptions, SandboxMode, SandboxState, go_tools};
use crate::sandbox::Launcher;

/// Left to the system and to this process, of the memory that is there.
const RESERVED_MEMORY: u64 = 512 << 20;

/// A slot is not worth having with less: an average compile takes half of it, a large one all.
const SLOT_MEMORY: u64 = 512 << 20;

/// For so many slots, the inputs of one more task are fetched while all slots are in use.
const SLOTS_PER_AHEAD: usize = 4;

/// `go build` has no limit for an action; this one only ends what hangs.
const ACTION_TIMEOUT: Duration = Duration::from_secs(2 * 60 * 60);

/// What a C compiler is called where nobody has set CC, and its companion.
const DEFAULT_COMPILERS: [&str; 2] = ["gcc", "g++"];

/// Says that the worker is to be without C compilers.
const NO_COMPILER: &str = "none";

/// How long the last spans may take.
const LAST_SPANS: Duration = Duration::from_secs(3);

/// Runs a worker to its end. `launcher` are the arguments with which this program starts as a launcher.
///
/// # Errors
///
/// What keeps it from starting: the cache folder, the sandbox, the token, a malformed address. [`Misuse`] marks what is
/// wrong with the arguments or the environment's variables.
pub async fn run(arguments: Arguments, launcher: Vec<OsString>) -> anyhow::Result<()> {
    let folder = match &arguments.cache_dir {
        Some(folder) => folder.clone(),
        None => default_cache()?,
    };
    let name = worker_name(&folder, arguments.name.clone())
        .with_context(|| format!("cannot use the cache folder {}", folder.display()))?;
    let machine = machine();
    let options = DiskStoreOptions {
        max_bytes: arguments.cache_size,
        verify_after: arguments.verify_after,
        ..DiskStoreOptions::default()
    };
    let opened = folder.clone();
    let store = tokio::task::spawn_blocking(move || bounded(&opened, options)).await??;
    let (slots, memory) = room(&arguments, &machine);
    let executor = Executor::new(
        store.clone(),
        ExecutorOptions {
            sandbox: match arguments.sandbox {
                SandboxChoice::Auto => SandboxMode::Auto,
                SandboxChoice::Required => SandboxMode::Required,
                SandboxChoice::Off => SandboxMode::Off,
            },
            cpus: machine.cpus,
            tuning: go_tools(memory, slots),
            compilers: named(&arguments.cc)
                .iter()
                .flatten()
                .flat_map(|line| line.split_whitespace().map(str::to_owned))
                .collect(),
            private: arguments.token_file.iter().cloned().collect(),
            default_timeout: ACTION_TIMEOUT,
            kept_work: None,
            launcher: Launcher {
                program: std::env::current_exe().context("cannot find this program's own file")?,
                args: launcher,
            },
        },
    )?;
    if let SandboxState::Unavailable { reason } = executor.sandbox() {
        tracing::warn!(
            reason,
            "actions run without a sandbox, because this machine allows none"
        );
    }
    let compilers = arguments.cc.clone();
    let c_toolchains = tokio::task::spawn_blocking(move || found(&compilers)).await??;
    let platforms = platforms(&c_toolchains);
    let connect = ConnectOptions {
        token: token(&arguments)?,
        ca: arguments.ca.clone(),
        ..ConnectOptions::default()
    };
    let servers = match Servers::connect(&arguments.server, &connect) {
        Err(error @ RpcError::Address(_)) => bail!(Misuse::new(error)),
        servers => servers?,
    };
    let spans = Spans::from_environment("gofarm-worker", &name.name).map_err(Misuse::new)?;
    let (drain, give_back) = (CancellationToken::new(), CancellationToken::new());
    tracing::info!(
        worker = name.name,
        pool = arguments.pool,
        slots,
        memory,
        cache = %folder.display(),
        c_toolchains = c_toolchains.len(),
        sandbox = matches!(executor.sandbox(), SandboxState::Active),
        "worker starts"
    );
    tracing::debug!(?platforms, "what this worker can run");
    let options = RemoteOptions {
        worker: name.name.clone(),
        pool: arguments.pool.clone(),
        platforms,
        c_toolchains,
        slots,
        memory,
        scrub: ScrubOptions {
            rate: arguments.scrub_rate,
            after: arguments.scrub_after,
        },
        spans: spans.clone(),
    };
    let cache = LocalCache::new(store);
    let source = RemoteSource::new(servers, cache.clone(), options, &drain);
    // Before anything is waited for: a worker that waits for its farm can be ended too.
    let signals = Signals::new().context("signals cannot be caught")?;
    tokio::spawn(obey(
        signals,
        arguments.drain_timeout,
        drain.clone(),
        give_back.clone(),
    ));
    if let Err(error) = source.introduce().await {
        if !error.is_transient() {
            bail!(error);
        }
        tracing::warn!(%error, "the farm is away; waiting for it");
    }
    let source = Arc::new(source);
    let worker = WorkerLoop::new(executor, source.clone(), WorkerOptions { slots, memory })
        .taking_ahead(slots.div_ceil(SLOTS_PER_AHEAD));
    // What came in during the last moment of asking goes back at once, not only when the last action has ended.
    let work = async {
        tokio::join!(worker.run_until(&drain, &give_back), async {
            drain.cancelled().await;
            source.close().await;
        })
    };
    tokio::select! {
        _ = work => {}
        // Who starts it again makes the folder anew, which a process that has handles into the old one cannot.
        error = cache.taken_away() => bail!(error),
    }
    spans.shutdown(LAST_SPANS).await;
    tracing::info!(worker = name.name, "worker ends");
    Ok(())
}

/// The first signal drains, the time after it gives back what runs, the second signal ends all at once.
async fn obey(
    mut signals: Signals,
    drain_timeout: Duration,
    drain: CancellationToken,
    give_back: CancellationToken,
) {
    let first = signals.next().await;
    tracing::info!(
        signal = first.name(),
        ?drain_timeout,
        "draining: nothing more is taken, what runs is finished"
    );
    drain.cancel();
    let second = tokio::select! {
        () = tokio::time::sleep(drain_timeout) => {
            tracing::warn!("what still runs is given back");
            give_back.cancel();
            signals.next().await
        }
        second = signals.next() => second,
    };
    // The leases of what runs will expire. The launchers hear that we are gone, and kill it.
    second.now();
}

/// SlotCount and memory for tasks.
fn room(arguments: &Arguments, machine: &Machine) -> (usize, u64) {
    let memory = arguments.memory.unwrap_or_else(|| {
        let free = machine.memory_available.saturating_sub(RESERVED_MEMORY);
        free.max(SLOT_MEMORY)
    });
    let slots = match arguments.slots {
        SlotCount::Exactly(slots) => slots,
        SlotCount::Auto => {
            let by_memory = usize::try_from(memory / SLOT_MEMORY).unwrap_or(usize::MAX);
            machine.cpus.min(by_memory).max(1)
        }
    };
    (slots, memory)
}

/// `os/arch` as Go calls them, and with it each C toolchain.
fn platforms(c_toolchains: &[v1::CToolchain]) -> Vec<String> {
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
        other => other,
    };
    let base = format!("{}/{arch}", std::env::consts::OS);
    let with_c = c_toolchains.iter();
    let with_c = with_c.map(|toolchain| format!("{base}/{}", toolchain.identity));
    std::iter::once(base.clone()).chain(with_c).collect()
}

/// The C toolchains of these compilers; the usual ones when none are named.
fn found(compilers: &[String]) -> anyhow::Result<Vec<v1::CToolchain>> {
    let mut toolchains = Vec::new();
    if compilers.is_empty() {
        let [c, cpp] = DEFAULT_COMPILERS.map(str::to_owned);
        // g++ may be missing where gcc is not; without gcc there is no cgo at all.
        let found = match c_toolchains(&[c.clone(), cpp]) {
            Err(CToolchainError::NotFound { .. }) => c_toolchains(&[c]),
            found => found,
        };
        match found {
            Ok(found) => toolchains = found,
            Err(CToolchainError::NotFound { program }) => {
                tracing::info!(
                    program,
                    "no C compiler: packages with cgo are left to other workers"
                );
            }
            Err(error) => return Err(error.into()),
        }
    }
    for set in named(compilers) {
        toolchains.extend(c_toolchains(&set)?);
    }
    sort(&mut toolchains);
    Ok(toolchains)
}

/// The sets of compilers that are named.
fn named(compilers: &[String]) -> Vec<Vec<String>> {
    let sets = compilers.iter().filter(|set| *set != NO_COMPILER);
    sets.map(|set| set.split(',').map(|name| name.trim().to_owned()).collect())
        .collect()
}

fn token(arguments: &Arguments) -> Result<Option<FarmToken>, Misuse> {
    let variable = std::env::var_os("GOFARM_TOKEN");
    FarmToken::given(arguments.token_file.as_deref(), variable.as_deref()).map_err(Misuse::new)
}

fn default_cache() -> anyhow::Result<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(folder) = set("XDG_CACHE_HOME") {
        return Ok(Path::new(&folder).join("gofarm-worker"));
    }
    match set("HOME") {
        Some(home) => Ok(Path::new(&home).join(".cache/gofarm-worker")),
        None => bail!("cannot tell where the cache belongs: HOME is not set; give --cache-dir"),
    }
}
