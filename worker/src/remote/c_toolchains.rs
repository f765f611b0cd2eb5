//! The C toolchains of this machine, as the platforms that a worker advertises.

use std::process::{Command, Stdio};

use gofarm_identity::c_toolchain::{self, CToolchainError, PLACES, joined};

/// The identities under which actions ask for a set of compilers: `gcc`, or `gcc,g++,gfortran`.
///
/// The first is the C compiler, which every action with cgo uses first; then come those of the other languages that its
/// package has, in the order in which it has them. An action names them all, so each such list has an identity.
///
/// # Errors
///
/// See [`CToolchainError`].
pub fn c_toolchains(compilers: &[String]) -> Result<Vec<String>, CToolchainError> {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut identities = Vec::with_capacity(compilers.len());
    for compiler in compilers {
        let words: Vec<String> = compiler.split_whitespace().map(str::to_owned).collect();
        identities.push(c_toolchain::identify(&words, &path, &run)?.identity);
    }
    let Some((c, others)) = identities.split_first() else {
        return Ok(Vec::new());
    };
    let mut lists: Vec<Vec<&str>> = vec![vec![c]];
    for other in others {
        lists.push(vec![c, other]);
        for another in others.iter().filter(|another| *another != other) {
            lists.push(vec![c, other, another]);
        }
    }
    let mut found: Vec<String> = lists.into_iter().map(joined).collect();
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

#[allow(
    clippy::disallowed_methods,
    reason = "asks the compiler once, before anything runs"
)]
fn run(argv: &[String]) -> std::io::Result<(Vec<u8>, Vec<u8>)> {
    let mut command = Command::new(&argv[0]);
    command
        .args(&argv[1..])
        .stdin(Stdio::null())
        .env("LC_ALL", "C");
    for name in PLACES {
        command.env_remove(name);
    }
    let output = command.output()?;
    Ok((output.stdout, output.stderr))
}
