//! See the library of the same crate.

fn main() -> std::process::ExitCode {
    gofarm_client::run(std::env::args_os().skip(1))
}
