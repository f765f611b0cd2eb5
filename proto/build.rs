//! Generates the Rust code of `gofarm.v1`. protox compiles the files in process, so no protoc is needed.

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    println!("cargo:rerun-if-changed=gofarm");
    let files = protox::compile(
        [
            "gofarm/v1/digest.proto",
            "gofarm/v1/action.proto",
            "gofarm/v1/graph.proto",
        ],
        ["."],
    )?;
    // An action holds thousands of paths that live as long as it does; `bytes` stays a plain Vec.
    prost_build::Config::new().compile_fds(files)?;
    Ok(())
}
