//! The mutation test by hand: many changes, on all processors.

use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use gofarm_bench::process;
use gofarm_freshness::mutation::{Mutator, Verdict};
use gofarm_specimens::{Case, Specimen, specimens};

use crate::options::Mutate;

/// What came of the changes that were tried.
#[derive(Default)]
struct Counts {
    same: u64,
    refused: u64,
    different: u64,
    broken: u64,
    /// Builds behind a change for which the kept plan was good.
    reused: u64,
}

impl Counts {
    fn tried(&self) -> u64 {
        self.same + self.refused + self.different
    }

    /// Counts a change, and says in a word what came of it.
    fn add(&mut self, verdict: &Verdict) -> &'static str {
        self.reused += u64::from(verdict.reused);
        let (count, word) = match (&verdict.refused, verdict.differences.is_empty()) {
            (_, false) => (&mut self.different, "DIFFERENT"),
            (Some(_), true) => (&mut self.refused, "refused  "),
            (None, true) => (&mut self.same, "same     "),
        };
        *count += 1;
        word
    }
}

/// Tries what the command line says; true when nothing differed.
pub(crate) fn mutate(args: &Mutate) -> anyhow::Result<bool> {
    let cache = args.cache()?;
    let mutator = Mutator::new(&args.gofarm()?, &cache)
        .with_context(|| format!("making caches in {}", cache.display()))?;
    let among: Vec<Specimen> = specimens()
        .into_iter()
        .filter(|specimen| args.slow || !specimen.slow)
        .filter(|specimen| specimen.name.contains(&args.only))
        .collect();
    if among.is_empty() {
        bail!("--only {}: no specimen's name has that in it", args.only);
    }
    let next = AtomicU64::new(args.first);
    let end = args.first.saturating_add(args.seeds);
    let counts = Mutex::new(Counts::default());
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..args.jobs {
            scope.spawn(|| {
                while let Some(case) = next_case(&next, end, &among) {
                    let enough =
                        |counts: &Counts| counts.tried() >= args.count || process::is_stopped();
                    if counts.lock().is_ok_and(|counts| enough(&counts)) {
                        break;
                    }
                    let name = case.to_string();
                    let mut since = Instant::now();
                    let ran = mutator.run(case, &mut |verdict| {
                        let took = since.elapsed();
                        since = Instant::now();
                        let Ok(mut counts) = counts.lock() else {
                            return ControlFlow::Break(());
                        };
                        let word = counts.add(verdict);
                        let tried = counts.tried();
                        print!("{}", told(&name, verdict, word, took, (tried, args.count)));
                        match enough(&counts) {
                            true => ControlFlow::Break(()),
                            false => ControlFlow::Continue(()),
                        }
                    });
                    if let (Err(error), Ok(mut counts)) = (ran, counts.lock()) {
                        println!("ERROR     {name}: {error}");
                        counts.broken += 1;
                    }
                }
            });
        }
    });
    let counts = counts.into_inner().unwrap_or_default();
    if process::is_stopped() {
        println!("interrupted");
    }
    let time = begun.elapsed().as_secs_f64();
    println!(
        "{} changes in {time:.0} s, {:.0} a minute: {} same (after {} of all a kept plan was used again), {} refused, \
         {} different; {} seeds could not be tried",
        counts.tried(),
        counts.tried() as f64 / time * 60.0,
        counts.same,
        counts.reused,
        counts.refused,
        counts.different,
        counts.broken
    );
    Ok(counts.different + counts.broken == 0)
}

fn next_case(next: &AtomicU64, end: u64, among: &[Specimen]) -> Option<Case> {
    let seed = next.fetch_add(1, Ordering::Relaxed);
    Case::of(seed, among).filter(|_| seed < end)
}

/// One line for a change, and more when it matters.
fn told(
    name: &str,
    verdict: &Verdict,
    word: &str,
    took: Duration,
    (tried, of): (u64, u64),
) -> String {
    let of = match of {
        u64::MAX => String::new(),
        of => format!("/{of}"),
    };
    let mut text = format!(
        "{tried}{of} {word} {name}: {verdict} [plan kept {}, used again {}; {:.1} s]\n",
        verdict.kept,
        verdict.reused,
        took.as_secs_f32()
    );
    for difference in &verdict.differences {
        text.push_str(&format!("    {difference}\n"));
    }
    if let Some(refusal) = &verdict.refused {
        text.push_str(&format!("    {refusal}\n"));
    }
    text
}
