//! Fuzz targets, replayed on their corpora by `cargo test` (see `docs/fuzzing.md`).

use bolero::check;
use gofarm_proto::{Digest, EXEC_ROOT, Message, v1};

use crate::action::Definition;
use crate::sandbox::{Command, Report, Setup, frame, receive};

/// What one end of the launcher's socket may send to the other.
#[test]
fn launcher_frames() {
    check!().for_each(|input: &[u8]| {
        every::<Setup>(input);
        every::<Command>(input);
        every::<Report>(input);
    });
}

/// Every message up to the first that is none; what was read can be sent again.
fn every<M: Message + Default + PartialEq>(mut stream: &[u8]) {
    while let Ok(Some(message)) = receive::<M>(&mut stream) {
        let again: M = receive(&mut frame(&message).as_slice()).unwrap().unwrap();
        assert!(again == message);
    }
}

/// An encoded action: refused, or one whose every path lies below the exec root.
#[test]
fn definition() {
    check!().for_each(|input: &[u8]| {
        let produced = [Digest::of(b"a"), Digest::of(b"b")];
        for count in 0..=produced.len() {
            let resolved = Definition::resolve(&Digest::of(input), input, &produced[..count]);
            let Ok(definition) = resolved else { continue };
            assert_eq!(definition.inputs.len(), definition.action.inputs.len());
            for input in &definition.inputs {
                below(&input.path);
                assert!(definition.input(&input.path).is_some());
            }
            for output in &definition.action.outputs {
                below(&output.path);
            }
            for step in &definition.action.steps {
                match step.step.as_ref().unwrap() {
                    v1::step::Step::Run(run) => below(&run.cwd),
                    v1::step::Step::WriteFile(write) => below(&write.path),
                    v1::step::Step::CopyFile(copy) => {
                        below(&copy.from);
                        below(&copy.to);
                    }
                    v1::step::Step::Pack(pack) => below(&pack.archive),
                    v1::step::Step::ReplaceText(replace) => below(&replace.path),
                    v1::step::Step::GoArchive(archive) => below(&archive.object),
                }
            }
        }
    });
}

fn below(path: &str) {
    let rest = path.strip_prefix(EXEC_ROOT).unwrap();
    assert!(rest.is_empty() || rest.starts_with('/'));
    assert!(!rest.split('/').any(|part| part == ".." || part == "."));
}
