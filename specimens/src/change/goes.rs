//! Things that become something else: links, folders, pipes, other permissions.

use super::names::is_the_users;
use super::things::{Things, base, is_go};
use super::{Change, Step};
use crate::random::Random;
use crate::specimen::Written;

/// A file, folder or link becomes another kind of thing under its name.
pub(super) fn another_kind(
    written: &Written,
    things: &Things,
    random: &mut Random,
) -> Option<Change> {
    match random.below(8) {
        0..=3 => file(things, random),
        4 | 5 => folder(written, things, random),
        6 => link(things, random),
        _ => mode(things, random),
    }
}

fn file(things: &Things, random: &mut Random) -> Option<Change> {
    let (path, content) = things.file(random)?;
    let path = path.clone();
    if is_go(&path) {
        return None;
    }
    let moved = format!("{path}.moved");
    Some(match random.below(6) {
        0 | 1 => Change::new(
            format!("{path}: becomes a link to what it was"),
            vec![
                Step::Rename {
                    from: path.clone(),
                    to: moved.clone(),
                },
                Step::Link {
                    target: base(&moved).to_owned(),
                    path,
                },
            ],
        ),
        2 => Change::new(
            format!("{path}: becomes a link to a copy outside"),
            vec![
                Step::Write {
                    path: format!("outside/{}", base(&path)),
                    content: content.clone(),
                    keep_time: false,
                },
                Step::Remove { path: path.clone() },
                Step::Link {
                    target: format!("{}outside/{}", up(&path), base(&path)),
                    path,
                },
            ],
        ),
        3 => Change::new(
            format!("{path}: becomes a link to nothing"),
            vec![
                Step::Remove { path: path.clone() },
                Step::Link {
                    path,
                    target: "nothing".to_owned(),
                },
            ],
        ),
        4 => Change::new(
            format!("{path}: becomes a folder"),
            vec![Step::Remove { path: path.clone() }, Step::Folder { path }],
        ),
        // cmd/go waits for ever for a writer of a pipe that it takes for a source.
        _ if is_data(&path) => Change::new(
            format!("{path}: becomes a named pipe"),
            vec![Step::Remove { path: path.clone() }, Step::Fifo { path }],
        ),
        _ => return None,
    })
}

fn is_data(path: &str) -> bool {
    path.ends_with(".txt") || path.ends_with(".md")
}

/// The way from a file's folder up to the root.
fn up(path: &str) -> String {
    "../".repeat(path.matches('/').count())
}

fn folder(written: &Written, things: &Things, random: &mut Random) -> Option<Change> {
    let path = random.pick(&things.folders)?.clone();
    // Where it is moved to is not moved itself.
    let is_outside = path == "outside" || path.starts_with("outside/");
    if is_the_users(&path) || is_outside || written.root.join(&path) == written.folder {
        return None;
    }
    let moved = format!("outside/{}", base(&path));
    Some(match random.below(3) {
        0 | 1 => Change::new(
            format!("{path}: becomes a link to what it was, moved outside"),
            vec![
                Step::Rename {
                    from: path.clone(),
                    to: moved.clone(),
                },
                Step::Link {
                    target: format!("{}{moved}", up(&path)),
                    path,
                },
            ],
        ),
        _ => Change::new(
            format!("{path}: becomes a file"),
            vec![
                Step::Remove { path: path.clone() },
                Step::Write {
                    path,
                    content: b"no folder\n".to_vec(),
                    keep_time: false,
                },
            ],
        ),
    })
}

fn link(things: &Things, random: &mut Random) -> Option<Change> {
    let (path, target) = random.pick(&things.links)?;
    let path = path.clone();
    if is_go(&path) {
        return None;
    }
    Some(match random.below(3) {
        0 => Change::new(
            format!("{path}: leads to nothing"),
            vec![
                Step::Remove { path: path.clone() },
                Step::Link {
                    path,
                    target: "nothing".to_owned(),
                },
            ],
        ),
        1 => {
            let (other, _) = things.file(random)?;
            Change::new(
                format!("{path}: leads to {other}"),
                vec![
                    Step::Remove { path: path.clone() },
                    Step::Link {
                        target: format!("{}{other}", up(&path)),
                        path,
                    },
                ],
            )
        }
        _ => {
            // The same place by way of another link.
            let way = format!("{path}.way");
            Change::new(
                format!("{path}: leads there by way of another link"),
                vec![
                    Step::Remove { path: path.clone() },
                    Step::Link {
                        path: way.clone(),
                        target: target.clone(),
                    },
                    Step::Link {
                        path,
                        target: base(&way).to_owned(),
                    },
                ],
            )
        }
    })
}

fn mode(things: &Things, random: &mut Random) -> Option<Change> {
    let (path, _) = things.file(random)?;
    if is_go(path) {
        return None;
    }
    let mode = *random.pick(&[0o000, 0o755, 0o444, 0o600])?;
    // Root reads everything: then it is a change without a consequence, and must be one for both.
    Some(Change::new(
        format!("{path}: gets mode {mode:03o}"),
        vec![Step::Mode {
            path: path.clone(),
            mode,
        }],
    ))
}
