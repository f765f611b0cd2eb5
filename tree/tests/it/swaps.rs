//! A folder that is a folder when it is looked at and a link when it is used, thousands of times.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::trees::{Lab, SECRET, labs, path};

const ROUNDS: usize = 1000;

/// Ends the exchanging however the work ends.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Does the work again and again while `d`, a folder, and `link`, a link to the host, change places.
fn swapped(work: impl Fn(&Lab) + Sync) {
    for lab in labs() {
        lab.write("d/sub/secret", b"mine");
        lab.write("d/secret", b"mine");
        lab.link(&lab.host(), "link");
        let (folder, link) = (lab.real("d"), lab.real("link"));
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let _ = renameat_with(CWD, &folder, CWD, &link, RenameFlags::EXCHANGE);
                }
            });
            let _stop = Stop(&stop);
            for _ in 0..ROUNDS {
                work(&lab);
            }
        });
        lab.assert_host_untouched();
    }
}

#[test]
fn while_files_are_read() {
    swapped(|lab| {
        for text in ["d/secret", "d/sub/secret"] {
            let opened = lab.tree.entry(path(text)).and_then(|entry| entry.open());
            if let Ok(opened) = opened {
                let text = std::io::read_to_string(opened.file).unwrap();
                assert_ne!(text.as_bytes(), SECRET);
            }
        }
    });
}

#[test]
fn while_files_are_written_and_folders_are_made() {
    swapped(|lab| {
        for text in ["d/secret", "d/new", "d/sub/secret", "d/more/folders/file"] {
            if let Ok(entry) = lab.tree.fresh_entry(path(text), 0o755)
                && let Ok(mut file) = entry.create_fresh(0o644)
            {
                file.write_all(b"mine").unwrap();
            }
        }
    });
}

#[test]
fn while_files_are_moved_out() {
    swapped(|lab| {
        let out = lab.host().with_file_name("out");
        if let Ok(entry) = lab.tree.entry(path("d/sub/secret"))
            && entry.move_to(&out).is_ok()
        {
            assert_eq!(fs::read(&out).unwrap(), b"mine");
            entry.link_from(&out).unwrap();
            fs::remove_file(&out).unwrap();
        }
    });
}

#[test]
fn while_trees_are_removed() {
    swapped(|lab| {
        // Whichever of the two it is, only what is the tree's goes.
        let _ = lab.tree.remove(OsStr::new("d"));
        let _ = lab.tree.retain(&mut |path, _| path == OsStr::new("d"));
        let _ = fs::create_dir(lab.real("d"));
        let _ = std::os::unix::fs::symlink(lab.host(), lab.real("link"));
    });
}
