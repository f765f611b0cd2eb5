//! Blobs that are damaged or gone are found, and what made them runs again.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::harness::{
    Finished, Site, blobs, flip, flip_copy, is_what_go_builds, no_findings, set_aside,
};

/// A program that prints a text which stands in no blob of another test.
struct Marked {
    site: Site,
    text: String,
    begun: SystemTime,
}

impl Marked {
    fn built() -> Marked {
        let begun = SystemTime::now() - Duration::from_secs(1);
        let site = Site::new();
        let text = site.path("").display().to_string();
        let site = site.module(&[
            ("main.go", "package main\n\nimport \"example.com/m/a\"\n\nfunc main() { println(\"one\", a.Text()) }\n"),
            ("a/a.go", &format!("package a\n\nconst Mark = {text:?}\n\n//go:noinline\nfunc Text() string {{ return {text:?} }}\n")),
        ]);
        site.submit(&[]);
        let marked = Marked { site, text, begun };
        marked.prints("one");
        marked
    }

    fn prints(&self, word: &str) {
        let program = self.site.src("bin/m");
        let ran: Finished = self.site.command(&program, &[]).run().ok();
        assert_eq!(ran.stderr, format!("{word} {}\n", self.text));
    }

    /// The blobs of this test that hold its text and begin like this.
    fn blobs(&self, magic: &[u8]) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.site.cache().join("cas")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap().flatten() {
                let path = entry.path();
                // Blobs of other tests may go while this looks.
                let Ok(metadata) = fs::metadata(&path) else {
                    continue;
                };
                if metadata.is_dir() {
                    folders.push(path);
                    continue;
                }
                let changed = Duration::new(metadata.ctime() as u64, metadata.ctime_nsec() as u32);
                if SystemTime::UNIX_EPOCH + changed < self.begun {
                    continue;
                }
                let bytes = fs::read(&path).unwrap_or_default();
                if bytes.starts_with(magic)
                    && memchr::memmem::find(&bytes, self.text.as_bytes()).is_some()
                {
                    found.push(path);
                }
            }
        }
        assert!(!found.is_empty());
        found
    }

    /// An edit that needs the object of the other package for a new link.
    fn link_again(&self) {
        self.site.replace("main.go", "\"one\"", "\"two\"");
        self.site.submit(&[]);
        self.prints("two");
    }
}

/// Changes a byte in the middle. Hidden, a file looks as whole as before.
fn damage(path: &Path, hidden: bool) {
    if hidden {
        assert!(flip(path));
        return;
    }
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(path, bytes).unwrap();
}

const OBJECT: &[u8] = b"!<arch>";
const PROGRAM: &[u8] = b"\x7fELF";
const SOURCE: &[u8] = b"package";

#[test]
fn damaged_objects_and_export_data() {
    for hidden in [false, true] {
        let marked = Marked::built();
        let blobs = marked.blobs(OBJECT);
        assert!(blobs.len() >= 2, "what is linked and what is imported");
        for blob in &blobs {
            damage(blob, hidden);
        }
        marked.link_again();
        is_what_go_builds(&marked.site, "bin/m");
        let next = marked.site.submit(&["-a"]);
        assert!(next.actions.executed > 0);
        is_what_go_builds(&marked.site, "bin/m");
    }
}

#[test]
fn a_damaged_source() {
    for hidden in [false, true] {
        let marked = Marked::built();
        for blob in marked.blobs(SOURCE) {
            damage(&blob, hidden);
        }
        marked.site.submit(&["-a", "-o", "again"]);
        is_what_go_builds(&marked.site, "again");
    }
}

/// A compiler that is wrong in one bit may make anything.
#[test]
fn damaged_tools() {
    let site = Site::new().slow_module(1);
    let cache = site.path("own-cache");
    site.copy_cache(&cache);
    let mut tools = 0;
    for blob in blobs(&cache.join("cas")) {
        let bytes = fs::read(&blob).unwrap();
        if bytes.starts_with(PROGRAM) {
            tools += usize::from(flip_copy(&blob));
        }
    }
    assert!(tools >= 2, "the compiler and the linker");
    let folder = format!("--cache-dir={}", cache.display());
    site.submit(&[&folder]);
    is_what_go_builds(&site, "bin/m");
    assert!(set_aside(&cache) >= 2);
    let again = site.submit(&[&folder, "-a", "-o", "again", "."]);
    assert!(again.actions.executed > 0);
    is_what_go_builds(&site, "again");
    no_findings(&cache);
}

#[test]
fn a_deleted_object() {
    let marked = Marked::built();
    for blob in marked.blobs(OBJECT) {
        fs::remove_file(blob).unwrap();
    }
    marked.link_again();
}

#[test]
fn a_deleted_object_and_a_damaged_source() {
    let marked = Marked::built();
    for blob in marked.blobs(OBJECT) {
        fs::remove_file(blob).unwrap();
    }
    for blob in marked.blobs(SOURCE) {
        damage(&blob, false);
    }
    marked.link_again();
}

#[test]
fn a_damaged_or_deleted_program() {
    let marked = Marked::built();
    let right = fs::read(marked.site.src("bin/m")).unwrap();
    for way in ["damaged", "damaged behind its time", "deleted"] {
        for blob in marked.blobs(PROGRAM) {
            match way {
                "deleted" => fs::remove_file(&blob).unwrap(),
                _ => damage(&blob, way != "damaged"),
            }
        }
        fs::remove_file(marked.site.src("bin/m")).unwrap();
        marked.site.gofarm(&["submit"]).run().ok();
        assert!(
            fs::read(marked.site.src("bin/m")).unwrap() == right,
            "{way}"
        );
        let next = marked.site.submit(&[]);
        assert_eq!(next.actions.executed, 0, "{way}: {next:#?}");
    }
}

#[test]
fn a_damaged_result() {
    let site = Site::own_cache().module(&[("p.go", "package p\n\nfunc F() {}\n")]);
    assert_eq!(site.submit(&["."]).actions.executed, 1);
    let mut entries = vec![site.cache().join("actions")];
    while let Some(path) = entries.pop() {
        match path.is_dir() {
            true => entries.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            ),
            false => damage(&path, false),
        }
    }
    assert_eq!(site.submit(&["."]).actions.executed, 1);
    assert_eq!(site.submit(&["."]).actions.executed, 0);
}

#[test]
fn damaged_memory_of_the_client() {
    let site = Site::own_cache().module(&[("p.go", "package p\n\nfunc F() {}\n")]);
    site.submit(&["."]);
    let mut entries = vec![site.cache().join("client")];
    let mut damaged = 0;
    while let Some(path) = entries.pop() {
        match path.is_dir() {
            true => entries.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            ),
            false if fs::metadata(&path).unwrap().len() == 0 => {}
            false => {
                damage(&path, false);
                damaged += 1;
            }
        }
    }
    assert!(damaged > 0);
    assert_eq!(site.submit(&["."]).actions.executed, 0);
}
