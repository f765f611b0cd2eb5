//! What the programs accept, by their own word.

use std::collections::BTreeSet;

use gofarm_testkit::built;

use crate::process::{command, run};

/// The flags and variables that the help of a program names.
pub struct Accepted {
    program: String,
    flags: BTreeSet<String>,
    variables: BTreeSet<String>,
}

impl Accepted {
    pub fn by(program: &str) -> Accepted {
        let mut help = command(&built(program));
        help.arg("--help");
        let help = run(help);
        assert!(help.ok, "{}", help.all);
        let words = || {
            help.stdout
                .split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'))
        };
        Accepted {
            program: program.to_owned(),
            flags: words()
                .filter(|word| word.starts_with("--"))
                .map(str::to_owned)
                .collect(),
            variables: words()
                .filter(|word| is_ours(word))
                .map(str::to_owned)
                .collect(),
        }
    }

    /// Every argument is a flag of the program, and carries its value with `=`.
    pub fn check_args(&self, args: &[String]) {
        assert!(!args.is_empty());
        for arg in args {
            let flag = arg.split('=').next().unwrap();
            assert!(
                self.flags.contains(flag),
                "{} has no {arg}: {:?}",
                self.program,
                self.flags
            );
        }
    }

    pub fn check_variable(&self, name: &str) {
        assert!(
            self.variables.contains(name),
            "{} does not read {name}: {:?}",
            self.program,
            self.variables
        );
    }
}

/// A variable that sets something of gofarm's.
pub fn is_ours(name: &str) -> bool {
    name.starts_with("GOFARM_") || name == "RUST_LOG"
}
