//! Who made a result: what is noted beside it, and what is said when two makers came to different ones.

use std::fmt;

use gofarm_proto::{ActionKey, v1};
use gofarm_store::Recorded;
use gofarm_timing::from_ms;

use gofarm_engine::Maker;

/// Says what an operator should hear of a result that was recorded.
pub(super) fn told(key: &ActionKey, recorded: &Recorded, made: &v1::Provenance) {
    match recorded {
        Recorded::Stored | Recorded::AlreadyThere => {}
        Recorded::NonDeterministic { finding, first, .. } => {
            let finding = finding.display();
            let (first, second) = (Made(first.as_ref()), Made(Some(made)));
            tracing::warn!(
                %key, %first, %second, %finding,
                "an action came out differently than before: its tools are not deterministic, or one of the two workers is not sound; both results are kept"
            );
        }
        Recorded::TakenBack => {
            let maker = Made(Some(made));
            tracing::info!(%key, %maker, "a result that was taken back is not recorded");
        }
    }
}

/// Who made a result, and when.
struct Made<'a>(Option<&'a v1::Provenance>);

impl fmt::Display for Made<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Maker(self.0).fmt(f)?;
        let Some(made) = self.0 else {
            return Ok(());
        };
        let accepted = from_ms(made.accepted_ms);
        write!(f, " at {}", humantime::format_rfc3339_seconds(accepted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_maker_is_named_by_worker_lease_and_time() {
        let made = v1::Provenance {
            worker: "w1".to_owned(),
            lease: Some(v1::FencingToken {
                incarnation: 7,
                counter: 12,
            }),
            accepted_ms: 1_700_000_000_000,
            replica: "r".to_owned(),
        };
        assert_eq!(
            Made(Some(&made)).to_string(),
            "w1 with lease 7.12 at 2023-11-14T22:13:20Z"
        );
        assert_eq!(Made(None).to_string(), "a worker that was not noted");
    }
}
