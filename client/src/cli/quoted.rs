//! Lists in one string, as cmd/go writes them (cmd/internal/quoted).

/// Splits at white space. A word that begins with a quote goes on to the next such quote; nothing is unescaped, and quotes
/// inside a word are letters.
///
/// # Errors
/// What is wrong with the list: a quote without its end.
pub(super) fn split(list: &str) -> Result<Vec<String>, String> {
    const SPACE: [char; 4] = [' ', '\t', '\n', '\r'];
    let mut words = Vec::new();
    let mut rest = list.trim_start_matches(SPACE);
    while let Some(first) = rest.chars().next() {
        let (word, after) = if first == '"' || first == '\'' {
            rest[1..]
                .split_once(first)
                .ok_or_else(|| format!("unterminated {first} string"))?
        } else {
            rest.split_at(rest.find(SPACE).unwrap_or(rest.len()))
        };
        words.push(word.to_owned());
        rest = after.trim_start_matches(SPACE);
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_quoted_words() {
        for (list, words) in [
            ("", &[][..]),
            (" \t\n", &[]),
            ("-a  -b=c", &["-a", "-b=c"]),
            ("'-ldflags=-s -w' -v", &["-ldflags=-s -w", "-v"]),
            (r#""a'b" c"d"#, &["a'b", "c\"d"]),
            ("'a'b", &["a", "b"]),
            ("''", &[""]),
        ] {
            assert_eq!(split(list).unwrap(), words, "{list}");
        }
        assert_eq!(split("-a 'b").unwrap_err(), "unterminated ' string");
    }
}
