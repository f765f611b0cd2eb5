//! The program that `-toolexec` names, and C compilers that are scripts: they must be declared.

use std::path::{Path, PathBuf};

use gofarm_plan::{GoCommand, Wrapper};

use super::environment::Environment;
use super::error::UsageError;
use super::settings_file::{read, repositorys, said_in};

/// Refuses a program that no `gofarm.toml` declares. One that is not there is left to cmd/go, which says so.
///
/// # Errors
/// With the line that is to be added; and a file that cannot be understood.
pub fn require_declared(
    go: &GoCommand,
    toolexec: Option<&str>,
    environment: &Environment,
) -> anyhow::Result<()> {
    let Some(text) = toolexec else { return Ok(()) };
    let Some(wrapper) = Wrapper::named(go, text)? else {
        return Ok(());
    };
    let program = wrapper.program();
    let real = |path: &Path| path.canonicalize().ok();
    let declared: Vec<PathBuf> = said_in(&go.cwd, environment)?
        .into_iter()
        .flat_map(|file| file.wrappers)
        .collect();
    let known = real(program);
    if known.is_some() && declared.iter().any(|path| real(path) == known) {
        return Ok(());
    }
    let file = repositorys(&go.cwd);
    Err(UsageError::new(format!(
        "gofarm: -toolexec={text} is refused, because {program} is not declared: what it does must depend on nothing but its \
         own file and what it is given, or the results of one build would be wrong for another; if that is so, {missing}",
        program = program.display(),
        missing = missing(&file, program)?,
    ))
    .into())
}

/// The programs that may be C compilers although nobody can see what they read.
///
/// # Errors
/// A file that cannot be understood.
pub fn declared_compilers(
    go: &GoCommand,
    environment: &Environment,
) -> Result<Vec<PathBuf>, UsageError> {
    let said = said_in(&go.cwd, environment)?.into_iter();
    Ok(said.flat_map(|file| file.compilers).collect())
}

/// What to add to a file that does not declare this program: the whole key, or one more text of its value, since a key stands
/// once. A program below the file's folder is named by its relative path.
fn missing(file: &Path, program: &Path) -> Result<String, UsageError> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    let path = program.strip_prefix(folder).unwrap_or(program);
    // What escapes a text of JSON escapes one of TOML.
    let text = serde_json::Value::from(path.to_string_lossy());
    let declares = read(file)?.is_some_and(|said| !said.wrappers.is_empty());
    let file = file.display();
    Ok(match declares {
        true => format!("add it to toolexec in {file}, which may be a list:\n\t{text}"),
        false => format!("say it in {file}:\n\ttoolexec = [{text}]"),
    })
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    struct Place(tempfile::TempDir);

    impl Place {
        fn new(toml: Option<&str>) -> Place {
            let folder = tempfile::tempdir().unwrap();
            for name in ["repo/go.mod", "repo/tools/wrap", "repo/tools/other"] {
                let path = folder.path().join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, "").unwrap();
                fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
            }
            if let Some(text) = toml {
                fs::write(folder.path().join("repo/gofarm.toml"), text).unwrap();
            }
            Place(folder)
        }

        fn asks(&self, toolexec: &str) -> Result<(), String> {
            let root = self.0.path().display().to_string();
            let mut go = GoCommand::new(self.0.path().join("repo/tools"));
            go.env = vec![("PATH".into(), format!("{root}/repo/tools").into())];
            let environment = [("HOME", root.as_str())].into_iter().collect();
            let text = toolexec.replace("ROOT", &root);
            require_declared(&go, Some(&text), &environment)
                .map_err(|error| error.to_string().replace(&root, ""))
        }
    }

    #[test]
    fn what_is_declared_may_be_named_in_any_way() {
        for toml in [
            "toolexec = \"tools/wrap\"\n",
            "toolexec = [\"/nowhere\", \"tools/../tools/wrap\"]\n",
        ] {
            let place = Place::new(Some(toml));
            for text in [
                "ROOT/repo/tools/wrap",
                "wrap -x",
                "'ROOT/repo/tools/wrap' a",
            ] {
                assert_eq!(place.asks(text), Ok(()), "{toml} {text}");
            }
            assert!(place.asks("other").is_err());
        }
    }

    #[test]
    fn what_is_not_declared_is_refused_with_the_line_to_add() {
        let missing = |place: &Place| {
            let refused = place.asks("wrap -x").unwrap_err();
            let (said, line) = refused.split_once('\n').unwrap();
            let (said, to_do) = said.rsplit_once("; if that is so, ").unwrap();
            assert!(
                said.starts_with("gofarm: -toolexec=wrap -x is refused, because /repo/tools/wrap is not declared: "),
                "{said}"
            );
            (to_do.to_owned(), line.to_owned())
        };
        let whole = (
            "say it in /repo/gofarm.toml:".to_owned(),
            "\ttoolexec = [\"tools/wrap\"]".to_owned(),
        );
        assert_eq!(missing(&Place::new(None)), whole);
        assert_eq!(missing(&Place::new(Some("pool = \"a\"\n"))), whole);
        // What the user's own file declares is the user's, and not the repository's.
        let place = Place::new(None);
        let own = place.0.path().join(".config/gofarm/gofarm.toml");
        fs::create_dir_all(own.parent().unwrap()).unwrap();
        fs::write(own, "toolexec = \"/home/me/other\"\n").unwrap();
        assert_eq!(missing(&place), whole);
        let place = Place::new(Some("toolexec = [\"tools/other\", \"/x\"]\n"));
        let to_do = "add it to toolexec in /repo/gofarm.toml, which may be a list:";
        let more = (to_do.to_owned(), "\t\"tools/wrap\"".to_owned());
        assert_eq!(missing(&place), more);
    }

    #[test]
    fn what_is_not_there_is_left_to_go_and_a_relative_path_is_refused() {
        let place = Place::new(None);
        assert_eq!(place.asks("nothing"), Ok(()));
        assert_eq!(place.asks("/no/thing"), Ok(()));
        let refused = place.asks("./wrap").unwrap_err();
        assert!(refused.contains("give an absolute one"), "{refused}");
    }
}
