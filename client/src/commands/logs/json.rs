//! Output of actions, for programs.

use gofarm_printable::printable_json;

use crate::outline::Outline;

/// A piece of output, for programs.
pub fn json_line(outline: &Outline, node: usize, text: &[u8]) -> anyhow::Result<Vec<u8>> {
    let line = serde_json::to_string(&serde_json::json!({
        "node": node,
        "label": outline.nodes[node].label,
        "text": String::from_utf8_lossy(text),
    }))?;
    Ok(format!("{}\n", printable_json(&line)).into_bytes())
}
