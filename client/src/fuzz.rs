//! Fuzz targets, replayed on their corpora by `cargo test` (see `docs/fuzzing.md`).

use bolero::check;

use crate::outline::Outline;

/// What somebody left with a build of a few actions: read, or refused in a text; and what is read has an end.
#[test]
fn outline() {
    check!().for_each(|input: &[u8]| {
        for nodes in 0..4 {
            match Outline::read(input, nodes) {
                Err(error) => assert!(!error.to_string().is_empty()),
                Ok(outline) => {
                    assert_eq!(outline.nodes.len(), nodes);
                    let programs: Vec<usize> = outline.programs().collect();
                    let read = outline.read_for(programs);
                    assert!(read.into_iter().all(|node| node < nodes));
                }
            }
        }
    });
}
