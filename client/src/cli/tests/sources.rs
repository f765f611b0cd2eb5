//! GOFLAGS, variables and defaults beside the command line.

use super::*;

#[test]
fn goflags_come_first_and_the_command_line_overrides_them() {
    let goflags = "-trimpath=false -v -x -work -a -n -o=there -p=7 -mod=mod -timeout=1ns '-ldflags=-s -w' -run=X";
    let read = with("submit .", goflags, &[]).unwrap();
    assert!(
        !read.trimpath
            && read.verbose
            && read.print_commands
            && read.keep_work
            && read.no_cache
            && read.dry_run
    );
    assert_eq!(read.output.as_deref(), Some("there"));
    assert_eq!(read.workers, Some(7));
    assert_eq!(read.timeout, None, "-timeout in GOFLAGS is go test's");
    // cmd/go reads GOFLAGS itself; what would garble the dry run is taken back.
    assert_eq!(read.plan_flags, ["-v=false", "-work=false", "-x=false"]);

    let line = "submit -trimpath -v=0 -x=0 -work=0 -a=0 -n=0 -o= -p=2 .";
    let read = with(line, goflags, &[]).unwrap();
    assert!(
        read.trimpath && !read.verbose && !read.print_commands && !read.keep_work && !read.no_cache
    );
    assert!(!read.dry_run);
    assert_eq!(read.output, None);
    assert_eq!(read.workers, Some(2));
    assert_eq!(
        read.plan_flags,
        ["-v=false", "-work=false", "-x=false", "-o="]
    );

    assert_eq!(
        with("verify .", "-o=there", &[]).unwrap().plan_flags,
        ["-o="]
    );
}

#[test]
fn a_wrapper_is_named_by_the_last_word() {
    let goflags = "'-toolexec=/w -x'";
    let read = with("submit .", goflags, &[]).unwrap();
    assert_eq!(read.toolexec.as_deref(), Some("/w -x"));
    // cmd/go reads GOFLAGS itself.
    assert!(read.plan_flags.is_empty());
    let read = with("submit -toolexec=/v .", goflags, &[]).unwrap();
    assert_eq!(read.toolexec.as_deref(), Some("/v"));
    assert_eq!(read.plan_flags, ["-toolexec=/v"]);
    let read = with("submit -toolexec= .", goflags, &[]).unwrap();
    assert_eq!(read.toolexec, None);
}

#[test]
fn malformed_goflags_are_refused() {
    for (goflags, message) in [
        ("race", "go: parsing $GOFLAGS: non-flag \"race\""),
        ("-race ---x", "go: parsing $GOFLAGS: non-flag \"---x\""),
        ("'-race", "go: parsing $GOFLAGS: unterminated ' string"),
        (
            "-tags",
            "go: flag needs an argument: -tags (from $GOFLAGS)\nusage: go build [-o output] [build flags] [packages]\nRun 'go help build' for details.",
        ),
        (
            "-race=x",
            "go: invalid boolean value \"x\" for flag -race (from $GOFLAGS): parse error\nusage: go build [-o output] [build flags] [packages]\nRun 'go help build' for details.",
        ),
        (
            "-C=x",
            "go: invalid value \"x\" for flag -C (from $GOFLAGS): -C flag must be first flag on command line\nusage: go build [-o output] [build flags] [packages]\nRun 'go help build' for details.",
        ),
        (
            "-p=0",
            "gofarm: -p=0 (from $GOFLAGS): must be a positive integer, not 0",
        ),
    ] {
        assert_eq!(with("submit .", goflags, &[]).unwrap_err(), message);
    }
}

#[test]
fn variables_stand_for_flags_and_flags_override_them() {
    let variables = [
        ("GOFARM_CACHE_DIR", "/c"),
        ("GOFARM_CACHE_SIZE", "1GiB"),
        ("GOFARM_KEEP_GOING", "0"),
        ("GOFARM_NO_CACHE", "1"),
        ("GOFARM_PROGRESS", "none"),
        ("GOFARM_SANDBOX", "off"),
        ("GOFARM_TIMEOUT", "5s"),
        ("GOFARM_WORKERS", "9"),
    ];
    let read = with("submit .", "-p=7", &variables).unwrap();
    assert_eq!(
        (read.cache_dir.to_str(), read.cache_size),
        (Some("/c"), 1 << 30)
    );
    assert!(!read.keep_going && read.no_cache);
    assert_eq!(
        (read.progress, read.sandbox),
        (ProgressChoice::None, SandboxChoice::Off)
    );
    assert_eq!(read.timeout.unwrap().as_secs(), 5);
    assert_eq!(read.workers, Some(9));

    let line = "submit --cache-dir=/d --cache-size=2GiB --keep-going --no-cache=0 --progress=tty --sandbox=auto --timeout=0 -p 1 .";
    let read = with(line, "", &variables).unwrap();
    assert_eq!(
        (read.cache_dir.to_str(), read.cache_size),
        (Some("/d"), 2 << 30)
    );
    assert!(read.keep_going && !read.no_cache);
    assert_eq!(
        (read.progress, read.sandbox),
        (ProgressChoice::Tty, SandboxChoice::Auto)
    );
    assert_eq!((read.timeout, read.workers), (None, Some(1)));
}

#[test]
fn wrong_variables_are_named() {
    for (name, value, message) in [
        (
            "GOFARM_TIMEOUT",
            "5",
            "gofarm: invalid value \"5\" for GOFARM_TIMEOUT: missing unit (try 90s, 10m or 1h30m)",
        ),
        (
            "GOFARM_NO_CACHE",
            "yes",
            "gofarm: invalid value \"yes\" for GOFARM_NO_CACHE: must be true or false",
        ),
        (
            "GOFARM_SANDBOX",
            "on",
            "gofarm: invalid value \"on\" for GOFARM_SANDBOX: valid values are auto, required, off",
        ),
        (
            "GOFARM_WORKERS",
            "x",
            "gofarm: invalid value \"x\" for GOFARM_WORKERS: must be a positive integer",
        ),
        (
            "GOFARM_WORKERS",
            "0",
            "gofarm: GOFARM_WORKERS: must be a positive integer, not 0",
        ),
        (
            "GOFARM_CACHE_DIR",
            "c",
            "gofarm: GOFARM_CACHE_DIR is relative; must be absolute path: c",
        ),
        (
            "GOFARM_FALLBACK",
            "no",
            "gofarm: invalid value \"no\" for GOFARM_FALLBACK: must be true or false",
        ),
    ] {
        assert_eq!(with("submit .", "", &[(name, value)]).unwrap_err(), message);
    }
}

#[test]
fn the_cache_folder_follows_xdg() {
    let read = with("submit .", "", &[("XDG_CACHE_HOME", "/x")]).unwrap();
    assert_eq!(read.cache_dir, Path::new("/x/gofarm"));
    let read = with("submit .", "", &[("XDG_CACHE_HOME", "relative")]).unwrap();
    assert_eq!(read.cache_dir, Path::new("/home/u/.cache/gofarm"));
    let Ok(Command::Submit(request)) = command("submit .") else {
        panic!()
    };
    assert_eq!(
        request
            .options("", &Environment::default())
            .unwrap_err()
            .to_string(),
        "gofarm: there is no folder for the cache: neither GOFARM_CACHE_DIR nor XDG_CACHE_HOME nor HOME is set; name one \
         with --cache-dir"
    );
    assert!(request.options("", &home()).is_ok());
}
