//! What becomes of a panic: who lives on, and who does not. `docs/decisions/0012-panics.md` says why.
//!
//! Each one is logged and counted here, wherever it is caught. What a panic ends is for the places that catch it: a call, an
//! attempt at an action, or, of what is [`vital`], the process.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, PanicHookInfo, resume_unwind};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::FutureExt;
use tokio::sync::watch;

// Everything here counts on it, and so does whoever takes a lock that a panic has poisoned.
#[cfg(not(panic = "unwind"))]
compile_error!(
    "a process of a farm survives a panic in one call: no profile may say panic = \"abort\""
);

static PANICS: AtomicU64 = AtomicU64::new(0);

/// The first vital thing that has panicked. A process breaks once.
static BROKEN: LazyLock<watch::Sender<Option<Broken>>> = LazyLock::new(|| watch::Sender::new(None));

/// Something without which the process would go on as if all were well has panicked.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "{what} has panicked ({why}), and this process would go on without it; it ends, and is to be started again"
)]
pub struct Broken {
    what: &'static str,
    why: String,
}

/// Panics of this process so far.
pub fn panics() -> u64 {
    PANICS.load(Ordering::Relaxed)
}

/// From now on panics are counted, and are lines of the log instead of text between them.
pub(crate) fn note_panics() {
    std::panic::set_hook(Box::new(note));
}

fn note(panic: &PanicHookInfo<'_>) {
    PANICS.fetch_add(1, Ordering::Relaxed);
    let place = panic.location().map(ToString::to_string);
    let thread = std::thread::current();
    // Of RUST_BACKTRACE=1 only.
    let backtrace = std::backtrace::Backtrace::capture();
    let backtrace = match backtrace.status() {
        std::backtrace::BacktraceStatus::Captured => backtrace.to_string(),
        _ => String::new(),
    };
    tracing::error!(
        place = place.unwrap_or_default(),
        thread = thread.name().unwrap_or_default(),
        backtrace,
        "a panic, which is a defect of gofarm: {}",
        panic_text(panic.payload())
    );
}

/// What a panic said.
pub fn panic_text(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("it does not say why")
}

/// Work that the process cannot be without. When it panics the process ends with [`Broken`]; the panic goes on as well.
pub async fn vital<F: Future>(what: &'static str, work: F) -> F::Output {
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(done) => done,
        Err(payload) => {
            let why = panic_text(&*payload).to_owned();
            BROKEN.send_if_modified(|broken| {
                let first = broken.is_none();
                broken.get_or_insert(Broken { what, why });
                first
            });
            resume_unwind(payload)
        }
    }
}

/// Done when something [`vital`] has panicked.
pub(crate) async fn broken() -> Broken {
    let mut broken = BROKEN.subscribe();
    match broken.wait_for(Option::is_some).await.map(|it| it.clone()) {
        Ok(Some(broken)) => broken,
        // The sender lives as long as the process.
        _ => std::future::pending().await,
    }
}
