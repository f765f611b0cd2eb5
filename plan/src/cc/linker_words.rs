//! The flags of a C compiler's driver that links, taken apart: which of them are its own and which are the linker's.

/// One flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Word {
    /// The driver's own.
    Driver(String),
    /// `-Wl,a,b`, or `-Xlinker a`.
    Linker(Vec<String>),
}

impl Word {
    /// The same flag with other arguments.
    pub fn with(&self, arguments: Vec<String>) -> Vec<String> {
        match self {
            Word::Driver(_) => arguments,
            // A comma separates in -Wl.
            Word::Linker(_) if arguments.iter().any(|argument| argument.contains(',')) => arguments
                .into_iter()
                .flat_map(|argument| ["-Xlinker".to_owned(), argument])
                .collect(),
            Word::Linker(_) => vec![format!("-Wl,{}", arguments.join(","))],
        }
    }
}

/// Takes flags apart.
pub(crate) fn read(flags: &[String]) -> Vec<Word> {
    let mut words = Vec::with_capacity(flags.len());
    let mut flags = flags.iter();
    while let Some(flag) = flags.next() {
        if let Some(list) = flag.strip_prefix("-Wl,") {
            words.push(Word::Linker(list.split(',').map(str::to_owned).collect()));
        } else if let ("-Xlinker", Some(argument)) = (flag.as_str(), flags.as_slice().first()) {
            words.push(Word::Linker(vec![argument.clone()]));
            flags.next();
        } else {
            words.push(Word::Driver(flag.clone()));
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_the_linker_are_told_from_those_of_the_driver() {
        let flags = ["-lx", "-Wl,-z,now", "-Xlinker", "a,b", "-Xlinker"].map(str::to_owned);
        let words = read(&flags);
        assert_eq!(
            words,
            [
                Word::Driver("-lx".into()),
                Word::Linker(vec!["-z".into(), "now".into()]),
                Word::Linker(vec!["a,b".into()]),
                Word::Driver("-Xlinker".into()),
            ]
        );
        assert_eq!(words[1].with(vec!["-s".into()]), ["-Wl,-s"]);
        assert_eq!(words[2].with(vec!["c,d".into()]), ["-Xlinker", "c,d"]);
    }
}
