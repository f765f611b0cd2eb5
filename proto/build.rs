//! Generates the Rust code of `gofarm.v1`. protox compiles the files in process, so no protoc is needed.

use prost_build::Config;
use protox::prost::Message;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const FILES: [&str; 8] = [
    "gofarm/v1/digest.proto",
    "gofarm/v1/action.proto",
    "gofarm/v1/graph.proto",
    "gofarm/v1/blobs.proto",
    "gofarm/v1/builds.proto",
    "gofarm/v1/leases.proto",
    "gofarm/v1/cache.proto",
    "gofarm/v1/outline.proto",
];

fn main() -> Result<()> {
    println!("cargo:rerun-if-changed=gofarm");
    let files = protox::compile(FILES, ["."])?;
    // An action holds thousands of paths that live as long as it does; `bytes` stays a plain Vec there. Blobs on their
    // way through are handed on without being copied.
    let mut config = Config::new();
    // As they stand in every JSON view of a build.
    config.type_attribute(".gofarm.v1.Counts", "#[derive(serde::Serialize)]");
    config.bytes([
        ".gofarm.v1.Blob.data",
        ".gofarm.v1.ReadResponse.data",
        ".gofarm.v1.WriteRequest.data",
        ".gofarm.v1.TaskOutput.data",
        ".gofarm.v1.LogChunk.data",
        ".gofarm.v1.ActionLogResponse.data",
    ]);
    if std::env::var_os("CARGO_FEATURE_GRPC").is_some() {
        let out = std::path::PathBuf::from(std::env::var("OUT_DIR")?);
        // What server reflection answers with.
        std::fs::write(out.join("gofarm.v1.bin"), files.encode_to_vec())?;
        tonic_prost_build::configure()
            .build_transport(true)
            .compile_fds_with_config(files, config)?;
    } else {
        config.compile_fds(files)?;
    }
    Ok(())
}
