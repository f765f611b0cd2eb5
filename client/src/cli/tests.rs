//! Whole command lines: what they mean, and in which words they are refused.

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
fn mistakes_are_refused_in_the_words_of_go() {
    for (line, message) in [
        (
            "submit -rase",
            "flag provided but not defined: -rase\ndid you mean -race?",
        ),
        (
            "submit --timout=5s",
            "flag provided but not defined: -timout\ndid you mean --timeout?",
        ),
        (
            "submit -frobnicate=5",
            "flag provided but not defined: -frobnicate",
        ),
        ("submit ---v", "bad flag syntax: ---v"),
        ("submit -=v", "bad flag syntax: -=v"),
        ("submit -tags", "flag needs an argument: -tags"),
        ("submit --cache-dir", "flag needs an argument: --cache-dir"),
        (
            "submit -race=maybe",
            "invalid boolean value \"maybe\" for -race: parse error",
        ),
        (
            "submit -buildvcs=x",
            "invalid boolean value \"x\" for -buildvcs: value is neither 'auto' nor a valid bool",
        ),
        (
            "submit -p x",
            "invalid value \"x\" for flag -p: parse error",
        ),
        (
            "submit -covermode=x",
            "invalid value \"x\" for flag -covermode: valid modes are \"set\", \"count\", or \"atomic\"",
        ),
        (
            "submit -compiler=tcc",
            "invalid value \"tcc\" for flag -compiler: unknown compiler \"tcc\"",
        ),
        (
            "submit -gcflags=x",
            "invalid value \"x\" for flag -gcflags: missing =<value> in <pattern>=<value>",
        ),
        (
            "submit --progress=x",
            "invalid value \"x\" for flag --progress: valid values are auto, tty, plain, none",
        ),
        (
            "submit ./a -race",
            "malformed import path \"-race\": leading dash (flags stand before the packages)",
        ),
    ] {
        assert_eq!(
            refused(line),
            format!("{message}\n{SUBMIT_USAGE}"),
            "{line}"
        );
    }
}

#[test]
fn values_of_our_own_are_refused_with_a_way_out() {
    for (line, message) in [
        (
            "submit --timeout=5",
            "gofarm: invalid value \"5\" for --timeout: missing unit (try 90s, 10m or 1h30m)",
        ),
        (
            "submit --cache-size=5",
            "gofarm: invalid value \"5\" for --cache-size: missing unit (try 512MiB or 50GiB)",
        ),
        (
            "submit --workers=0",
            "gofarm: --workers: must be a positive integer, not 0",
        ),
        (
            "submit -p=-1",
            "gofarm: -p=-1: must be a positive integer, not -1",
        ),
        (
            "verify -o x",
            "gofarm: -o=x cannot be given to verify: it compares programs and keeps none",
        ),
        (
            "verify -n",
            "gofarm: -n cannot be given to verify: it compares what was built",
        ),
        (
            "submit --server=http://farm:9090",
            "gofarm: --server is not supported yet: this release builds embedded only",
        ),
    ] {
        assert_eq!(refused(line), message, "{line}");
    }
}

#[test]
fn what_is_not_supported_is_named_with_the_reason() {
    for (flag, reason) in [
        (
            "-compiler=gccgo",
            "gofarm knows the commands of the gc toolchain only; use 'go build' for gccgo",
        ),
        (
            "-gccgoflags=-O2",
            "gofarm knows the commands of the gc toolchain only; use 'go build' for gccgo",
        ),
        (
            "-buildmode=c-shared",
            "gofarm links programs only (modes default, exe, pie and archive); use 'go build' for libraries",
        ),
        (
            "-toolexec=time",
            "what a wrapper program does is not part of a result's key, so its results could not be told from others; \
             use 'go build'",
        ),
        (
            "-linkshared",
            "shared libraries of packages are files outside of the build, which no other machine has; link statically",
        ),
        (
            "-overlay=o.json",
            "gofarm reads source files where they stand; apply the replacements to a copy of the tree, or use 'go build'",
        ),
        (
            "-pkgdir=d",
            "packages live in the store by their content, not in a folder; leave it out",
        ),
        (
            "-installsuffix=s",
            "nothing is installed: packages live in the store by their content; leave it out",
        ),
        (
            "-json",
            "gofarm prints the compiler's text; use --events FILE for what a program can read",
        ),
        (
            "-debug-trace=t",
            "it writes about the go command itself, which only plans here; use --events FILE to see what the build did",
        ),
    ] {
        let line = format!("submit {flag}");
        assert_eq!(
            refused(&line),
            format!("gofarm: {flag} is not supported: {reason}")
        );
        let message = with("submit .", flag, &[]).unwrap_err();
        assert_eq!(
            message,
            format!("gofarm: {flag} (from $GOFLAGS) is not supported: {reason}")
        );
    }
}

#[test]
fn a_later_harmless_value_takes_the_refused_one_back() {
    let options = with(
        "submit -toolexec= -json=false .",
        "-toolexec=time -json",
        &[],
    )
    .unwrap();
    assert_eq!(options.plan_flags, ["-toolexec=", "-json=false"]);
}

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
fn malformed_goflags_are_refused() {
    for (goflags, message) in [
        ("race", "gofarm: parsing $GOFLAGS: non-flag \"race\""),
        ("-race ---x", "gofarm: parsing $GOFLAGS: non-flag \"---x\""),
        ("'-race", "gofarm: parsing $GOFLAGS: unterminated ' string"),
        (
            "-tags",
            "gofarm: flag needs an argument: -tags (from $GOFLAGS)",
        ),
        (
            "-race=x",
            "gofarm: invalid boolean value \"x\" for flag -race (from $GOFLAGS): parse error",
        ),
        (
            "-C=x",
            "gofarm: invalid value \"x\" for flag -C (from $GOFLAGS): -C flag must be first flag on command line",
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
            "gofarm: invalid value \"yes\" for GOFARM_NO_CACHE: parse error",
        ),
        (
            "GOFARM_SANDBOX",
            "on",
            "gofarm: invalid value \"on\" for GOFARM_SANDBOX: valid values are auto, required, off",
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
            "GOFARM_SERVER",
            "u",
            "gofarm: GOFARM_SERVER is not supported yet: this release builds embedded only",
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
        .filter(|flag| !flag.name.starts_with("debug-") && flag.name != "server")
    {
        assert!(
            text.contains(&flag.spelling()),
            "{} is not in the help text",
            flag.spelling()
        );
    }
    let variables = help("help environment");
    for flag in flag::FLAGS {
        if let flag::Role::Own(setting, Some(variable)) = flag.role {
            assert!(
                variables.contains(variable) || setting == flag::Setting::Server,
                "{variable}"
            );
        }
    }
    for text in [
        help("help"),
        text,
        help("help verify"),
        variables,
        help("help exit-codes"),
    ] {
        assert!(
            text.lines()
                .all(|line| line.replace('\t', "        ").len() <= 86)
        );
    }
}

#[test]
fn unknown_commands_are_refused_by_name() {
    let error = |line: &str| command(line).unwrap_err().to_string();
    assert_eq!(
        error("sumbit ."),
        "gofarm sumbit: unknown command\ndid you mean gofarm submit?\nRun 'gofarm help' for usage."
    );
    assert_eq!(
        error("test"),
        "gofarm test: unknown command\nRun 'gofarm help' for usage."
    );
    assert_eq!(
        error("help verfy"),
        "gofarm help verfy: unknown help topic\ndid you mean gofarm help verify?\nRun 'gofarm help' for usage."
    );
    assert!(error("").contains("usage: gofarm <command>"));
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
