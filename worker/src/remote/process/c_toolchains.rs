//! The C toolchains of this machine, as the platforms that a worker advertises.

use std::process::{Command, Stdio};

use gofarm_identity::c_toolchain::{
    self, CToolchain, CToolchainError, PLACES, joined, joined_names,
};
use gofarm_proto::v1;

/// The identities under which actions ask for a set of compilers, `gcc`, or `gcc,g++,gfortran`, and what people call them.
///
/// The first is the C compiler, which every action with cgo uses first; then come those of the other languages that its
/// package has, in the order in which it has them. An action names them all, so each such list has an identity.
///
/// # Errors
///
/// See [`CToolchainError`].
pub fn c_toolchains(compilers: &[String]) -> Result<Vec<v1::CToolchain>, CToolchainError> {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut identified = Vec::with_capacity(compilers.len());
    for compiler in compilers {
        let words: Vec<String> = compiler.split_whitespace().map(str::to_owned).collect();
        identified.push(c_toolchain::identify(&words, &path, &run)?);
    }
    let Some((c, others)) = identified.split_first() else {
        return Ok(Vec::new());
    };
    let mut lists: Vec<Vec<&CToolchain>> = vec![vec![c]];
    for other in others {
        lists.push(vec![c, other]);
        for another in others
            .iter()
            .filter(|another| another.identity != other.identity)
        {
            lists.push(vec![c, other, another]);
        }
    }
    let together = |list: Vec<&CToolchain>| v1::CToolchain {
        identity: joined(list.iter().map(|one| one.identity.as_str())),
        name: joined_names(list.iter().map(|one| one.name.as_str())),
    };
    let mut found: Vec<v1::CToolchain> = lists.into_iter().map(together).collect();
    sort(&mut found);
    Ok(found)
}

/// In a fixed order, each once.
pub(super) fn sort(toolchains: &mut Vec<v1::CToolchain>) {
    toolchains.sort_unstable_by(|a, b| a.identity.cmp(&b.identity));
    toolchains.dedup_by(|a, b| a.identity == b.identity);
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
