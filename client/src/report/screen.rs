//! A terminal for tests: what stands on the screen after some bytes were written.

/// Knows what [`super::Progress`] writes and no more.
pub(super) struct Screen {
    rows: Vec<Vec<char>>,
    row: usize,
    column: usize,
    columns: usize,
}

impl Screen {
    /// A screen with this many columns and no end of rows.
    pub fn after(bytes: &[u8], columns: usize) -> Screen {
        let mut screen = Screen {
            rows: vec![Vec::new()],
            row: 0,
            column: 0,
            columns,
        };
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match c {
                '\n' => screen.next_row(),
                '\r' => screen.column = 0,
                '\x1b' => screen.escape(&mut chars),
                c => screen.put(c),
            }
        }
        screen
    }

    /// Row by row, without what is empty at the end.
    pub fn text(&self) -> String {
        let rows: Vec<String> = self.rows.iter().map(|row| row.iter().collect()).collect();
        let text = rows.join("\n");
        match text.trim_end_matches('\n') {
            "" => String::new(),
            text => format!("{text}\n"),
        }
    }

    fn next_row(&mut self) {
        self.row += 1;
        self.column = 0;
        if self.rows.len() <= self.row {
            self.rows.push(Vec::new());
        }
    }

    fn put(&mut self, c: char) {
        assert!(
            self.column < self.columns,
            "a line wraps: {:?}",
            self.rows[self.row]
        );
        let row = &mut self.rows[self.row];
        if row.len() <= self.column {
            row.resize(self.column + 1, ' ');
        }
        row[self.column] = c;
        self.column += 1;
    }

    fn escape(&mut self, chars: &mut std::str::Chars<'_>) {
        assert_eq!(chars.next(), Some('['));
        let mut number = String::new();
        let command = loop {
            match chars.next().unwrap() {
                digit if digit.is_ascii_digit() => number.push(digit),
                command => break command,
            }
        };
        match (command, number.as_str()) {
            ('A', rows) => {
                let rows: usize = rows.parse().unwrap();
                self.row = self
                    .row
                    .checked_sub(rows)
                    .expect("more rows up than there are");
            }
            ('J', "") => {
                self.rows.truncate(self.row + 1);
                self.rows[self.row].truncate(self.column);
            }
            ('m', _) => {}
            other => panic!("unknown escape code {other:?}"),
        }
    }
}
