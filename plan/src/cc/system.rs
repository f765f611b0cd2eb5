//! What a C compiler finds on every machine of its kind, and no action declares.
//!
//! That is what the identities of the toolchains cover which are in the action's key, and nothing else. Whatever else lies in the
//! system's folders an action sees, too, but its key would not tell: such a file is declared and staged like any other one outside
//! of the module.

use std::path::{Component, Path, PathBuf};

use super::memory::Remembered;
use crate::machine::path;
use crate::roots::Roots;

/// Folders that an action with `host_tools` sees at their own paths, so that no input can be shown there.
const SHOWN: [&str; 10] = [
    "/usr", "/lib", "/lib32", "/lib64", "/libx32", "/bin", "/sbin", "/etc", "/dev", "/proc",
];

/// Whether an action sees what is at this path although it declares nothing there.
pub(crate) fn is_shown(path: &Path) -> bool {
    SHOWN.iter().any(|folder| path.starts_with(folder))
}

/// The folders that the identities of some toolchains cover, by each of their names.
#[derive(Debug, Default)]
pub(crate) struct System {
    /// With all that is below.
    headers: Vec<PathBuf>,
    /// With the files in them.
    libraries: Vec<PathBuf>,
    /// In the order in which headers are looked for, as far as that is known.
    searched: Vec<PathBuf>,
}

impl System {
    /// Adds what one toolchain covers.
    pub fn add(&mut self, toolchain: &Remembered) {
        for listing in &toolchain.listings {
            let folder = path(&listing.path);
            let mut names = vec![folder.to_owned()];
            let led = toolchain.searched.iter().filter(|searched| {
                let to = path(&searched.leads_to);
                to == folder || (listing.deep && to.starts_with(folder))
            });
            // Which folder `..` leads to, no text says.
            let plain = led
                .map(|searched| path(&searched.spelled))
                .filter(|name| !name.components().any(|part| part == Component::ParentDir));
            names.extend(plain.map(|name| name.components().collect::<PathBuf>()));
            match listing.deep {
                true => {
                    self.searched.extend(names.iter().cloned());
                    self.headers.extend(names);
                }
                false => self.libraries.extend(names),
            }
        }
    }

    /// Whether a file is covered.
    pub fn has(&self, file: &Path, roots: &Roots) -> bool {
        let lies_in = |folder: &PathBuf| file.parent() == Some(folder);
        self.has_below(file, roots)
            || (self.libraries.iter().any(lies_in) && is_outside(file, roots))
    }

    /// Whether all that is below a folder is covered.
    pub fn has_below(&self, folder: &Path, roots: &Roots) -> bool {
        let is_above = |above: &PathBuf| folder.starts_with(above);
        self.headers.iter().any(is_above) && is_outside(folder, roots)
    }

    /// Whether the files in a folder are covered.
    pub fn has_in(&self, folder: &Path, roots: &Roots) -> bool {
        self.has_below(folder, roots)
            || (self.libraries.iter().any(|known| known == folder) && is_outside(folder, roots))
    }

    /// The folders in which headers are looked for when no flag says where.
    pub fn searched(&self) -> &[PathBuf] {
        &self.searched
    }
}

fn is_outside(path: &Path, roots: &Roots) -> bool {
    roots.to_virtual(&path.to_string_lossy()).is_none()
}
