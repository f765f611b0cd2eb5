//! In which words a command line is refused.

use super::*;

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
            "verify --detach",
            "gofarm: --detach cannot be given to verify: it compares what was built",
        ),
        (
            "submit --detach --events=e",
            "gofarm: --events=e cannot be given with --detach, which ends before the build does; give it to gofarm attach",
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
            "-buildmode=shared",
            "such a library is bound to the very packages it was built with, on one machine; use 'go build' for it",
        ),
        (
            "-linkshared",
            "shared libraries of packages are files outside of the build, which no other machine has; link statically",
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
    let line = "submit -pkgdir= -json=false -debug-actiongraph= .";
    let options = with(line, "-pkgdir=d -json -debug-actiongraph=f", &[]).unwrap();
    assert_eq!(
        options.plan_flags,
        ["-pkgdir=", "-json=false"],
        "the planner gives its own -debug-actiongraph"
    );
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
