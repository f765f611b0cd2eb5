//! The files `gofarm.toml` of the repository and of the user.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::environment::Environment;
use super::error::UsageError;
use super::nearest::nearest;
use super::server_choice::ServerChoice;

/// The name of both files.
const FILE: &str = "gofarm.toml";
/// What may stand in them.
const KEYS: [&str; 7] = [
    "server",
    "token-file",
    "ca",
    "user",
    "pool",
    "toolexec",
    "compilers",
];
/// Those whose value may be a list.
const LISTS: [&str; 3] = ["server", "toolexec", "compilers"];

/// What a file says.
#[derive(Debug, Default)]
pub(super) struct SettingsFile {
    /// Which farm builds, and as whom.
    pub farm: ServerChoice,
    /// The programs that -toolexec may name: what they do depends on nothing but their own file and what they are given.
    pub wrappers: Vec<PathBuf>,
    /// The scripts, and the programs that start others, that may be C compilers, for which the same is so.
    pub compilers: Vec<PathBuf>,
}

/// What the files say: the repository's first, then the user's.
///
/// # Errors
/// A file that cannot be read or understood.
pub(super) fn said_in(
    cwd: &Path,
    environment: &Environment,
) -> Result<Vec<SettingsFile>, UsageError> {
    let files = [repository_file(cwd), user_file(environment)];
    let said = files
        .into_iter()
        .flatten()
        .filter_map(|file| read(&file).transpose());
    said.collect()
}

/// The repository's file, or where it would be: in the repository's root.
pub(super) fn repositorys(cwd: &Path) -> PathBuf {
    repository_file(cwd).unwrap_or_else(|| repository_root(cwd).join(FILE))
}

/// The nearest file in the working folder or above it, as far as the repository goes: a file above that is not the
/// repository's, and on a shared machine anybody may have put it there. So may a `go.mod` that makes a folder above a part of it:
/// a file counts only if it is the user's own, root's, or of whoever the working folder is.
fn repository_file(cwd: &Path) -> Option<PathBuf> {
    let root = repository_root(cwd);
    let owner = |path: &Path| fs::metadata(path).ok().map(|metadata| metadata.uid());
    let trusted = [
        Some(rustix::process::geteuid().as_raw()),
        Some(0),
        owner(cwd),
    ];
    cwd.ancestors()
        .take_while(|folder| folder.starts_with(root))
        .map(|folder| folder.join(FILE))
        .find(|file| file.exists() && trusted.contains(&owner(file)))
}

fn repository_root(cwd: &Path) -> &Path {
    let is_root = |folder: &&Path| {
        [".git", "go.work", "go.mod"]
            .iter()
            .any(|name| folder.join(name).exists())
    };
    cwd.ancestors().filter(is_root).last().unwrap_or(cwd)
}

fn user_file(environment: &Environment) -> Option<PathBuf> {
    // The XDG specification: a relative path is to be ignored.
    let xdg = environment.get("XDG_CONFIG_HOME").map(PathBuf::from);
    let home = || Some(Path::new(environment.get("HOME")?).join(".config"));
    let folder = xdg.filter(|path| path.is_absolute()).or_else(home)?;
    Some(folder.join("gofarm").join(FILE))
}

/// What a file says; `None` when there is none. Relative paths are relative to the file's folder.
pub(super) fn read(file: &Path) -> Result<Option<SettingsFile>, UsageError> {
    let text = match read_bounded(file) {
        Ok(text) => text,
        // A folder on the way that is a file: nothing can be below it.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(cannot_read(file, &error)),
    };
    understand(&text, file).map(Some)
}

/// The text of a regular file. A pipe would be waited for, and a device may have no end.
fn read_bounded(file: &Path) -> std::io::Result<String> {
    const LONGEST: u64 = 1 << 20;
    let metadata = fs::metadata(file)?;
    let wrong = |why: &str| Err(std::io::Error::new(ErrorKind::InvalidInput, why));
    if !metadata.is_file() {
        return wrong("it is no regular file; remove it, or put a file in its place");
    }
    if metadata.len() > LONGEST {
        return wrong("it is longer than 1 MiB");
    }
    fs::read_to_string(file)
}

/// What the text of a file says.
pub(super) fn understand(text: &str, file: &Path) -> Result<SettingsFile, UsageError> {
    let name = file.display();
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error
            .span()
            .and_then(|span| text.get(..span.start))
            .map_or(1, |before| before.matches('\n').count() + 1);
        let why = error.message().replace('\n', ", ");
        UsageError::new(format!("gofarm: {name}:{line}: {why}"))
    })?;
    let mut said = SettingsFile::default();
    let farm = &mut said.farm;
    for (key, value) in &table {
        if !KEYS.contains(&key.as_str()) {
            let meant = nearest(key, KEYS).map(str::to_owned);
            return Err(
                UsageError::new(format!("gofarm: {name}: unknown key {key:?}")).suggest(meant),
            );
        }
        let is_list = LISTS.contains(&key.as_str());
        let Some(texts) = texts(value, is_list).filter(|texts| !texts.is_empty()) else {
            let list = if is_list { ", or a list of such" } else { "" };
            return Err(UsageError::new(format!(
                "gofarm: {name}: the value of {key:?} must be a text that is not empty{list}"
            )));
        };
        let path = |text: &String| file.parent().map(|folder| folder.join(text));
        let text = texts.join(",");
        match key.as_str() {
            // As the flag has them.
            "server" => farm.server = Some((text, format!("server in {name}"))),
            "token-file" => farm.token_file = path(&text),
            "ca" => farm.ca = path(&text),
            "user" => farm.user = Some(text),
            "pool" => farm.pool = Some(text),
            "compilers" => said.compilers = texts.iter().filter_map(path).collect(),
            _ => said.wrappers = texts.iter().filter_map(path).collect(),
        }
    }
    Ok(said)
}

/// A text, or several where that is allowed. None where not all are texts with something in them.
fn texts(value: &toml::Value, is_list: bool) -> Option<Vec<String>> {
    let text = |value: &toml::Value| {
        let text = value.as_str().filter(|text| !text.is_empty());
        text.map(str::to_owned)
    };
    match value {
        toml::Value::Array(several) if is_list => several.iter().map(text).collect(),
        one => Some(vec![text(one)?]),
    }
}

fn cannot_read(path: &Path, error: &std::io::Error) -> UsageError {
    UsageError::new(format!("gofarm: reading {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_somebody_else_is_not_the_repositorys() {
        let shared = tempfile::tempdir().unwrap();
        let mine = shared.path().join("me/m");
        fs::create_dir_all(&mine).unwrap();
        for folder in [shared.path(), &mine] {
            fs::write(folder.join("go.mod"), "module m\n").unwrap();
        }
        let theirs = shared.path().join(FILE);
        fs::write(&theirs, "server = \"http://127.0.0.1:1\"\n").unwrap();
        assert_eq!(repository_file(&mine), Some(theirs.clone()));
        // Only root gives files away.
        if std::os::unix::fs::chown(&theirs, Some(65_534), None).is_ok() {
            assert_eq!(repository_file(&mine), None);
            assert_eq!(repository_file(shared.path()), None);
        }
    }

    #[test]
    fn what_is_no_regular_file_is_refused_and_never_waited_for() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("go.mod"), "module m\n").unwrap();
        let file = place.path().join(FILE);
        let refused = || {
            assert_eq!(repository_file(place.path()), Some(file.clone()));
            let error = read(&file).unwrap_err().to_string();
            assert!(
                error.contains(FILE) && error.contains("no regular file"),
                "{error}"
            );
        };
        fs::create_dir(&file).unwrap();
        refused();
        fs::remove_dir(&file).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &file).unwrap();
        refused();
        fs::remove_file(&file).unwrap();
        nix::unistd::mkfifo(&file, nix::sys::stat::Mode::S_IRUSR).unwrap();
        refused();
        fs::remove_file(&file).unwrap();
        fs::write(&file, " ".repeat(2 << 20)).unwrap();
        assert!(read(&file).unwrap_err().to_string().contains("longer"));
        // A link to nothing is no file, as one that is not there.
        fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink("nothing", &file).unwrap();
        assert_eq!(repository_file(place.path()), None);
        assert!(read(&file).unwrap().is_none());
    }
}
