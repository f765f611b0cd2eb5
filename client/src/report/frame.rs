//! The block on a terminal, and how it is taken away again.

use std::time::Duration;

use gofarm_amount::TimeSpan;

/// Running actions that are shown at most, whatever the height.
const RUNNING: usize = 10;

const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

/// Columns and rows.
pub(super) type Size = (u16, u16);

/// For terminals that do not say.
pub(super) const USUAL_SIZE: Size = (80, 24);

/// A block, drawn or to be drawn.
#[derive(Debug, Default)]
pub(super) struct Frame {
    /// What stands there, without colours; no line is wider than the terminal was.
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    text: String,
    /// Of the text, how many bytes at its end are the time.
    time: usize,
    header: bool,
}

impl Frame {
    /// The header, and below it the running actions, longest running first, as far as there is room.
    pub fn new(header: &str, running: &[(&str, Duration)], (columns, rows): Size) -> Frame {
        // The last column stays free: some terminals wrap as soon as it is written.
        let width = usize::from(columns).saturating_sub(1).max(1);
        let header = Line {
            text: fit(header, width),
            time: 0,
            header: true,
        };
        let mut lines = vec![header];
        // A row for the header and one for the cursor.
        let room = usize::from(rows).saturating_sub(2).min(RUNNING);
        let all = running.len() <= room;
        let shown = if all {
            running.len()
        } else {
            room.saturating_sub(1)
        };
        for (label, time) in &running[..shown] {
            let time = format!("  {}", tenths(*time));
            let text = format!(
                "{}{time}",
                fit(&format!("  {label}"), width.saturating_sub(time.len()))
            );
            lines.push(Line {
                text: fit(&text, width),
                time: time.len(),
                header: false,
            });
        }
        if !all && room > 0 {
            let more = format!("  and {} more", running.len() - shown);
            lines.push(Line {
                text: fit(&more, width),
                time: 0,
                header: false,
            });
        }
        Frame { lines }
    }

    /// What draws it. Afterwards the cursor stands at the beginning of the row below.
    pub fn draw(&self, color: bool, out: &mut Vec<u8>) {
        for line in &self.lines {
            let (text, time) = line
                .text
                .split_at(line.text.len().saturating_sub(line.time));
            let styled = match (color, line.header) {
                (false, _) => format!("{text}{time}\n"),
                (true, true) => format!("{BOLD}{text}{PLAIN}\n"),
                (true, false) => format!("{text}{DIM}{time}{PLAIN}\n"),
            };
            out.extend_from_slice(styled.as_bytes());
        }
    }

    /// What takes it away, when the terminal has this many columns by now: a terminal that became narrower has wrapped its
    /// lines.
    pub fn clear(&self, columns: u16, out: &mut Vec<u8>) {
        let columns = usize::from(columns).max(1);
        let rows: usize = self
            .lines
            .iter()
            .map(|line| width(&line.text).div_ceil(columns).max(1))
            .sum();
        if rows > 0 {
            out.extend_from_slice(format!("\x1b[{rows}A\r\x1b[J").as_bytes());
        }
    }
}

/// The text in at most this many columns. What does not fit is cut, and control characters do not get through.
fn fit(text: &str, columns: usize) -> String {
    let clean = || text.chars().map(|c| if c.is_control() { '?' } else { c });
    if width(text) <= columns {
        return clean().collect();
    }
    let mut used = 0;
    // "~" stands for what was cut: one column on every terminal.
    let mut cut: String = clean()
        .take_while(|c| {
            used += char_width(*c);
            used < columns
        })
        .collect();
    cut.push('~');
    cut
}

fn width(text: &str) -> usize {
    text.chars().map(char_width).sum()
}

/// Columns that a character may take. Too many for some: then a line is cut early, which does no harm, while one that
/// wraps would leave rows behind.
fn char_width(c: char) -> usize {
    if c.is_ascii() { 1 } else { 2 }
}

/// A time that does not flicker in its last digit.
pub(super) fn tenths(time: Duration) -> String {
    match time.as_secs() {
        0..60 => format!("{}.{}s", time.as_secs(), time.subsec_millis() / 100),
        _ => TimeSpan(time).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(running: &[(&str, Duration)], size: Size) -> String {
        let mut out = Vec::new();
        Frame::new("[1/9] 50% cached", running, size).draw(false, &mut out);
        String::from_utf8(out).unwrap()
    }

    const SECOND: Duration = Duration::from_millis(1250);

    #[test]
    fn a_block_fits_its_terminal() {
        let many: Vec<(&str, Duration)> =
            vec![("compile example.com/some/very/long/path", SECOND); 20];
        for size in [(80, 24), (30, 5), (12, 3), (5, 2), (1, 1), (0, 0)] {
            let text = drawn(&many, size);
            let rows = text.lines().count();
            assert!(rows < usize::from(size.1).max(2), "{size:?}: {text}");
            let widest = text.lines().map(width).max().unwrap();
            assert!(widest < usize::from(size.0).max(2), "{size:?}: {text}");
        }
    }

    #[test]
    fn what_does_not_fit_is_cut_or_counted() {
        let running = [
            ("compile a", SECOND),
            ("compile example.com/long/name", SECOND),
            ("link é", SECOND),
        ];
        assert_eq!(
            drawn(&running, (24, 10)),
            "[1/9] 50% cached\n  compile a  1.2s\n  compile exampl~  1.2s\n  link é  1.2s\n"
        );
        assert_eq!(
            drawn(&running, (80, 4)),
            "[1/9] 50% cached\n  compile a  1.2s\n  and 2 more\n"
        );
    }

    #[test]
    fn a_terminal_that_became_narrower_has_more_rows_to_clear() {
        let frame = Frame::new("0123456789", &[], (80, 24));
        let clear = |columns| {
            let mut out = Vec::new();
            frame.clear(columns, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(clear(80), "\x1b[1A\r\x1b[J");
        assert_eq!(clear(4), "\x1b[3A\r\x1b[J");
        let mut out = Vec::new();
        Frame::default().clear(80, &mut out);
        assert!(out.is_empty());
    }
}
