//! Panics, each of which is a defect of ours.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::registry::Registry;

/// Of the whole process: a panic does not know whose metrics there are.
#[derive(Debug)]
struct Panics;

impl Collector for Panics {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let panics = ConstCounter::new(gofarm_daemon::panics());
        let help = "Panics since the process began: defects, each of them in the log";
        let described = encoder.encode_descriptor("panics", help, None, panics.metric_type())?;
        panics.encode(described)
    }
}

pub(super) fn register(registry: &mut Registry) {
    registry.register_collector(Box::new(Panics));
}
