//! Environment, flags, packages, and the tools on PATH.

use super::things::Things;
use super::{Change, Step};
use crate::random::Random;
use crate::specimen::Written;

/// A variable gets another value, or has none.
pub(super) fn variable(written: &Written, _: &Things, random: &mut Random) -> Option<Change> {
    const VALUES: &[(&str, Option<&str>)] = &[
        ("CGO_CFLAGS", Some("-DVALUE=55 -DTOOL=55")),
        ("CGO_CFLAGS", Some("-O0")),
        ("CGO_CPPFLAGS", Some("-DADDED=1")),
        ("CGO_LDFLAGS", Some("-lm")),
        ("CGO_ENABLED", Some("0")),
        ("CGO_ENABLED", Some("1")),
        ("CGO_ENABLED", None),
        ("GOFLAGS", Some("-tags=extra")),
        ("GOFLAGS", Some("-ldflags=-s")),
        ("GOFLAGS", Some("-mod=mod")),
        ("GOFLAGS", Some("-nosuchflag")),
        ("GOFLAGS", Some("-insecure")),
        // Flags of `go env`.
        ("GOFLAGS", Some("-u")),
        ("GOFLAGS", Some("-w -changed")),
        ("GOFLAGS", None),
        ("GO111MODULE", Some("off")),
        ("GO111MODULE", Some("auto")),
        ("GO111MODULE", None),
        ("GOWORK", Some("off")),
        ("GOWORK", None),
        ("GOENV", Some("off")),
        ("GOENV", Some("ROOT/other-settings")),
        ("GOPATH", Some("ROOT/another:ROOT/gopath")),
        ("GODEBUG", Some("gotypesalias=0")),
        // With these Go's tools write about themselves.
        ("GODEBUG", Some("gctrace=1")),
        ("GODEBUG", Some("inittrace=1")),
        ("GODEBUG", Some("nosuch=1,gocacheverify=1")),
        // With these no go command works, and no plan depends on some of them.
        ("GOARCH", Some("nosuch")),
        ("GOOS", Some("nosuch")),
        ("GOEXPERIMENT", Some("nosuch")),
        ("GOFIPS140", Some("nosuch")),
        ("GOPATH", Some("relative")),
        ("GOROOT", Some("ROOT/nowhere")),
        ("GOCACHEPROG", Some("ROOT/nowhere")),
        ("GOMAXPROCS", Some("nosuch")),
        ("GOGC", Some("nosuch")),
        // What C compilers may be given.
        ("CGO_CFLAGS_ALLOW", Some(".*")),
        ("CGO_CFLAGS_ALLOW", Some("(")),
        ("CGO_CFLAGS_DISALLOW", Some("-D.*")),
        ("CGO_LDFLAGS_DISALLOW", Some("-lm")),
        // cmd/go's dry run has this word for a folder of its own.
        ("CGO_CFLAGS", Some("-DADDED=$WORK/b001")),
        ("CC", Some("gcc -DTOOL=66")),
        // What leads a compiler to programs and IDs that no key has.
        ("CC", Some("env gcc")),
        ("CGO_CFLAGS", Some("-BROOT/bin/")),
        ("CGO_LDFLAGS", Some("-Wl,--build-id=sha1")),
        ("COMPILER_PATH", Some("ROOT/bin")),
        ("LDEMULATION", Some("elf_i386")),
        ("PKG_CONFIG_PATH", Some("ROOT/elsewhere")),
        ("PKG_CONFIG_PATH", None),
        ("LC_ALL", Some("C.UTF-8")),
        ("GIT_DIR", Some("ROOT/nowhere")),
        ("GOPROXY", Some("off")),
        ("HOME", Some("ROOT/another-home")),
        ("GOTOOLCHAIN", Some("auto")),
        ("GOTOOLCHAIN", Some("path")),
        ("GOTOOLCHAIN", Some("local")),
        ("GOTOOLCHAIN", Some("go1.99.0")),
        ("GOTOOLCHAIN", Some("go1.98.0+path")),
        ("GOTOOLCHAIN", Some("nothing")),
        ("GOTOOLCHAIN", None),
        ("GOPRIVATE", Some("*.example.com")),
        ("GOPRIVATE", None),
        ("GONOSUMDB", Some("*")),
        ("GONOPROXY", Some("none")),
        ("GOINSECURE", Some("*.example.com")),
        ("GOAUTH", Some("off")),
        ("NETRC", Some("ROOT/elsewhere/netrc")),
        ("GOMODCACHE", Some("ROOT/modcache")),
    ];
    let (name, value) = *random.pick(VALUES)?;
    if value == written.var(name) {
        return None;
    }
    let what = value.map_or_else(
        || format!("{name} is unset"),
        |value| format!("{name}={value}"),
    );
    Some(Change::new(
        what,
        vec![Step::Variable {
            name: name.to_owned(),
            value: value.map(str::to_owned),
        }],
    ))
}

/// One flag or package more or less.
pub(super) fn flag_or_package(
    written: &Written,
    _: &Things,
    random: &mut Random,
) -> Option<Change> {
    let mut flags = written.flags.clone();
    let mut packages = written.packages.clone();
    match random.below(4) {
        0 => {
            let at = random.below(flags.len());
            if flags.is_empty() {
                return None;
            }
            let flag = flags.remove(at);
            Some(Change::new(
                format!("without {flag}"),
                vec![Step::Flags(flags)],
            ))
        }
        1 => {
            let package = *random.pick(&["./...", ".", "./b", "example.com/m/..."])?;
            if packages
                .iter()
                .any(|known| known == package || known.ends_with(".go"))
            {
                return None;
            }
            packages.push(package.to_owned());
            Some(Change::new(
                format!("{package} is built, too"),
                vec![Step::Packages(packages)],
            ))
        }
        _ => {
            let flag = *random.pick(&[
                "-tags=extra",
                "-tags=other",
                "-ldflags=-s",
                "-ldflags=-X=main.version=2",
                "-gcflags=-N",
                "-gcflags=-nosuch",
                "-buildvcs=false",
                "-buildvcs=true",
                "-mod=mod",
                "-mod=vendor",
                "-modfile=added.mod",
                "-nosuchflag",
                "-cover",
                // A tool's flags of each sort: what it prints, names to be written or read, what go gives itself.
                "-gcflags=-m",
                "-gcflags=-cpuprofile=/nowhere/at/all",
                "-gcflags=-pgoprofile=",
                "-gcflags=-d=$WORK/b001",
                "-gcflags=-V=full",
                "-asmflags=-gensymabis",
                "-asmflags=-D=ADDED=2",
                "-ldflags=-buildid=added",
                "-ldflags=-o=added",
                "-ldflags=-cpuprofile=/nowhere/at/all",
                "-ldflags=-X=main.version=$WORK/b001",
                "-ldflags=-linkmode=external -extldflags=-Wl,-Map=/nowhere/at/all",
            ])?;
            flags.push(flag.to_owned());
            Some(Change::new(
                format!("with {flag}"),
                vec![Step::Flags(flags)],
            ))
        }
    }
}

/// Another program of a name that is asked for appears first on PATH, or changes there.
pub(super) fn tool(_: &Written, things: &Things, random: &mut Random) -> Option<Change> {
    const TOOLS: [(&str, &str); 14] = [
        ("gcc", "exec /usr/bin/gcc -DTOOL=7 -DVALUE_OF_TOOL=7 \"$@\""),
        ("gcc", "exec /usr/bin/gcc \"$@\""),
        ("gcc", "echo 'no compiler today' >&2; exit 1"),
        ("g++", "exec /usr/bin/g++ \"$@\""),
        (
            "pkg-config",
            "/usr/bin/pkg-config \"$@\" | sed 's/100/101/'",
        ),
        ("pkg-config", "echo 'no such library' >&2; exit 1"),
        // What go does not allow.
        ("pkg-config", "echo -DVALUE=100 -fplugin=added.so"),
        ("pkg-config", "echo '-DVALUE=100 @added'"),
        ("git", "exec /usr/bin/git \"$@\""),
        // Releases to which cmd/go may hand over.
        (
            "go1.99.0",
            "unset GOTOOLCHAIN_INTERNAL_SWITCH_VERSION GOROOT; GOTOOLCHAIN=local GOFLAGS=\"$GOFLAGS -tags=extra\" exec go \"$@\"",
        ),
        (
            "go1.99.0",
            "unset GOTOOLCHAIN_INTERNAL_SWITCH_VERSION GOROOT; GOTOOLCHAIN=local exec go \"$@\"",
        ),
        ("go1.99.0", "GOTOOLCHAIN=local exec go \"$@\""),
        ("go1.99.0", "echo 'no release today' >&2; exit 1"),
        (
            "go1.98.0",
            "unset GOTOOLCHAIN_INTERNAL_SWITCH_VERSION GOROOT; GOTOOLCHAIN=local GOFLAGS=\"$GOFLAGS -tags=extra\" exec go \"$@\"",
        ),
    ];
    let (name, script) = *random.pick(&TOOLS)?;
    let path = format!("bin/{name}");
    let was = if things.is_free(&path) {
        "appears"
    } else {
        "is another one"
    };
    let mut steps = Vec::new();
    if !things.is_free(&path) {
        // It may be a link to a program of the machine.
        steps.push(Step::Remove { path: path.clone() });
    }
    let what = format!("{path}: {was} ({script})");
    steps.push(Step::Write {
        path: path.clone(),
        content: format!("#!/bin/sh\n{script}\n").into_bytes(),
        keep_time: false,
    });
    steps.push(Step::Mode { path, mode: 0o755 });
    Some(Change::new(what, steps))
}
