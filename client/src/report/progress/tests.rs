use super::*;
use crate::report::screen::Screen;

const ONE: Resolution = Resolution::Executed;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn block() -> Progress<Vec<u8>> {
    Progress::new(Vec::new(), Display::Block { color: false }, || {
        Some((60, 10))
    })
}

fn text(progress: &Progress<Vec<u8>>) -> String {
    String::from_utf8(progress.out.clone()).unwrap()
}

fn screen(progress: &Progress<Vec<u8>>) -> String {
    Screen::after(&progress.out, 60).text()
}

#[test]
fn a_block_is_drawn_in_its_place() {
    let mut progress = block();
    progress.stage("planning");
    progress.tick(ms(149));
    assert_eq!(text(&progress), "", "short builds draw nothing");
    progress.tick(ms(200));
    assert_eq!(screen(&progress), "planning, 0.2s\n");
    progress.total(4);
    progress.finished(NodeId(0), Resolution::Cached);
    progress.started(NodeId(1), "compile net/http", ms(250));
    progress.started(NodeId(2), "compile example.com/a", ms(400));
    progress.tick(ms(1_500));
    assert_eq!(
        screen(&progress),
        "[1/4] 100% cached, 2 running, 1.5s\n  compile net/http  1.2s\n  compile example.com/a  1.1s\n"
    );
    progress.finished(NodeId(1), ONE);
    progress.failed(NodeId(2));
    progress.gave_up(NodeId(3));
    progress.tick(ms(1_600));
    assert_eq!(
        screen(&progress),
        "[4/4] 25% cached, 1 failed, 0 running, 1.6s\n"
    );
    progress.clear();
    assert_eq!(screen(&progress), "");
}

#[test]
fn diagnostics_stand_above_the_block_and_whole() {
    let mut progress = block();
    progress.total(2);
    progress.started(NodeId(0), "compile a", ms(0));
    progress.tick(ms(200));
    progress.print(b"# a\n./x.go:1:1: bad\n", ms(210));
    progress.print(b"no line end", ms(220));
    assert_eq!(
        screen(&progress),
        "# a\n./x.go:1:1: bad\nno line end\n[0/2] 0% cached, 1 running, 0.2s\n  compile a  0.2s\n"
    );
    progress.clear();
    progress.print(b"done\n", ms(230));
    assert_eq!(
        screen(&progress),
        "# a\n./x.go:1:1: bad\nno line end\ndone\n"
    );
}

#[test]
fn nothing_of_others_is_obeyed() {
    let mut progress = block();
    progress.total(2);
    progress.started(NodeId(0), "compile a\x1b[2J\nb", ms(0));
    progress.print(b"# a\n\x1b]0;t\x07done\r\x9b1m\n", ms(100));
    progress.tick(ms(200));
    assert_eq!(
        screen(&progress),
        "# a\n\\x1b]0;t\\x07done\\r\\x9b1m\n[0/2] 0% cached, 1 running, 0.2s\n  compile a\\x1b[2J\\nb  0.2s\n"
    );
}

#[test]
fn a_block_is_drawn_ten_times_a_second_at_most() {
    let mut progress = block();
    progress.total(1000);
    for now in 0..2_000 {
        progress.finished(NodeId(now / 2), ONE);
        progress.tick(ms(u64::from(now)));
    }
    let drawn = text(&progress).matches("cached").count();
    assert!((15..=20).contains(&drawn), "{drawn}");
    assert_eq!(progress.next_tick(ms(2_000)), Some(ms(50)));
}

#[test]
fn colours_come_only_when_asked_for_and_always_end() {
    let mut progress = Progress::new(Vec::new(), Display::Block { color: true }, || None);
    progress.total(2);
    progress.started(NodeId(0), "compile a", ms(0));
    progress.tick(ms(200));
    assert_eq!(
        text(&progress),
        "\x1b[1m[0/2] 0% cached, 1 running, 0.2s\x1b[0m\n  compile a\x1b[2m  0.2s\x1b[0m\n"
    );
    let mut plain = block();
    plain.total(2);
    plain.tick(ms(200));
    assert!(!text(&plain).contains('\x1b'));
}

#[test]
fn lines_come_every_ten_seconds_without_escape_codes() {
    let mut progress = Progress::new(Vec::new(), Display::Lines, || None);
    progress.stage("planning");
    for second in 0..=9 {
        progress.tick(ms(second * 1_000));
    }
    assert_eq!(text(&progress), "", "short builds write nothing");
    progress.tick(ms(10_000));
    progress.total(8);
    progress.finished(NodeId(0), Resolution::Cached);
    progress.finished(NodeId(1), Resolution::Joined);
    progress.started(NodeId(2), "link x", ms(18_500));
    progress.print(b"# y\n", ms(19_000));
    progress.tick(ms(20_000));
    progress.tick(ms(29_999));
    progress.clear();
    progress.tick(ms(90_000));
    assert_eq!(
        text(&progress),
        "gofarm: planning for 10.0s\n# y\n\
         gofarm: 20.0s: 2 of 8 done, 50% cached, 1 running (link x for 1.5s)\n"
    );
}

#[test]
fn what_is_waited_for_stands_where_nothing_runs() {
    let mut progress = block();
    progress.total(2);
    progress.waits_for("waiting for a worker");
    progress.tick(ms(200));
    assert_eq!(
        screen(&progress),
        "[0/2] 0% cached, waiting for a worker, 0.2s\n"
    );
    progress.started(NodeId(0), "compile a", ms(300));
    progress.finished(NodeId(0), ONE);
    progress.tick(ms(400));
    assert_eq!(screen(&progress), "[1/2] 0% cached, 0 running, 0.4s\n");
    let mut lines = Progress::new(Vec::new(), Display::Lines, || None);
    lines.total(2);
    lines.waits_for("waiting for room: 3 builds before this one");
    lines.tick(ms(2_000));
    lines.waits_for("waiting for room: 3 builds before this one");
    lines.tick(ms(4_000));
    assert_eq!(
        text(&lines),
        "gofarm: 2.0s: 0 of 2 done, 0% cached, waiting for room: 3 builds before this one\n"
    );
}

#[test]
fn a_farm_that_is_out_of_reach_is_told_instead_of_what_ran_there() {
    let mut lines = Progress::new(Vec::new(), Display::Lines, || None);
    lines.stage("building");
    lines.out_of_reach(Some(ms(4_000)));
    lines.tick(ms(10_000));
    lines.total(3);
    lines.finished(NodeId(0), ONE);
    lines.started(NodeId(1), "compile a", ms(1_000));
    lines.waits_for("waiting for a worker");
    lines.tick(ms(20_000));
    lines.out_of_reach(None);
    lines.tick(ms(30_000));
    assert_eq!(
        text(&lines),
        "gofarm: building for 10.0s: no scheduler can be reached for 6.0s by now, trying again\n\
         gofarm: 20.0s: 1 of 3 done, 0% cached, no scheduler can be reached for 16.0s by now, trying again\n\
         gofarm: 30.0s: 1 of 3 done, 0% cached, 1 running (compile a for 29.0s)\n"
    );
    let mut progress = Progress::new(Vec::new(), Display::Block { color: false }, || {
        Some((100, 10))
    });
    progress.total(2);
    progress.started(NodeId(0), "compile a", ms(0));
    progress.out_of_reach(Some(ms(1_000)));
    progress.tick(ms(4_000));
    assert_eq!(
        Screen::after(&progress.out, 100).text(),
        "[0/2] 0% cached, no scheduler can be reached for 3.0s by now, trying again, 4.0s\n"
    );
}

#[test]
fn silence_prints_only_what_it_is_told_to() {
    let mut progress = Progress::new(Vec::new(), Display::Silent, || None);
    progress.total(1);
    progress.tick(ms(60_000));
    progress.print(b"# y\n", ms(60_000));
    progress.clear();
    assert_eq!(
        (text(&progress).as_str(), progress.next_tick(ms(0))),
        ("# y\n", None)
    );
}

#[test]
fn an_action_that_has_to_run_again_is_counted_once() {
    let mut progress = block();
    progress.total(2);
    progress.finished(NodeId(0), Resolution::Cached);
    progress.waits(NodeId(0));
    progress.started(NodeId(0), "compile a", ms(0));
    progress.waits(NodeId(0));
    progress.started(NodeId(0), "compile a", ms(100));
    progress.finished(NodeId(0), ONE);
    progress.tick(ms(200));
    assert_eq!(screen(&progress), "[1/2] 0% cached, 0 running, 0.2s\n");
}
