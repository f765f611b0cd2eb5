//! The audit and the mutation test by hand.

mod args;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use args::Args;
use gofarm_freshness::audit;
use gofarm_freshness::mutation::{Mutator, Verdict};
use gofarm_specimens::{Case, Specimen, specimens};

const HELP: &str = "Finds kept plans that are stale.

usage: gofarm-freshness audit [--all] [SPECIMEN]...
       gofarm-freshness mutate [--count N] [--first SEED] [--seed SEED] [--only TEXT]
                               [--slow] [--jobs N] [--gofarm FILE] [--cache DIR]

audit      observes how specimens are planned, and prints every path that was asked for and that no
           fact of the kept plan covers, nor a reason; --all prints the others, too, with the reason
mutate     builds specimens, makes a random change of each, builds again with the kept plan, and
           compares with a fresh go build. --count from --first on, --seed the one of that number.
           --only takes specimens with that text in their names, --slow those that compile much of
           the standard library anew, too; both are part of what a seed means. The gofarm command is
           the one beside this program unless named. The exit code is 1 when anything differed.
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let done = match args.split_first() {
        Some((first, rest)) if first == audit::PLAN_ALONE => {
            return ExitCode::from(audit::plan_alone(rest));
        }
        Some((first, rest)) if first == "audit" => audit(rest),
        Some((first, rest)) if first == "mutate" => {
            Args::parse(rest).and_then(|args| mutate(&args))
        }
        _ => {
            print!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("gofarm-freshness: {error}");
            ExitCode::from(3)
        }
    }
}

/// The table of what no fact covers; with `--all` all paths, and why they need no fact.
fn audit(words: &[String]) -> Result<bool, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
    let gocache = dir.path().join("gocache");
    let all = words.iter().any(|word| word == "--all");
    let names: Vec<&String> = words.iter().filter(|word| *word != "--all").collect();
    let mut found = 0;
    for specimen in specimens() {
        if !names.is_empty() && !names.iter().any(|name| *name == specimen.name) {
            continue;
        }
        let audited = audit::audit(&specimen, dir.path(), &own, &gocache)
            .map_err(|error| format!("{}: {error}", specimen.name))?;
        if all {
            print!("{}", audited.listing());
        }
        if let Some(reason) = &audited.not_kept {
            println!(
                "{:40} not kept: {}",
                specimen.name,
                reason.lines().next().unwrap_or_default()
            );
        }
        for uncovered in &audited.uncovered {
            println!("{uncovered}");
        }
        found += audited.uncovered.len();
    }
    println!("{found} uncovered");
    Ok(found == 0)
}

fn mutate(args: &Args) -> Result<bool, String> {
    let beside = |name: &str| {
        std::env::current_exe()
            .unwrap_or_default()
            .with_file_name(name)
    };
    let gofarm = args.gofarm.clone().unwrap_or_else(|| beside("gofarm"));
    let cache = args
        .cache
        .clone()
        .unwrap_or_else(|| beside("gofarm-freshness-cache"));
    if !gofarm.is_file() {
        return Err(format!(
            "no gofarm command at {}; build it, or name it with --gofarm",
            gofarm.display()
        ));
    }
    let mutator = new_mutator(&gofarm, &cache)?;
    let among: Vec<Specimen> = specimens()
        .into_iter()
        .filter(|specimen| args.slow || !specimen.slow)
        .filter(|specimen| specimen.name.contains(&args.only))
        .collect();
    let next = AtomicU64::new(args.first);
    let end = args.first.saturating_add(args.count);
    let counts = Mutex::new([0; 4]);
    std::thread::scope(|scope| {
        for _ in 0..args.jobs {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = Case::of(seed, &among).filter(|_| seed < end) else {
                        break;
                    };
                    let name = case.to_string();
                    let begun = Instant::now();
                    let verdict = mutator.run(case);
                    let kind = tell(&name, verdict.as_ref().map_err(ToString::to_string), begun);
                    if let Ok(mut counts) = counts.lock() {
                        counts[kind] += 1;
                    }
                }
            });
        }
    });
    let [same, refused, different, broken] = counts.into_inner().unwrap_or_default();
    println!("{same} same, {refused} refused, {different} different, {broken} could not be tried");
    Ok(different + broken == 0)
}

fn new_mutator(gofarm: &Path, cache: &Path) -> Result<Mutator, String> {
    Mutator::new(gofarm, cache).map_err(|error| error.to_string())
}

/// Prints one line for a case, and more when it matters; says which kind of case it was.
fn tell(name: &str, verdict: Result<&Verdict, String>, begun: Instant) -> usize {
    let took = begun.elapsed().as_secs_f32();
    let verdict = match verdict {
        Ok(verdict) => verdict,
        Err(error) => {
            println!("ERROR     {name}: {error}");
            return 3;
        }
    };
    let (word, kind) = match (&verdict.refused, verdict.differences.is_empty()) {
        (Some(_), _) => ("refused  ", 1),
        (None, true) => ("same     ", 0),
        (None, false) => ("DIFFERENT", 2),
    };
    let mut text = format!(
        "{word} {name}: {}{} [plan kept {}, used again {}; {took:.1} s]\n",
        verdict.change,
        verdict.during.map_or(String::new(), |delay| format!(
            ", {} ms into a build",
            delay.as_millis()
        )),
        verdict.kept,
        verdict.reused
    );
    for difference in &verdict.differences {
        text.push_str(&format!("    {difference}\n"));
    }
    if let Some(refusal) = &verdict.refused {
        text.push_str(&format!("    {refusal}\n"));
    }
    print!("{text}");
    kind
}
