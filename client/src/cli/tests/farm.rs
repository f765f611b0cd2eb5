//! Flags that say which farm, and commands that ask one.

use super::*;

fn farm(line: &str) -> FarmRequest {
    match command(line) {
        Ok(Command::Farm(request)) => request,
        other => panic!("{line}: {other:?}"),
    }
}

fn error(line: &str) -> String {
    command(line).unwrap_err().to_string()
}

#[test]
fn a_server_is_named_by_flag_or_variable() {
    let variables = [
        ("GOFARM_SERVER", "http://variable:1"),
        ("GOFARM_CA", "/ca"),
        ("GOFARM_POOL", "big"),
        ("GOFARM_USER", "ann"),
        ("GOFARM_FALLBACK", "0"),
    ];
    let read = with("submit --token-file=t --detach .", "", &variables).unwrap();
    assert_eq!(
        read.server,
        ServerChoice {
            server: Some(("http://variable:1".into(), "GOFARM_SERVER".into())),
            token_file: Some("t".into()),
            ca: Some("/ca".into()),
            user: Some("ann".into()),
            pool: Some("big".into()),
        }
    );
    assert!(read.detach && !read.fallback);
    let line = "submit --server=http://flag:1 --pool=small --user bob --fallback .";
    let read = with(line, "", &variables).unwrap();
    assert_eq!(
        read.server.server,
        Some(("http://flag:1".into(), "--server".into()))
    );
    assert_eq!(
        (read.server.pool.as_deref(), read.server.user.as_deref()),
        (Some("small"), Some("bob"))
    );
    assert!(read.fallback);
    let rooted = with("submit --token-file=t --ca=c .", "", &[])
        .unwrap()
        .rooted_at(Path::new("/w"));
    assert_eq!(rooted.server.token_file, Some("/w/t".into()));
    let variables = [("GOFARM_TOKEN_FILE", "/run/token")];
    for (line, file) in [("submit .", "/run/token"), ("submit --token-file=t .", "t")] {
        let read = with(line, "", &variables).unwrap();
        assert_eq!(read.server.token_file, Some(file.into()));
    }
    assert_eq!(rooted.server.ca, Some("/w/c".into()));
}

#[test]
fn a_token_file_without_a_name_is_no_farm_without_a_token() {
    for line in [
        "submit --token-file= .",
        "submit --token-file=t --token-file= .",
    ] {
        let refused = with(line, "", &[]).unwrap_err().to_string();
        assert!(refused.contains("--token-file needs"), "{refused}");
    }
    // As every variable that is set to nothing.
    let read = with("submit .", "", &[("GOFARM_TOKEN_FILE", "")]).unwrap();
    assert_eq!(read.server.token_file, None);
}

#[test]
fn what_only_an_embedded_build_heeds_is_known_when_it_was_asked_for_here() {
    let given = |line: &str, goflags: &str| {
        let read = with(line, goflags, &[("GOFARM_WORKERS", "3")]).unwrap();
        (read.embedded_only, read.parallel)
    };
    assert_eq!(given("submit .", "-p=2"), (None, None));
    assert_eq!(given("submit -p 2 .", ""), (None, Some("-p=2".into())));
    assert_eq!(
        given("submit --sandbox=off .", ""),
        (Some("--sandbox=off".into()), None)
    );
    assert_eq!(
        given("submit --workers 4 .", ""),
        (Some("--workers=4".into()), None)
    );
}

#[test]
fn commands_that_ask_a_farm() {
    let build = || "5b0d".to_owned();
    for (line, expected) in [
        (
            "logs 5b0d",
            FarmCommand::Logs {
                build: build(),
                action: None,
                follow: false,
            },
        ),
        (
            "logs 5B-0d net/http -f",
            FarmCommand::Logs {
                build: build(),
                action: Some("net/http".into()),
                follow: true,
            },
        ),
        ("builds --open", FarmCommand::Builds { open: true }),
        ("builds", FarmCommand::Builds { open: false }),
        ("status 5b0d --json", FarmCommand::Status { build: build() }),
        ("attach -o x 5b0d", FarmCommand::Attach { build: build() }),
        ("cancel 5b0d", FarmCommand::Cancel { build: build() }),
        ("workers", FarmCommand::Workers),
    ] {
        assert_eq!(farm(line).command, expected, "{line}");
    }
    let request = farm("status 5b0d --json --server http://f:1");
    let options = request.options(&home()).unwrap();
    assert!(options.json);
    assert_eq!(options.server.server.unwrap().0, "http://f:1");
    let attach = farm("attach 5b0d -o=dist/ --progress=plain");
    let options = attach.attach_options(&home()).unwrap();
    assert_eq!(options.output.as_deref(), Some("dist/"));
    assert_eq!(options.progress, ProgressChoice::Plain);
    assert_eq!(options.cache_dir, Path::new("/home/u/.cache/gofarm"));
}

#[test]
fn a_build_that_is_not_named_is_asked_for() {
    for (line, message) in [
        (
            "status",
            "gofarm status: which build? name it by its id, or the beginning of it, as 'gofarm builds' lists them\n\
             usage: gofarm status [--json] build\nRun 'gofarm help status' for details.",
        ),
        (
            "cancel xyz",
            "gofarm cancel: \"xyz\" is not the id of a build: 32 hexadecimal digits, or the first of them",
        ),
        (
            "workers all",
            "gofarm workers: unexpected argument \"all\"\n\
             usage: gofarm workers [--json]\nRun 'gofarm help workers' for details.",
        ),
        (
            "builds --opne",
            "flag provided but not defined: -opne\ndid you mean --open?\n\
             usage: gofarm builds [--open] [--json]\nRun 'gofarm help builds' for details.",
        ),
        (
            "worker",
            "gofarm worker: unknown command\ndid you mean gofarm workers?\nRun 'gofarm help' for usage.",
        ),
    ] {
        assert_eq!(error(line), message, "{line}");
    }
}
