//! What the fuzz targets need of this module.

use std::path::Path;

use prost::Message;

use super::record::Snapshot;
use super::trace;
use crate::request::OutputSort;

/// Whether a trace is understood.
pub(crate) fn trace(text: &str, cwd: &Path) -> bool {
    trace::parse(text, cwd).is_some()
}

/// Turns any snapshot into a plan and back.
pub(crate) fn snapshot(body: &[u8]) {
    let Ok(snapshot) = Snapshot::decode(body) else {
        return;
    };
    for (sort, output) in [
        (OutputSort::Nowhere, None),
        (OutputSort::Folder, Some("out/")),
        (OutputSort::File, Some("x")),
    ] {
        let accepted = snapshot.accepts(sort);
        let plan = snapshot.clone().into_plan(sort, output);
        let mut again = Snapshot::of(&plan, sort);
        assert!(again.accepts(sort));
        again.accept_as(&snapshot);
        assert!(accepted || again.accepts(sort));
        assert_eq!(
            plan.programs().count(),
            plan.programs()
                .filter(|node| *node < plan.nodes.len())
                .count()
        );
    }
}
