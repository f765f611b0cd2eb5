//! Flags that lead a C compiler or linker to programs and files which nothing follows. What is found there would be in no key, so
//! they are refused by name.
//!
//! Gone through for this: gcc's Overall Options, Directory Options, Spec Files, Preprocessor, Assembler and Link Options, Plugins and
//! Optimize Options (profiles); clang's command line reference and configuration files; ld's command line options.

use crate::cc::arguments::OPTIONS;
use crate::error::PlanError;

/// Where such a flag leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leads {
    /// To programs: the compiler proper, the assembler, the linker, what is loaded into them, or what starts them.
    Programs,
    /// To another installation of a compiler.
    Installation,
    /// To further flags.
    Flags,
    /// To what a program has done when it ran.
    Profiles,
    /// To headers, in a way that is not followed.
    Headers,
    /// To a file that is written beside what is asked for.
    Written,
    /// To the processor that the compiler runs on.
    Processor,
}

/// Flags by how they begin, of which the value follows in the same word or in the next.
const BEGINNINGS: [(&str, Leads); 43] = [
    ("-B", Leads::Programs),
    ("--prefix", Leads::Programs),
    ("-specs", Leads::Flags),
    ("--specs", Leads::Flags),
    ("-wrapper", Leads::Programs),
    ("--wrapper", Leads::Programs),
    ("-fplugin=", Leads::Programs),
    ("-fplugin", Leads::Programs),
    ("-fpass-plugin", Leads::Programs),
    ("-iplugindir", Leads::Programs),
    ("--ld-path", Leads::Programs),
    ("-ccc-install-dir", Leads::Installation),
    ("-ccc-gcc-name", Leads::Installation),
    ("--gcc-toolchain", Leads::Installation),
    ("-gcc-toolchain", Leads::Installation),
    ("--gcc-install-dir", Leads::Installation),
    ("--gcc-triple", Leads::Installation),
    ("-resource-dir", Leads::Installation),
    ("--resource-dir", Leads::Installation),
    ("--cuda-path", Leads::Installation),
    ("--rocm-path", Leads::Installation),
    ("--config", Leads::Flags),
    ("-fprofile-use", Leads::Profiles),
    ("-fprofile-instr-use", Leads::Profiles),
    ("-fprofile-sample-use", Leads::Profiles),
    ("-fprofile-dir", Leads::Profiles),
    ("-fauto-profile", Leads::Profiles),
    ("-fbranch-probabilities", Leads::Profiles),
    ("-iprefix", Leads::Headers),
    ("-iwithprefix", Leads::Headers),
    ("--include", Leads::Headers),
    ("--imacros", Leads::Headers),
    ("-ivfsoverlay", Leads::Headers),
    ("-fmodule-", Leads::Headers),
    ("-fprebuilt-module-path", Leads::Headers),
    ("-MF", Leads::Written),
    ("-MJ", Leads::Written),
    ("-aux-info", Leads::Written),
    ("-dumpdir", Leads::Written),
    ("-fdump-go-spec", Leads::Written),
    ("-march=native", Leads::Processor),
    ("-mcpu=native", Leads::Processor),
    ("-mtune=native", Leads::Processor),
];

/// Those of the linker itself.
const OF_LINKER: [(&str, Leads); 9] = [
    ("-plugin", Leads::Programs),
    ("-load-pass-plugin", Leads::Programs),
    ("-thinlto-cache-dir", Leads::Programs),
    ("-error-handling-script", Leads::Programs),
    ("-Map", Leads::Written),
    ("-dependency-file", Leads::Written),
    ("-out-implib", Leads::Written),
    ("-output", Leads::Written),
    ("-print-map", Leads::Written),
];

/// The linkers that are among a toolchain's programs.
const LINKERS: [&str; 4] = ["bfd", "gold", "lld", "mold"];

/// The flag that leads a compiler or its driver to what is not followed, among flags without the compiler.
fn of_driver(flags: &[String]) -> Option<(&str, Leads)> {
    let mut previous = "";
    flags.iter().map(String::as_str).find_map(|flag| {
        let before = std::mem::replace(&mut previous, flag);
        if matches!(before, "-D" | "-U" | "-o" | "-Xlinker") {
            return None;
        }
        let known = BEGINNINGS
            .iter()
            .find(|(beginning, _)| flag.starts_with(beginning));
        if let Some((_, leads)) = known {
            return Some((flag, *leads));
        }
        if let Some(linker) = flag.strip_prefix("-fuse-ld=") {
            return (!LINKERS.contains(&linker)).then_some((flag, Leads::Programs));
        }
        // Handed on to a part of the compiler.
        let handed = ["-Wp,", "-Wa,"]
            .iter()
            .find_map(|part| flag.strip_prefix(part));
        if handed.is_some_and(|words| words.split(',').any(leads))
            || (matches!(before, "-Xpreprocessor" | "-Xassembler" | "-Xclang") && leads(flag))
        {
            return Some((flag, Leads::Headers));
        }
        // From the folder that stands for the root of the system.
        let behind = OPTIONS
            .iter()
            .find_map(|option| flag.strip_prefix(option))
            .or_else(|| OPTIONS.contains(&before).then_some(flag));
        behind
            .is_some_and(|value| value.starts_with('=') || value.starts_with("$SYSROOT"))
            .then_some((flag, Leads::Headers))
    })
}

/// Whether a word that is handed to a part of a compiler leads that to files.
fn leads(word: &str) -> bool {
    [
        "-I",
        "-i",
        "-B",
        "--i",
        "-load",
        "-plugin",
        "-add-plugin",
        "-fmodule",
        "@",
    ]
    .iter()
    .any(|flag| word.starts_with(flag))
}

/// Refuses flags of a compiler, or of its driver that links.
pub(crate) fn refuse(flags: &[String]) -> Result<(), PlanError> {
    of_driver(flags).map_or(Ok(()), |(flag, leads)| Err(refused(flag, leads)))
}

/// Refuses an argument of the linker.
pub(crate) fn refuse_linkers(argument: &str) -> Result<(), PlanError> {
    let bare = argument.strip_prefix('-').unwrap_or(argument);
    let one = |name: &str| argument.starts_with(name) || bare.starts_with(name);
    let known = OF_LINKER.iter().find(|(name, _)| one(name));
    known.map_or(Ok(()), |(_, leads)| Err(refused(argument, *leads)))
}

fn refused(flag: &str, leads: Leads) -> PlanError {
    let why = match leads {
        Leads::Programs => {
            "the programs that are found by it are in no key; set CC to a compiler that is installed with the programs it needs"
        }
        Leads::Installation => {
            "what that installation holds is in no key; set CC to a compiler that is installed with what it needs"
        }
        Leads::Flags => "it names a file of further flags; give the flags themselves",
        Leads::Profiles => "the profiles that are found by it are in no key; leave it out",
        Leads::Headers => {
            "where it leads is not looked at; name folders of headers with -I or -isystem"
        }
        Leads::Written => {
            "what it names would be written inside of an action and be lost; leave it out, or use 'go build'"
        }
        Leads::Processor => {
            "which processor a worker has is in no key; name one (`gcc -march=native -Q --help=target` says what yours is)"
        }
    };
    PlanError::Unsupported {
        what: format!("the C compiler flag {flag}"),
        why: why.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refuses(flags: &[&str], leads: Leads) {
        let words: Vec<String> = flags.iter().map(|&flag| flag.to_owned()).collect();
        assert_eq!(
            of_driver(&words).map(|(_, found)| found),
            Some(leads),
            "{flags:?}"
        );
    }

    #[test]
    fn a_flag_that_leads_to_programs_is_refused() {
        for flags in [
            &["-B/x/b1/"][..],
            &["-B", "/x"],
            &["--prefix=/x"],
            &["-wrapper", "gdb,--args"],
            &["-fplugin=/x/p.so"],
            &["-fpass-plugin=/x/p.so"],
            &["-Xclang", "-load"],
            &["-fuse-ld=/x/ld"],
            &["--ld-path=/x/ld"],
        ] {
            let words: Vec<String> = flags.iter().map(|&flag| flag.to_owned()).collect();
            assert!(of_driver(&words).is_some(), "{flags:?}");
        }
        for argument in ["-plugin", "--plugin=/x.so", "--load-pass-plugin=/x.so"] {
            assert!(refuse_linkers(argument).is_err(), "{argument}");
        }
    }

    #[test]
    fn a_flag_that_leads_to_another_installation_is_refused() {
        for flag in [
            "--gcc-toolchain=/x",
            "--gcc-install-dir=/x",
            "-resource-dir=/x",
            "--cuda-path=/x",
        ] {
            refuses(&[flag], Leads::Installation);
        }
    }

    #[test]
    fn a_flag_that_leads_to_further_flags_is_refused() {
        for flag in [
            "-specs=/x",
            "--specs=nano.specs",
            "--config=/x",
            "--config-user-dir=/x",
        ] {
            refuses(&[flag], Leads::Flags);
        }
        refuses(&["--config", "/x"], Leads::Flags);
    }

    #[test]
    fn a_flag_that_leads_to_profiles_is_refused() {
        for flag in ["-fprofile-use", "-fprofile-use=/x", "-fauto-profile=/x"] {
            refuses(&[flag], Leads::Profiles);
        }
    }

    #[test]
    fn a_flag_that_leads_to_headers_unseen_is_refused() {
        for flag in [
            "-Wp,-I,/x",
            "-Wp,-DA,-I/x",
            "-Wa,-I,/x",
            "--include-directory=/x",
            "-iprefix",
            "-iwithprefixbefore",
            "-I=/x",
            "-isystem=/x",
            "-I$SYSROOT/x",
        ] {
            refuses(&["-c", flag], Leads::Headers);
        }
        refuses(&["-Xpreprocessor", "-I/x"], Leads::Headers);
        refuses(&["-isystem", "=/x"], Leads::Headers);
    }

    #[test]
    fn a_flag_that_names_a_file_to_be_written_is_refused() {
        for flags in [&["-MF", "/x"][..], &["-MF/x"], &["-aux-info", "/x"]] {
            refuses(flags, Leads::Written);
        }
        for argument in ["-Map", "-Map=/x", "--Map=/x", "--dependency-file=/x"] {
            assert!(refuse_linkers(argument).is_err(), "{argument}");
        }
    }

    #[test]
    fn a_flag_that_means_the_processor_at_hand_is_refused() {
        for flag in ["-march=native", "-mcpu=native", "-mtune=native"] {
            refuses(&["-O2", flag], Leads::Processor);
        }
    }

    #[test]
    fn other_flags_are_not() {
        let flags = [
            "-Wp,-D_FORTIFY_SOURCE=2",
            "-Xpreprocessor",
            "-fopenmp",
            "-I/x",
            "-include",
            "a.h",
            "-fuse-ld=gold",
            "-march=x86-64-v3",
            "-D",
            "-Bx",
            "-Xlinker",
            "-Bstatic",
            "-Wa,--noexecstack",
            "-isystem",
        ];
        assert_eq!(of_driver(&flags.map(str::to_owned)), None);
        for argument in ["-Bstatic", "--as-needed", "-z", "now"] {
            assert!(refuse_linkers(argument).is_ok(), "{argument}");
        }
    }
}
