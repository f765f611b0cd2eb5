//! What makes the go command say more than a dry run, so that its words cannot be told from its commands.

use std::collections::BTreeSet;

use crate::error::PlanError;

/// Settings of GODEBUG that make every Go program, or the go command, write about itself (runtime/runtime1.go, `dbgvars`;
/// cmd/go/internal/cache, cmd/go/internal/fsys).
const TALKING: [&str; 18] = [
    "allocfreetrace",
    "checkfinalizers",
    "fuzzdebug",
    "gccheckmark",
    "gcpacertrace",
    "gctrace",
    "gocachehash",
    "gocachetest",
    "gofsystrace",
    "gofsystracelog",
    "gofsystracestack",
    "inittrace",
    "scavtrace",
    "scheddetail",
    "schedtrace",
    "toolchaintrace",
    "traceallocfree",
    "tracecheckstackownership",
];

/// Settings of the runtime and the go command that do not.
const SILENT: [&str; 33] = [
    "adaptivestackstart",
    "asyncpreemptoff",
    "asynctimerchan",
    "cgocheck",
    "clobberfree",
    "cmdgonetlimit",
    "containermaxprocs",
    "dataindependenttiming",
    "decoratemappings",
    "disablethp",
    "dontfreezetheworld",
    "efence",
    "execwait",
    "gcshrinkstackoff",
    "gcstoptheworld",
    "gocacheverify",
    "goindex",
    "gotoolchainexec",
    "gotypesalias",
    "harddecommit",
    "invalidptr",
    "madvdontneed",
    "multipartfiles",
    "panicnil",
    "profstackdepth",
    "runtimecontentionstacks",
    "sbrk",
    "simd",
    "traceadvanceperiod",
    "tracebackancestors",
    "tracebacklabels",
    "tracefpunwindoff",
    "updatemaxprocs",
];

/// Refuses a GODEBUG with which Go's tools write about themselves.
pub(crate) fn refuse(godebug: &str) -> Result<(), PlanError> {
    let mut names = godebug
        .split(',')
        .filter_map(|setting| setting.split_once('='));
    let talks = |&(name, value): &(&str, &str)| TALKING.contains(&name) && value != "0";
    match names.find(talks) {
        None => Ok(()),
        Some((name, value)) => Err(PlanError::Unsupported {
            what: format!("{name}={value} in GODEBUG"),
            why: "Go's tools would write about themselves among what is read of them; leave it out, or use 'go build'"
                .to_owned(),
        }),
    }
}

/// Settings in the source of a release of which it is not known whether they make a program write about itself. `runtime` is
/// runtime/runtime1.go, `documented` internal/godebugs/table.go, of whose settings none does.
pub(crate) fn unknown(runtime: &str, documented: &str) -> BTreeSet<String> {
    let quoted = |line: &str, before: &str| {
        let (_, rest) = line.split_once(before)?;
        Some(rest.split_once('"')?.0.to_owned())
    };
    let documented: BTreeSet<String> = documented
        .lines()
        .filter_map(|line| quoted(line, "{Name: \""))
        .collect();
    let names = runtime.lines().filter_map(|line| quoted(line, "{name: \""));
    names
        .filter(|name| {
            let name = name.as_str();
            !(documented.contains(name) || TALKING.contains(&name) || SILENT.contains(&name))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_make_go_write_about_itself_are_refused() {
        for godebug in ["gctrace=1", "madvdontneed=1,inittrace=1", "gocachehash=1"] {
            assert!(refuse(godebug).is_err(), "{godebug}");
        }
        for godebug in [
            "",
            "gctrace=0",
            "gctrace",
            "nosuch=1",
            "goindex=0,http2client=0",
        ] {
            assert!(refuse(godebug).is_ok(), "{godebug}");
        }
    }

    #[test]
    fn the_settings_of_this_release_are_known() {
        let go = crate::gocmd::GoCommand::new("/");
        let goroot = go.go_env().unwrap().get("GOROOT").to_owned();
        let source = |name: &str| std::fs::read_to_string(format!("{goroot}/src/{name}")).unwrap();
        let runtime = source("runtime/runtime1.go");
        assert!(runtime.contains("{name: \"gctrace\""));
        let documented = source("internal/godebugs/table.go");
        assert_eq!(unknown(&runtime, &documented), BTreeSet::new());
        let other = "\t{name: \"what\", value: &debug.what},\n";
        assert_eq!(
            unknown(other, &documented),
            BTreeSet::from(["what".to_owned()])
        );
    }
}
