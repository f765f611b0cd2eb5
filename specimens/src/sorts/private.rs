//! Modules that not everybody gets: from proxies and repositories that want a password.

use std::io;

use super::quick;
use crate::specimen::Specimen;
use crate::workshop::Workshop;

const LIB_FILES: [(&str, &str); 2] = [
    ("go.mod", "module git.example.com/lib\n\ngo 1.22\n"),
    ("lib.go", "package lib\n\nfunc Lib() int { return 300 }\n"),
];
const NEWER: &str = "package lib\n\nfunc Lib() int { return 311 }\n";

fn uses_lib(w: &mut Workshop) -> io::Result<()> {
    w.files(&[
        (
            "src/go.mod",
            "module example.com/m\n\ngo 1.24\n\nrequire git.example.com/lib v1.0.0\n",
        ),
        (
            "src/main.go",
            "package main\n\nimport \"git.example.com/lib\"\n\nfunc main() { println(lib.Lib()) }\n",
        ),
    ])
}

/// Who is asked for a password, and who knows it.
fn password(w: &mut Workshop, host: &str) -> io::Result<()> {
    let netrc = format!("machine {host} login me password secret1\n");
    let account = format!("accounts/{host}");
    w.files(&[("home/.netrc", &netrc), (&account, "me secret1\n")])
}

fn proxy(w: &mut Workshop) -> io::Result<()> {
    w.network()?;
    password(w, "modules.example.com")?;
    w.env("GOPROXY", "https://modules.example.com");
    w.env("GONOSUMDB", "git.example.com");
    let folder = "hosts/modules.example.com";
    let [go_mod, lib] = LIB_FILES;
    w.publish_in(folder, "git.example.com/lib", "v1.0.0", &[go_mod, lib])?;
    let newer = [go_mod, ("lib.go", NEWER)];
    w.publish_in(folder, "git.example.com/lib", "v1.1.0", &newer)?;
    uses_lib(w)?;
    // The sums of both.
    w.go("src", &["mod", "download", "git.example.com/lib@v1.1.0"])?;
    w.go("src", &["mod", "tidy"])
}

fn repository(w: &mut Workshop) -> io::Result<()> {
    w.network()?;
    password(w, "git.example.com")?;
    w.files(&[(
        "hosts/git.example.com/lib/index.html",
        "<meta name=\"go-import\" content=\"git.example.com/lib git https://git.example.com/lib\">\n",
    )])?;
    // In no file, which would hold the specimen's folder.
    w.env("GIT_CONFIG_COUNT", "1");
    w.env("GIT_CONFIG_KEY_0", "url.file://ROOT/repos/.insteadOf");
    w.env("GIT_CONFIG_VALUE_0", "https://git.example.com/");
    for (name, text) in LIB_FILES {
        w.files(&[(&format!("repos/lib/{name}"), text)])?;
    }
    w.repository("repos/lib")?;
    w.git("repos/lib", &["tag", "v1.0.0"])?;
    w.files(&[("repos/lib/lib.go", NEWER)])?;
    w.git("repos/lib", &["commit", "-q", "-a", "-m", "second"])?;
    w.git("repos/lib", &["tag", "v1.1.0"])?;
    // Of other modules there is a proxy, which knows none.
    w.files(&[("proxy/none", "")])?;
    w.env("GOPROXY", "file://ROOT/proxy");
    w.env("GOPRIVATE", "*.example.com");
    uses_lib(w)?;
    w.go("src", &["mod", "tidy"])
}

pub(super) const ALL: &[Specimen] = &[
    quick("private_proxy", proxy),
    quick("private_proxy_not_asked_yet", |w| {
        proxy(w)?;
        w.forget_modules()
    }),
    quick("private_repository", repository),
    quick("private_repository_not_asked_yet", |w| {
        repository(w)?;
        w.forget_modules()
    }),
    quick("private_repository_and_newer_sums_are_written", |w| {
        w.flags(&["-mod=mod"]);
        repository(w)
    }),
];
