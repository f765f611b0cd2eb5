//! Every kind of question, whether it found something or not.

use gofarm_observe::{Kind, Outcome};

use super::place::Place;

const FOUND: Outcome = Outcome::Found;
const ABSENT: Outcome = Outcome::Absent;
const LOOK: Kind = Kind::Look { follow: true };
const LOOK_ITSELF: Kind = Kind::Look { follow: false };

#[test]
fn reading_writing_and_what_is_absent() {
    let place = Place::new(&[("in", "text\n"), ("d/in", "")]);
    let seen = place
        .shell("read line < in; echo $line > out; cd d; read line < ../in; read x < none; echo > ./made; true")
        .ok();
    assert_eq!(seen.asked("in"), [(Kind::Read, FOUND)].into());
    assert_eq!(seen.asked("out"), [(Kind::OpenWrite, FOUND)].into());
    assert_eq!(seen.asked("d/none"), [(Kind::Read, ABSENT)].into());
    assert_eq!(seen.asked("d/made"), [(Kind::OpenWrite, FOUND)].into());
    // What stands behind `..` is not decided in the text.
    assert_eq!(seen.asked("d/../in"), [(Kind::Read, FOUND)].into());
    assert!(seen.asked("d").contains(&(LOOK, FOUND)), "chdir");
    let parent = seen
        .accesses
        .iter()
        .find(|access| access.path.ends_with("d/../in"))
        .unwrap();
    assert_eq!(parent.lexical(), place.path("in"));
}

#[test]
fn looks_links_and_listings() {
    let place = Place::new(&[("d/a", ""), ("d/b", ""), ("e/f", "")]);
    let seen = place
        .shell("ln -s d/a link; test -f link; test -L link; test -e gone; readlink link; ls d >/dev/null; find e >/dev/null; stat -c %F link >/dev/null; true")
        .ok();
    assert!(seen.asked("link").contains(&(Kind::Change, FOUND)));
    assert!(seen.asked("link").contains(&(LOOK, FOUND)));
    assert!(seen.asked("link").contains(&(LOOK_ITSELF, FOUND)));
    assert!(seen.asked("link").contains(&(Kind::ReadLink, FOUND)));
    assert!(seen.asked("gone").contains(&(LOOK, ABSENT)));
    assert!(seen.asked("d").contains(&(Kind::List, FOUND)));
    // Relative to an open folder.
    assert!(seen.asked("e").contains(&(Kind::List, FOUND)));
    assert!(!seen.asked("d").contains(&(Kind::Change, FOUND)));
}

#[test]
fn making_renaming_and_removing() {
    let place = Place::new(&[("a", ""), ("old", "")]);
    let seen = place
        .shell("mkdir new; mv a new/a; rm old; chmod 600 new/a; ln new/a hard; rmdir gone 2>/dev/null; touch -d @1 hard; true")
        .ok();
    for changed in ["new", "a", "new/a", "old", "hard"] {
        assert!(
            seen.asked(changed).contains(&(Kind::Change, FOUND)),
            "{changed}: {:?}",
            seen.asked(changed)
        );
    }
    assert!(seen.asked("gone").contains(&(Kind::Change, ABSENT)));
}

#[test]
fn a_folder_that_is_not_searched_is_another_error() {
    let place = Place::new(&[("file", ""), ("loop", "")]);
    std::fs::remove_file(place.path("loop")).unwrap();
    let seen = place
        .shell("ln -s loop loop; read x < loop; read x < file/below; true")
        .ok();
    assert_eq!(seen.asked("file/below"), [(Kind::Read, ABSENT)].into());
    assert!(
        seen.asked("loop")
            .contains(&(Kind::Read, Outcome::Failed(nix::errno::Errno::ELOOP as i32)))
    );
}

#[test]
fn names_of_any_bytes() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let place = Place::new(&[]);
    let name = OsStr::from_bytes(b"b\xffse \xc3\xa4");
    std::fs::write(place.path("").join(name), "").unwrap();
    let seen = place.shell("cat b*").ok();
    assert!(
        seen.accesses
            .iter()
            .any(|access| access.path == place.path("").join(name) && access.kind == Kind::Read)
    );
}

#[test]
fn a_path_across_a_page() {
    let place = Place::new(&[]);
    // 200 folders of 19 letters: longer than any first piece that is read of it.
    let long = "0123456789012345678/".repeat(190);
    let seen = place.shell(&format!("for i in 1 2 3; do test -e {long}$i; done; true"));
    for i in 1..=3 {
        assert_eq!(seen.asked(&format!("{long}{i}")), [(LOOK, ABSENT)].into());
    }
}
