//! Long lists, shortened and still whole.

/// A line is not made longer than this by another name.
const WIDTH: usize = 116;

/// Writes lines, each with a name that stands in it. Where several that follow each other are the same but for their names, they
/// become one with `*` for the name, and the names.
pub(super) fn condense(out: &mut String, indent: &str, lines: Vec<(String, String)>) {
    let patterns: Vec<(String, String, String)> = lines
        .into_iter()
        .map(|(line, name)| {
            let plain = !name.is_empty() && !line.contains('*') && !name.contains(' ');
            let pattern = if plain {
                line.replace(&name, "*")
            } else {
                line.clone()
            };
            (line, name, pattern)
        })
        .collect();
    for alike in patterns.chunk_by(|one, other| one.2 == other.2 && one.2.contains('*')) {
        if let [(line, ..)] = alike {
            out.push_str(&format!("{indent}{line}\n"));
            continue;
        }
        out.push_str(&format!("{indent}{}\n", alike[0].2));
        let mut row = String::new();
        for (_, name, _) in alike {
            if !row.is_empty() && indent.len() + row.len() + name.len() > WIDTH {
                out.push_str(&format!("{indent}  *{row}\n"));
                row.clear();
            }
            row.extend([" ", name]);
        }
        out.push_str(&format!("{indent}  *{row}\n"));
    }
}
