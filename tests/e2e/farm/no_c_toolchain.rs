//! A build with cgo on a farm whose workers have no such C toolchain.

use std::path::Path;

use crate::harness::{FARM, Farm, Service, Site, Size};

#[test]
fn what_is_lacking_is_told_in_words_while_it_is_waited_for_and_at_the_end() {
    let site = Site::new().module(&[(
        "main.go",
        "package main\n\n// int one(void) { return 1; }\nimport \"C\"\n\nfunc main() { println(C.one()) }\n",
    )]);
    let gcc = site
        .command(Path::new("sh"), &["-c", "command -v gcc"])
        .run();
    if !gcc.status.success() {
        eprintln!("not tested: there is no gcc");
        return;
    }
    let size = Size {
        schedulers: 1,
        workers: 0,
        ..FARM
    };
    let mut farm = Farm::start(&site, size);
    let mut recipe = farm.worker_recipe(&site, 0, 2);
    recipe.args.push("--cc=none".to_owned());
    farm.workers.push(Service::start(recipe));
    farm.all_join(&site);
    let failed = farm
        .submit(&site, &["--progress=plain"])
        .env("GOFARM_PROGRESS", "plain")
        .env("CGO_ENABLED", "1")
        .run()
        .code(3)
        .stderr;
    for words in [
        "waiting for a worker with the C compiler gcc ",
        "no worker of pool \"default\" has the C toolchain of the machine that planned the build, gcc ",
        "1 worker has no C compiler",
        "CGO_ENABLED=0",
    ] {
        assert!(failed.contains(words), "{words}: {failed}");
    }
    let longest = failed
        .split(|c: char| !c.is_ascii_hexdigit())
        .map(str::len)
        .max();
    assert!(longest < Some(64), "{failed}");
}
