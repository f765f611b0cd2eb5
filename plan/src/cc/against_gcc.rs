//! Random spellings of what a source includes, against the C compiler: whatever it finds is found here, and a change of the name is
//! a change of what planning depends on.

use std::fs;
use std::path::{Path, PathBuf};

use super::includes;
use crate::gocmd::GoCommand;
use crate::lookups::Lookups;
use crate::snapshot::header::header_digest;

const ROUNDS: u64 = 200;

/// Numbers that a seed decides (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((bits ^ (bits >> 31)) % end as u64).unwrap()
    }

    fn of<'a>(&mut self, texts: &[&'a str]) -> &'a str {
        texts[self.below(texts.len())]
    }

    /// A word that may go on in the next line.
    fn word(&mut self, word: &str) -> String {
        let splice = self.of(&["", "", "", "\\\n", "\\\r\n", "\\ \t\n"]);
        let at = self.below(word.len() + 1);
        [&word[..at], splice, &word[at..]].concat()
    }

    /// What may stand between two words.
    fn blank(&mut self) -> String {
        let parts = [
            "",
            " ",
            "\t",
            "/* c */",
            "/* a\n \" b */",
            "/*/*/",
            "\\\n",
            "??/\n",
        ];
        (0..self.below(3)).map(|_| self.of(&parts)).collect()
    }

    fn directive(&mut self, words: &[&str]) -> String {
        let mut line = self.blank();
        for word in words {
            line += &self.word(word);
            line += &self.blank();
        }
        line + "\n"
    }
}

/// A line that has the compiler look for this header.
fn spelled(random: &mut Random, header: &str, number: usize) -> String {
    let hash = random.of(&["#", "#", "%:", "??="]);
    let quoted = format!("\"{header}\"");
    match random.below(3) {
        0 => {
            random.directive(&[hash, "if", "1", "&&", "__has_include", "(", &quoted, ")"])
                + &format!("int found_{number};\n#endif\n")
        }
        1 => random.directive(&[hash, "include", &format!("<{header}>")]),
        _ => random.directive(&[hash, "include", &quoted]),
    }
}

/// The numbers of the headers that the compiler finds; nothing where it refuses the source.
fn found_by_gcc(source: &Path, folder: &Path, std: &str) -> Option<Vec<usize>> {
    let texts = [folder, source].map(|path| path.display().to_string());
    let words = ["gcc", "-E", "-P", "-w", std, "-I"].map(str::to_owned);
    let argv = [words.as_slice(), &texts].concat();
    let output = GoCommand::new(folder).ask_tool(&argv, folder).unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let numbers = text.split("found_").skip(1);
    let numbers = numbers.filter_map(|rest| rest.split(';').next()?.parse().ok());
    output.status.success().then(|| numbers.collect())
}

#[test]
fn what_a_compiler_finds_is_found() {
    let mut seen = 0;
    for seed in 0..ROUNDS {
        let mut random = Random(seed);
        let tree = tempfile::tempdir().unwrap();
        let headers = tree.path().join("headers");
        fs::create_dir(&headers).unwrap();
        let names: Vec<String> = (0..4).map(|number| format!("h{number}.x")).collect();
        let mut text = String::new();
        for (number, name) in names.iter().enumerate() {
            fs::write(headers.join(name), format!("int found_{number};\n")).unwrap();
            text += random.of(&["", "int x;\n", "// c\n", "char *s = \"/*\";\n"]);
            text += &spelled(&mut random, name, number);
        }
        let std = random.of(&["-std=gnu17", "-std=c11"]);
        let source = tree.path().join("a.c");
        fs::write(&source, &text).unwrap();
        let Some(found) = found_by_gcc(&source, &headers, std) else {
            continue;
        };
        let included = |source: &PathBuf| {
            let (sources, folders) = ([source.clone()], [headers.clone()]);
            includes::follow(&Lookups::default(), &sources, &folders, &[], &[]).files
        };
        let ours = included(&source);
        for number in found {
            let name = &names[number];
            assert!(
                ours.contains(&headers.join(name)),
                "seed {seed}: {name} in\n{text}"
            );
            let other = text.replace(&format!("h{number}"), "other");
            assert!(
                other == text
                    || header_digest(&source, text.as_bytes())
                        != header_digest(&source, other.as_bytes()),
                "seed {seed}: another name than {name} in\n{text}"
            );
            seen += 1;
        }
        // The same in a preamble of cgo.
        let preamble = tree.path().join("a.go");
        let lines: String = text
            .split_inclusive('\n')
            .map(|line| format!("//{line}"))
            .collect();
        let mut comments = vec![lines];
        if !text.contains("*/") {
            comments.push(format!("/*\n{text}*/\n"));
        }
        for comment in comments {
            fs::write(&preamble, format!("package p\n\n{comment}import \"C\"\n")).unwrap();
            assert!(
                included(&preamble).is_superset(&ours),
                "seed {seed}: in a preamble\n{comment}"
            );
        }
    }
    assert!(seen > 100, "{seen}");
}
