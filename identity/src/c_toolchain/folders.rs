//! The folders in which a C compiler and its linker look for headers and libraries by themselves, from what they say of them.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A folder that is searched, and where its name leads. That there is none is a fact, too: what comes to be there is searched
/// from then on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SearchedFolder {
    /// As the compiler names it.
    pub spelled: PathBuf,
    /// Without links and `..`; `None` when there is none.
    pub leads_to: Option<PathBuf>,
}

impl SearchedFolder {
    /// Looks where a name leads.
    pub fn of(spelled: &Path) -> SearchedFolder {
        SearchedFolder {
            spelled: spelled.to_owned(),
            leads_to: spelled.canonicalize().ok(),
        }
    }
}

/// The folders of headers of `cc -E -v`, in their order: those between `search starts here` and `End of search list`, then those
/// that are not there.
pub(super) fn of_headers(text: &str) -> Vec<PathBuf> {
    let listed = text
        .lines()
        .skip_while(|line| !line.contains("search starts here"))
        .take_while(|line| !line.starts_with("End of search list"))
        .filter_map(|line| line.strip_prefix(' '));
    let absent = text.lines().filter_map(|line| {
        let name = line.strip_prefix("ignoring nonexistent directory \"")?;
        name.strip_suffix('"')
    });
    // macOS marks folders of frameworks.
    let bare = |name: &str| name.trim_end_matches(" (framework directory)").to_owned();
    listed
        .chain(absent)
        .map(|name| PathBuf::from(bare(name)))
        .collect()
}

/// A line of `cc -print-search-dirs`, as the folders in it.
pub(super) fn said(text: &str, line: &str) -> Vec<PathBuf> {
    let rest = text
        .lines()
        .find_map(|said| said.strip_prefix(line)?.strip_prefix(": "));
    let folders = rest.map(|rest| rest.strip_prefix('=').unwrap_or(rest));
    folders
        .into_iter()
        .flat_map(|folders| folders.split(':'))
        .filter(|folder| !folder.is_empty())
        .map(PathBuf::from)
        .collect()
}

/// The folders that the linker searches by its own script, from what `ld --verbose` prints: `SEARCH_DIR("=/usr/lib");`.
pub(super) fn of_linker(text: &str) -> Vec<PathBuf> {
    let named = text.split("SEARCH_DIR(\"").skip(1);
    named
        .filter_map(|rest| rest.split('"').next())
        .map(|name| PathBuf::from(name.strip_prefix('=').unwrap_or(name)))
        .collect()
}

/// What `/etc/ld.so.conf` names, in which the linker looks for what shared libraries need (ld/ldelf.c, `ldelf_check_ld_so_conf`):
/// the folders in their order, and the files and folders that say so.
pub(super) fn of_loader(conf: &Path) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let mut folders = Vec::new();
    let mut sources = BTreeSet::new();
    read_loader(conf, &mut folders, &mut sources);
    (folders, sources.into_iter().collect())
}

fn read_loader(conf: &Path, folders: &mut Vec<PathBuf>, sources: &mut BTreeSet<PathBuf>) {
    if !sources.insert(conf.to_owned()) {
        return;
    }
    let text = fs::read(conf).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        let Some(pattern) = line
            .strip_prefix("include")
            .filter(|rest| rest.starts_with(|c: char| c.is_ascii_whitespace()))
        else {
            let words = line.split(|c: char| c.is_ascii_whitespace() || c == ':' || c == ',');
            folders.extend(
                words
                    .filter(|word| word.starts_with('/'))
                    .map(PathBuf::from),
            );
            continue;
        };
        for pattern in pattern.split_ascii_whitespace() {
            let pattern = conf.parent().unwrap_or(Path::new("/")).join(pattern);
            for file in matching(&pattern, sources) {
                read_loader(&file, folders, sources);
            }
        }
    }
}

/// The files that a pattern with one `*` in its last name means; the folder is noted.
fn matching(pattern: &Path, sources: &mut BTreeSet<PathBuf>) -> Vec<PathBuf> {
    let (Some(folder), Some(name)) = (pattern.parent(), pattern.file_name()) else {
        return Vec::new();
    };
    let name = name.as_bytes();
    let Some(star) = name.iter().position(|&b| b == b'*') else {
        return vec![pattern.to_owned()];
    };
    sources.insert(folder.to_owned());
    let (before, after) = (&name[..star], &name[star + 1..]);
    let fits = |name: &OsStr| {
        let rest = name.as_bytes().strip_prefix(before);
        rest.is_some_and(|rest| rest.ends_with(after)) && !name.as_bytes().starts_with(b".")
    };
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| fits(&entry.file_name()))
        .map(|entry| entry.path())
        .collect();
    files.sort();
    files
}

/// Those that are below no other one: a listing of a folder has what is below it.
pub(super) fn outermost(folders: &[PathBuf]) -> Vec<PathBuf> {
    let folders: BTreeSet<&PathBuf> = folders.iter().collect();
    let is_below = |folder: &Path| {
        let mut above = folder.ancestors().skip(1);
        above.any(|above| folders.iter().any(|known| *known == above))
    };
    folders
        .iter()
        .filter(|folder| !is_below(folder))
        .map(|folder| (*folder).clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_folders_are_searched_in_their_order_and_those_that_are_not_there_are_known() {
        let said = "ignoring nonexistent directory \"/usr/gone\"\n\
             #include \"...\" search starts here:\n#include <...> search starts here:\n /usr/include/multi\n /usr/include\n \
             /lib/include\n /Frameworks (framework directory)\nEnd of search list.\n /x\n";
        let at = |names: &[&str]| -> Vec<PathBuf> { names.iter().map(PathBuf::from).collect() };
        let folders = of_headers(said);
        let found = [
            "/usr/include/multi",
            "/usr/include",
            "/lib/include",
            "/Frameworks",
            "/usr/gone",
        ];
        assert_eq!(folders, at(&found));
        assert_eq!(
            outermost(&folders),
            at(&["/Frameworks", "/lib/include", "/usr/gone", "/usr/include"])
        );
    }

    #[test]
    fn the_linkers_folders_are_those_of_its_script_and_of_the_loader() {
        let script = "SEARCH_DIR(\"=/usr/local/lib\"); SEARCH_DIR(\"/lib64\");\nSECTIONS\n";
        assert_eq!(
            of_linker(script),
            [Path::new("/usr/local/lib"), Path::new("/lib64")]
        );
        assert_eq!(
            said("libraries: =/a:/b/../c\n", "libraries"),
            [Path::new("/a"), Path::new("/b/../c")]
        );
        let place = tempfile::tempdir().unwrap();
        let conf = place.path().join("ld.so.conf");
        fs::create_dir(place.path().join("d")).unwrap();
        fs::write(&conf, "include d/*.conf ld.so.conf\n/last:/very last\n").unwrap();
        for (name, text) in [
            ("2.conf", "/two # x\n"),
            ("1.conf", "/one\n"),
            ("3.other", "/three\n"),
        ] {
            fs::write(place.path().join("d").join(name), text).unwrap();
        }
        let (folders, sources) = of_loader(&conf);
        assert_eq!(folders, ["/one", "/two", "/last", "/very"].map(Path::new));
        let names = ["d", "d/1.conf", "d/2.conf", "ld.so.conf"];
        assert_eq!(sources, names.map(|name| place.path().join(name)));
    }
}
