//! Whole command lines: what they mean, and in which words they are refused.

mod farm;
mod refusals;
mod sources;

use std::path::Path;

use super::*;

fn command(line: &str) -> Result<Command, UsageError> {
    parse(line.split_whitespace().map(OsString::from))
}

fn home() -> Environment {
    [("HOME", "/home/u")].into_iter().collect()
}

fn with(line: &str, goflags: &str, variables: &[(&str, &str)]) -> Result<SubmitOptions, String> {
    let environment = variables
        .iter()
        .copied()
        .chain([("HOME", "/home/u")])
        .collect();
    match command(line).map_err(|error| error.to_string())? {
        Command::Submit(request) | Command::Verify(request) => request
            .options(goflags, &environment)
            .map_err(|error| error.to_string()),
        other => panic!("{line}: {other:?}"),
    }
}

fn options(line: &str) -> SubmitOptions {
    with(line, "", &[]).unwrap()
}

fn refused(line: &str) -> String {
    with(line, "", &[]).unwrap_err()
}

const SUBMIT_USAGE: &str = "usage: gofarm submit [-o output] [build flags] [packages]\n\
                            Run 'gofarm help submit' for details.";

#[test]
fn without_flags_the_defaults_hold() {
    let expected = SubmitOptions {
        chdir: None,
        toolexec: None,
        plan_flags: vec![],
        output: None,
        packages: vec!["./...".to_owned()],
        trimpath: true,
        all: false,
        dry_run: false,
        verbose: false,
        print_commands: false,
        keep_work: false,
        workers: None,
        progress: ProgressChoice::Auto,
        summary_json: None,
        events: None,
        timeout: None,
        keep_going: true,
        no_cache: false,
        sandbox: SandboxChoice::Auto,
        cache_dir: "/home/u/.cache/gofarm".into(),
        cache_size: 20 << 30,
        server: ServerChoice::default(),
        detach: false,
        fallback: true,
        embedded_only: None,
        parallel: None,
    };
    assert_eq!(options("submit ./..."), expected);
    assert_eq!(options("build ./..."), expected);
    assert_eq!(options("submit -- ./..."), expected);
}

#[test]
fn every_spelling_of_go_is_understood() {
    let options = options(
        "submit -C sub --o=out -race -tags a,b --mod mod -asan=0 -cover -covermode=atomic -buildvcs -gcflags=all=-N \
         -trimpath=F -v -x -n -work -a -p 3 -msan=TRUE -pgo off -modcacherw -compiler gc -buildmode=pie . ./b",
    );
    assert_eq!(options.chdir, Some("sub".into()));
    assert_eq!(options.output.as_deref(), Some("out"));
    assert_eq!(
        options.plan_flags,
        [
            "-race=true",
            "-tags=a,b",
            "-mod=mod",
            "-asan=false",
            "-cover=true",
            "-covermode=atomic",
            "-buildvcs=true",
            "-gcflags=all=-N",
            "-msan=true",
            "-pgo=off",
            "-modcacherw=true",
            "-compiler=gc",
            "-buildmode=pie",
        ]
    );
    assert_eq!(options.packages, [".", "./b"]);
    assert!(!options.trimpath && options.verbose && options.print_commands && options.dry_run);
    assert!(options.keep_work && options.all && options.no_cache);
    assert_eq!(options.workers, Some(3));
}

#[test]
fn a_boolean_flag_never_takes_the_next_word() {
    let options = options("submit -race false");
    assert_eq!(options.plan_flags, ["-race=true"]);
    assert_eq!(options.packages, ["false"]);
}

#[test]
fn our_own_flags() {
    let options = options(
        "submit --progress=plain --summary-json s.json --events=e --timeout 1h2m3s --keep-going=false --no-cache \
         --workers 4 -p 2 --sandbox=required --cache-dir=c --cache-size=512MiB",
    );
    assert_eq!(options.progress, ProgressChoice::Plain);
    assert_eq!(options.timeout.unwrap().as_secs(), 3723);
    assert!(!options.keep_going && options.no_cache && !options.all);
    assert_eq!(options.workers, Some(4));
    assert_eq!(options.sandbox, SandboxChoice::Required);
    assert_eq!(options.cache_size, 512 << 20);
    let rooted = options.rooted_at(Path::new("/w"));
    assert_eq!(rooted.cache_dir, Path::new("/w/c"));
    assert_eq!(rooted.summary_json, Some("/w/s.json".into()));
    assert_eq!(rooted.events, Some("/w/e".into()));
}

#[test]
fn chdir_is_the_first_flag_or_an_error() {
    for line in [
        "submit -C=sub .",
        "submit --C sub .",
        "-C sub submit .",
        "--C=sub verify .",
    ] {
        assert_eq!(options(line).chdir, Some("sub".into()), "{line}");
    }
    assert_eq!(
        refused("submit -v -C sub"),
        format!(
            "invalid value \"sub\" for flag -C: -C flag must be first flag on command line\n{SUBMIT_USAGE}"
        )
    );
    assert!(refused("submit -C").starts_with("flag needs an argument: -C\n"));
}

#[test]
fn help_is_found_and_mentions_every_flag() {
    let help = |line: &str| match command(line) {
        Ok(Command::Help(text)) => text,
        other => panic!("{line}: {other:?}"),
    };
    assert_eq!(help("help"), help("--help"));
    assert_eq!(help("submit -h"), help("help submit"));
    assert_eq!(help("verify --help"), help("help verify"));
    let text = help("help submit");
    for flag in flag::FLAGS
        .iter()
        .filter(|flag| !flag.name.starts_with("debug-"))
    {
        assert!(
            text.contains(&flag.spelling()),
            "{} is not in the help text",
            flag.spelling()
        );
    }
    let variables = help("help environment");
    for flag in flag::FLAGS {
        if let flag::Role::Own(_, Some(variable)) = flag.role {
            assert!(variables.contains(variable), "{variable}");
        }
    }
    for text in [
        help("help"),
        text,
        help("help verify"),
        variables,
        help("help exit-codes"),
        help("help farm"),
        help("logs -h"),
        help("builds -h"),
        help("status -h"),
        help("attach -h"),
        help("cancel -h"),
        help("workers -h"),
    ] {
        assert!(
            text.lines()
                .all(|line| line.replace('\t', "        ").len() <= 86)
        );
    }
}

#[test]
fn the_other_commands() {
    assert!(matches!(command("version"), Ok(Command::Version)));
    assert!(matches!(command("--version"), Ok(Command::Version)));
    assert!(version().starts_with("gofarm version 0."));
    let Ok(Command::Sandbox(rest)) = command("__sandbox -C x") else {
        panic!()
    };
    assert_eq!(rest, ["-C", "x"]);
}
