//! What a builder said, without what differs between two runs of one builder.

use gofarm_specimens::Written;

/// Without gofarm's own lines and what both say of their usage, with `ROOT` for the specimen's folder and `$WORK` for go's temporary one, and with the blocks of packages
/// in the order of their names: packages are compiled at once, and whoever is ready first is told of first.
pub(super) fn normal(text: &str, written: &Written) -> String {
    let text = text.replace(&*written.root.to_string_lossy(), "ROOT");
    let mut blocks: Vec<String> = vec![String::new()];
    for line in text.lines() {
        // Each says in its own words how it is called.
        let passed_over = ["gofarm: ", "go: downloading ", "usage: go", "Run 'go"];
        if passed_over.iter().any(|start| line.starts_with(start)) {
            continue;
        }
        if line.starts_with("# ") {
            blocks.push(String::new());
        }
        if let Some(block) = blocks.last_mut() {
            block.push_str(&without_temporary_names(line));
            block.push('\n');
        }
    }
    blocks[1..].sort();
    blocks.concat()
}

/// `go-build` and `b` numbers of $WORK, names of the C compiler's temporary files.
fn without_temporary_names(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    loop {
        let found = ["go-build", "/tmp/cc"]
            .iter()
            .filter_map(|name| Some((rest.find(name)?, name.len())))
            .min();
        let Some((at, len)) = found else {
            out.push_str(rest);
            return out;
        };
        out.push_str(&rest[..at + len]);
        rest = rest[at + len..].trim_start_matches(|c: char| c.is_ascii_alphanumeric());
        out.push('*');
    }
}
