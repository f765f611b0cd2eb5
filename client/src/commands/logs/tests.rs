use gofarm_proto::v1;
use gofarm_proto::v1::OutlineNode;

use super::nodes;
use super::page::{LONGEST_LINE, Page, lines};
use crate::outline::Outline;
use crate::report::OpenBlock;

fn outline() -> Outline {
    let node = |label: &str, package: &str| OutlineNode {
        label: label.to_owned(),
        package: package.to_owned(),
        import_path: package.to_owned(),
        ..OutlineNode::default()
    };
    let outline = v1::Outline {
        nodes: vec![
            node("compile m/a", "m/a"),
            node("compile m/cmd", "m/cmd"),
            node("link m/cmd", "m/cmd"),
        ],
        ..v1::Outline::default()
    };
    outline.into()
}

#[test]
fn actions_are_named_by_label_number_or_import_path() {
    let outline = outline();
    assert_eq!(nodes(&outline, "compile m/cmd"), Ok(vec![1]));
    assert_eq!(nodes(&outline, "0"), Ok(vec![0]));
    assert_eq!(nodes(&outline, "m/cmd"), Ok(vec![1, 2]));
    let refused = nodes(&outline, "3").unwrap_err().to_string();
    assert!(
        refused.starts_with("gofarm logs: no action \"3\" in this build; "),
        "{refused}"
    );
}

/// An action that is followed, of which nothing has come yet.
fn followed(outline: &Outline, attempt: u32) -> Page<'_> {
    Page {
        outline,
        node: 0,
        json: false,
        follow: true,
        attempt,
        position: 0,
        pending: Vec::new(),
        headed: false,
        open: OpenBlock::default(),
    }
}

#[test]
fn every_byte_is_printed_once_whatever_comes_twice() {
    let outline = outline();
    let mut page = followed(&outline, 0);
    let piece = |attempt, offset, data: &'static [u8]| v1::ActionLogResponse {
        attempt,
        offset,
        data: data.into(),
    };
    page.take(&piece(1, 0, b"one")).unwrap();
    page.take(&piece(1, 0, b"one two")).unwrap();
    assert_eq!(page.pending, b"one two");
    page.take(&piece(2, 0, b"1")).unwrap();
    page.take(&piece(1, 0, b"late")).unwrap();
    assert_eq!((&page.pending[..], page.position), (&b"1"[..], 1));
}

#[test]
fn what_is_followed_has_one_header_an_attempt() {
    let outline = outline();
    let mut page = followed(&outline, 1);
    assert_eq!(page.followed(b""), b"");
    assert_eq!(
        page.followed(b"./a.go:1:1: bad\n"),
        b"# m/a\n./a.go:1:1: bad\n"
    );
    assert_eq!(page.followed(b"more\n"), b"more\n");
    page.position = 5;
    page.new_in(&v1::ActionLogResponse {
        attempt: 2,
        offset: 0,
        data: b"again\n".as_slice().into(),
    })
    .unwrap();
    assert_eq!(page.followed(b"again\n"), b"# m/a\nagain\n");
}

#[test]
fn a_line_without_an_end_is_not_held() {
    let mut pending = b"one\ntwo".to_vec();
    assert_eq!(lines(&mut pending).as_deref(), Some(&b"one\n"[..]));
    assert_eq!(lines(&mut pending), None);
    pending.extend(vec![b'x'; LONGEST_LINE]);
    assert_eq!(
        lines(&mut pending).map(|line| line.len()),
        Some(3 + LONGEST_LINE)
    );
    assert_eq!(pending, b"");
}
