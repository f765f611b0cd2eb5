//! The launcher as a program of its own: what a process that embeds the worker starts when it does not start itself.

fn main() -> std::process::ExitCode {
    gofarm_worker::launcher_main()
}
