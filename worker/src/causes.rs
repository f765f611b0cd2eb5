//! An error and what is behind it, in one line.

use std::error::Error;

/// The text of an error and of its causes, leaving out causes that the text before already quotes.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::with_causes;

    #[test]
    fn no_cause_is_told_twice() {
        let error = anyhow!("disk full")
            .context("writing x: disk full")
            .context("stamping y");
        assert_eq!(
            with_causes(error.as_ref()),
            "stamping y: writing x: disk full"
        );
    }
}
