//! Calls of something that this process depends on.

use std::future::Future;
use std::time::{Duration, Instant};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Call {
    call: &'static str,
}

/// How long calls take, and how many fail. Cheap to clone.
#[derive(Clone)]
pub struct Calls {
    seconds: Family<Call, Histogram, fn() -> Histogram>,
    errors: Family<Call, Counter>,
}

/// Measures for nobody.
impl Default for Calls {
    fn default() -> Calls {
        Calls {
            seconds: Family::new_with_constructor(latency),
            errors: Family::default(),
        }
    }
}

impl Calls {
    pub(super) fn registered(registry: &mut Registry, name: &str, what: &str) -> Calls {
        let calls = Calls::default();
        registry.register(
            format!("{name}_call_seconds"),
            format!("How long calls of {what} took"),
            calls.seconds.clone(),
        );
        registry.register(
            format!("{name}_call_errors"),
            format!("Calls of {what} that failed"),
            calls.errors.clone(),
        );
        calls
    }

    /// Measures one call.
    pub async fn time<T, E>(
        &self,
        call: &'static str,
        future: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let begun = Instant::now();
        let answer = future.await;
        self.took(call, begun.elapsed());
        if answer.is_err() {
            self.failed(call);
        }
        answer
    }

    /// One call took so long.
    pub fn took(&self, call: &'static str, time: Duration) {
        let call = Call { call };
        self.seconds
            .get_or_create(&call)
            .observe(time.as_secs_f64());
    }

    /// One call failed.
    pub fn failed(&self, call: &'static str) {
        self.errors.get_or_create(&Call { call }).inc();
    }
}

/// For calls: from a quarter of a millisecond to 16 s.
pub(super) fn latency() -> Histogram {
    Histogram::new(exponential_buckets(0.000_25, 2.0, 17))
}
