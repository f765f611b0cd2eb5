//! An S3 server over a folder.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Recipe, Service, free_port};

const KEY: &str = "gofarm";
const SECRET: &str = "gofarm-secret";

/// versitygw with one bucket, `farm`.
pub struct S3 {
    port: u16,
    _service: Service,
}

impl S3 {
    pub fn start(folder: &Path) -> S3 {
        let folder = folder.join("s3");
        for name in ["objects/farm", "attributes"] {
            fs::create_dir_all(folder.join(name)).unwrap();
        }
        // ./test installs it and says where.
        let program = std::env::var_os("GOFARM_TEST_S3_SERVER").unwrap_or("versitygw".into());
        let port = free_port();
        let mut args = vec!["--quiet".to_owned(), "--port".to_owned()];
        args.push(format!("127.0.0.1:{port}"));
        args.extend(["posix".to_owned(), "--sidecar".to_owned()]);
        args.push(folder.join("attributes").display().to_string());
        args.push(folder.join("objects").display().to_string());
        let mut service = Service::start(Recipe {
            name: "s3".to_owned(),
            program: PathBuf::from(program),
            args,
            env: vec![
                ("ROOT_ACCESS_KEY_ID".to_owned(), KEY.to_owned()),
                ("ROOT_SECRET_ACCESS_KEY".to_owned(), SECRET.to_owned()),
            ],
            folder,
        });
        service.answers_at(port);
        S3 {
            port,
            _service: service,
        }
    }

    /// What reaches it.
    pub fn env(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ACCESS_KEY_ID", KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ENDPOINT", format!("http://127.0.0.1:{}", self.port)),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
        ]
    }
}
