//! The virtual roots: where the files of this machine stand inside an action.

use std::path::{Path, PathBuf};

use gofarm_proto::{EXEC_ROOT, WORK_DIR};

use crate::lookups::Lookups;

/// Pairs of a folder of this machine and the virtual folder that stands for it.
///
/// Invariant: longest real folder first, so that a root inside another one wins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roots {
    entries: Vec<(String, String)>,
}

impl Roots {
    /// The roots of a build: GOROOT, the module cache, and the main module's or workspace's folder.
    pub fn new(goroot: &str, modcache: &str, main: Option<&str>) -> Roots {
        let mut roots = Roots::default();
        roots.add(goroot, "goroot");
        roots.add(modcache, "mod");
        if let Some(main) = main
            && roots.to_virtual(main).is_none()
        {
            roots.add(main, "main");
        }
        roots
    }

    pub(crate) fn from_entries(entries: Vec<(String, String)>) -> Roots {
        Roots { entries }
    }

    pub(crate) fn entries(&self) -> &[(String, String)] {
        &self.entries
    }

    /// Adds a root. `name` is relative to the exec root.
    pub(crate) fn add(&mut self, real: &str, name: &str) {
        let real = real.trim_end_matches('/');
        if real.is_empty() {
            return;
        }
        self.entries
            .push((real.to_owned(), format!("{EXEC_ROOT}/{name}")));
        self.entries
            .sort_by(|a, b| b.0.len().cmp(&a.0.len()).then(a.cmp(b)));
    }

    /// Makes sure that this folder is below a root: the nearest folder above it with a go.mod becomes one,
    /// or the folder itself. Roots added so are numbered in the order in which they are asked for, which is
    /// the order of the dry run and so the same on every machine.
    pub(crate) fn cover(&mut self, lookups: &Lookups, folder: &Path) {
        let text = folder.to_string_lossy();
        if self.to_virtual(&text).is_some() {
            return;
        }
        let module = folder
            .ancestors()
            .find(|folder| lookups.is_file(&folder.join("go.mod")) && *folder != Path::new("/"));
        self.add_further(module.unwrap_or(folder));
    }

    /// Adds a root that has no name but its number.
    pub(crate) fn add_further(&mut self, root: &Path) {
        let number = self
            .entries
            .iter()
            .filter(|(_, name)| name.starts_with(&format!("{EXEC_ROOT}/ext/")))
            .count();
        self.add(&root.to_string_lossy(), &format!("ext/{number}"));
    }

    /// The virtual path of a path of this machine; `None` outside all roots.
    pub fn to_virtual(&self, real: &str) -> Option<String> {
        self.entries.iter().find_map(|(root, name)| {
            let rest = real.strip_prefix(root.as_str())?;
            (rest.is_empty() || rest.starts_with('/')).then(|| format!("{name}{rest}"))
        })
    }

    /// The path on this machine of a virtual path; `None` for scratch and produced inputs.
    pub fn to_real(&self, path: &str) -> Option<PathBuf> {
        let (rest, root) = self
            .entries
            .iter()
            .filter_map(|(root, name)| Some((path.strip_prefix(name.as_str())?, root)))
            .filter(|(rest, _)| rest.is_empty() || rest.starts_with('/'))
            .min_by_key(|(rest, _)| rest.len())?;
        Some(PathBuf::from(format!("{root}{rest}")))
    }

    /// Every root: the virtual folder and the real one. One inside another comes first.
    pub fn named(&self) -> Vec<(&str, &str)> {
        let entries = self.entries.iter();
        let mut named: Vec<(&str, &str)> = entries
            .map(|(real, name)| (name.as_str(), real.as_str()))
            .collect();
        named.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then(a.cmp(b)));
        named
    }

    /// Replaces every path of this machine inside an argument by its virtual path.
    ///
    /// A path begins where the argument begins, after a separator, or after an option such as -I or -isystem.
    pub(crate) fn map_text(&self, text: &str) -> String {
        self.replace(text, |(real, name)| (real.as_str(), name.as_str()))
    }

    /// Replaces virtual paths in a tool's output by the paths of this machine.
    pub fn unmap_text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, real) in self.named() {
            if text.contains(name) {
                text = text.replace(name, real);
            }
        }
        text
    }

    fn replace<'a>(
        &'a self,
        text: &str,
        pair: impl Fn(&'a (String, String)) -> (&'a str, &'a str),
    ) -> String {
        const SEPARATORS: &str = "=;:,\"' \t\n@|";
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        let mut at_start = true;
        // -I/a, -isystem/a: where the path begins.
        let option = text
            .strip_prefix('-')
            .and_then(|rest| rest.find('/'))
            .map(|at| at + 1)
            .filter(|at| text[1..*at].bytes().all(|b| b.is_ascii_alphabetic()));
        while let Some(c) = rest.chars().next() {
            if c == '/' && (at_start || option == Some(text.len() - rest.len())) {
                let hit = self.entries.iter().map(&pair).find(|(from, _)| {
                    rest.strip_prefix(from).is_some_and(|after| {
                        after.is_empty()
                            || after.starts_with('/')
                            || after.starts_with(|c| SEPARATORS.contains(c))
                    })
                });
                if let Some((from, to)) = hit {
                    out.push_str(to);
                    rest = &rest[from.len()..];
                    at_start = false;
                    continue;
                }
            }
            out.push(c);
            at_start = SEPARATORS.contains(c) || (at_start && c == '>');
            if c == '>' {
                at_start = true;
            }
            rest = &rest[c.len_utf8()..];
        }
        out
    }
}

/// Replaces cmd/go's `$WORK/bNNN` by the action's scratch folder.
///
/// `Err` names another object folder that the text mentions: only configuration files may do that.
pub(crate) fn map_objdir(text: &str, objdir: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("$WORK/b") {
        out.push_str(&rest[..at]);
        let digits = rest[at + 7..]
            .bytes()
            .take_while(u8::is_ascii_digit)
            .count();
        let found = &rest[at..at + 7 + digits];
        if found != objdir {
            return Err(found.to_owned());
        }
        out.push_str(WORK_DIR);
        rest = &rest[at + 7 + digits..];
    }
    out.push_str(rest);
    if out.contains("$WORK") {
        return Err("$WORK".to_owned());
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roots() -> Roots {
        Roots::new("/usr/local/go", "/home/u/go/pkg/mod", Some("/w"))
    }

    #[test]
    fn arguments_of_every_form_are_mapped() {
        for (real, mapped) in [
            ("/w/a.go", "/__gofarm__/main/a.go"),
            ("-I/w/inc", "-I/__gofarm__/main/inc"),
            ("-isystem/w/inc", "-isystem/__gofarm__/main/inc"),
            (
                "/w/c=>x/c;$WORK/b001=>",
                "/__gofarm__/main/c=>x/c;$WORK/b001=>",
            ),
            (
                "-ffile-prefix-map=/w=/_/m",
                "-ffile-prefix-map=/__gofarm__/main=/_/m",
            ),
            ("/usr/local/go/src", "/__gofarm__/goroot/src"),
            ("/w", "/__gofarm__/main"),
        ] {
            assert_eq!(roots().map_text(real), mapped);
        }
    }

    #[test]
    fn a_root_in_the_middle_of_another_path_is_left_alone() {
        for text in [
            "/home/w/a.go",
            "/w2/a.go",
            "-I/home/w",
            "example.com/w/x",
            "/usr/include/w",
        ] {
            assert_eq!(roots().map_text(text), text);
        }
    }

    #[test]
    fn a_root_inside_a_root_wins() {
        let roots = Roots::new("/w/sdk/go", "/w/mod", Some("/w"));
        assert_eq!(
            roots.to_virtual("/w/sdk/go/src").unwrap(),
            "/__gofarm__/goroot/src"
        );
        assert_eq!(roots.to_virtual("/w/cmd").unwrap(), "/__gofarm__/main/cmd");
    }

    #[test]
    fn the_standard_library_is_not_a_second_root() {
        let roots = Roots::new("/usr/local/go", "/m", Some("/usr/local/go/src"));
        assert_eq!(
            roots.to_virtual("/usr/local/go/src/fmt").unwrap(),
            "/__gofarm__/goroot/src/fmt"
        );
    }

    #[test]
    fn real_and_virtual_paths_are_inverse() {
        let real = "/home/u/go/pkg/mod/x@v1/a.go";
        let path = roots().to_virtual(real).unwrap();
        assert_eq!(roots().to_real(&path).unwrap(), Path::new(real));
        assert_eq!(roots().to_real("/__gofarm__/w/x"), None);
    }

    #[test]
    fn only_the_own_object_folder_is_scratch() {
        assert_eq!(
            map_objdir("$WORK/b01/x:$WORK/b01", "$WORK/b01").unwrap(),
            "/__gofarm__/w/x:/__gofarm__/w"
        );
        assert_eq!(
            map_objdir("$WORK/b012/x", "$WORK/b01").unwrap_err(),
            "$WORK/b012"
        );
    }
}
