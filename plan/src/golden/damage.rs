//! Dry runs that no go printed: recorded ones, damaged.

use super::cases::CASES;
use super::recording::{Recorded, Recording};
use super::replay;

/// What is damaged, by what is wrong then.
type Damage = (&'static str, fn(&mut Recorded));

const DAMAGES: [Damage; 9] = [
    ("a line of another program", |run| {
        replace(&mut run.stderr, "\nmkdir -p ", "\nfrobnicate x\nmkdir -p ");
    }),
    ("a file that is not written to its end", |run| {
        let at = run.stderr.find("/importcfg << 'EOF' # internal\n").unwrap();
        run.stderr.truncate(at + 40);
    }),
    ("a hash input that has no end", |run| {
        let mut lines: Vec<&str> = run.stderr.lines().collect();
        let sum = "HASH[build example.com/assembly/sum]: ";
        lines.retain(|line| !line.starts_with(sum) || line.contains('"'));
        run.stderr = lines.join("\n");
    }),
    ("a hash input that goes on behind its end", |run| {
        run.stderr
            .push_str("HASH[build example.com/assembly/sum]: \"more\\n\"\n");
    }),
    ("an archive that nothing makes", |run| {
        replace(
            &mut run.stderr,
            "packagefile runtime=$WORK/b",
            "packagefile runtime=$WORK/b9",
        );
    }),
    ("a tool that reads another package's folder", |run| {
        replace(&mut run.stderr, "-asmhdr $WORK/b", "-asmhdr $WORK/b9");
    }),
    ("a link of something else", |run| {
        replace(
            &mut run.stderr,
            "-extld=gcc $WORK/b001/_pkg_.a",
            "-extld=gcc $WORK/b001/other.a",
        );
    }),
    ("an action graph without actions", |run| {
        run.graph = Some("[]".to_owned());
    }),
    ("an action graph that is cut off", |run| {
        run.graph.as_mut().unwrap().truncate(1000);
    }),
];

/// What the planner says to each.
pub(super) fn words(recording: &Recording) -> String {
    let case = CASES.iter().find(|case| case.name == "assembly").unwrap();
    let mut words = String::new();
    for (what, damage) in DAMAGES {
        let mut run = recording.of(case.name).clone();
        damage(&mut run);
        let error = replay::plan(case, &run, &recording.answers)
            .map(|_| ())
            .unwrap_err();
        words.push_str(&format!("{what}\n  {:?}: {error}\n", error.class()));
    }
    words
}

fn replace(text: &mut String, from: &str, to: &str) {
    assert!(text.contains(from), "{from}");
    *text = text.replacen(from, to, 1);
}
