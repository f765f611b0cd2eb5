//! Rows of columns, for people.

use gofarm_printable::Printable;

/// Columns as wide as their widest field, two spaces apart; nothing follows the last. The first row is the header.
pub fn table(rows: &[Vec<String>]) -> String {
    // A field with a line feed would be a row of its own.
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            row.iter()
                .map(|field| Printable::line(field).to_string())
                .collect()
        })
        .collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            let fields = rows.iter().filter_map(|row| row.get(column));
            fields.map(|field| field.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (field, width) in row.iter().zip(&widths) {
            // Not by a width in the format, of which there is none above 65,535.
            let missing = width.saturating_sub(field.chars().count());
            line.push_str(field);
            line.extend(std::iter::repeat_n(' ', missing + 2));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_may_be_of_any_width() {
        let rows = [
            vec!["x".repeat(70_000), "a".to_owned()],
            vec!["y".to_owned(), "b".to_owned()],
        ];
        let text = table(&rows);
        let lengths: Vec<usize> = text.lines().map(str::len).collect();
        assert_eq!(lengths, [70_003, 70_003]);
    }

    #[test]
    fn columns_stand_below_each_other() {
        let row = |fields: [&str; 3]| fields.map(str::to_owned).to_vec();
        let rows = [row(["NAME", "N", "WHAT"]), row(["wörker", "12", ""])];
        assert_eq!(table(&rows), "NAME    N   WHAT\nwörker  12\n");
        let hostile = [row(["NAME", "N", "WHAT"]), row(["a\nw2", "\x1b[2J", "x"])];
        assert_eq!(
            table(&hostile),
            "NAME   N        WHAT\na\\nw2  \\x1b[2J  x\n"
        );
    }
}
