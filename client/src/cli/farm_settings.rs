//! Which farm builds, and as whom: flags, variables, `gofarm.toml` of the repository, `gofarm.toml` of the user.

use gofarm_engine::core::{ParseNameError, PoolName, UserName};
use std::path::{Path, PathBuf};

use gofarm_rpc::{FarmToken, FarmTokenError};

use super::environment::Environment;
use super::error::UsageError;
use super::server_choice::ServerChoice;
use super::settings_file::said_in;

/// The value of --server that means: no farm, whatever a file says.
const OFF: &str = "off";

/// A farm, and how to talk to it.
#[derive(Clone, PartialEq, Eq)]
pub struct FarmSettings {
    /// Its URL: `http://HOST:PORT` or `https://HOST:PORT`; those of several replicas are separated by commas.
    pub server: String,
    /// Sent with every call.
    pub token: Option<FarmToken>,
    /// The file that it is from.
    pub token_file: Option<PathBuf>,
    /// A file of certificates, PEM, that the farm's is checked against; the system's when there is none.
    pub ca: Option<PathBuf>,
    /// Whose builds these are.
    pub user: String,
    /// The workers that build. Empty means the farm's default.
    pub pool: String,
}

/// Without the token.
impl std::fmt::Debug for FarmSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FarmSettings")
            .field("server", &self.server)
            .field("ca", &self.ca)
            .field("user", &self.user)
            .field("pool", &self.pool)
            .finish_non_exhaustive()
    }
}

impl ServerChoice {
    /// The farm that is to be used in a folder; `None` when nothing names one.
    ///
    /// # Errors
    /// A file or a value that cannot be understood.
    pub fn settings(
        &self,
        cwd: &Path,
        environment: &Environment,
    ) -> Result<Option<FarmSettings>, UsageError> {
        let is_off = |server: &Option<(String, String)>| {
            server.as_ref().is_some_and(|(server, _)| server == OFF)
        };
        if is_off(&self.server) {
            return Ok(None);
        }
        let mut choice = self.clone();
        // --token-file and GOFARM_TOKEN_FILE come first: the token itself is what is left in an environment by accident.
        let mut token = match (&self.token_file, environment.get("GOFARM_TOKEN")) {
            (None, Some(token)) => FarmToken::given(None, Some(token)).map_err(no_token)?,
            _ => None,
        };
        for said in said_in(cwd, environment)? {
            let said = said.farm;
            choice.server = choice.server.or(said.server);
            choice.token_file = choice.token_file.or(said.token_file);
            choice.ca = choice.ca.or(said.ca);
            choice.user = choice.user.or(said.user);
            choice.pool = choice.pool.or(said.pool);
        }
        if is_off(&choice.server) {
            return Ok(None);
        }
        let Some((server, from)) = choice.server else {
            return Ok(None);
        };
        if !server.split(',').all(is_url) {
            return Err(UsageError::new(format!(
                "gofarm: invalid value {server:?} for {from}: not the URL of a farm (try http://HOST:8980, or off)"
            )));
        }
        if let (None, Some(path)) = (&token, &choice.token_file) {
            token = Some(FarmToken::read(path).map_err(no_token)?);
        }
        let no_name = |error: ParseNameError| UsageError::new(format!("gofarm: {error}"));
        if let Some(user) = &choice.user {
            user.parse::<UserName>().map_err(no_name)?;
        }
        if let Some(pool) = choice.pool.as_ref().filter(|pool| !pool.is_empty()) {
            pool.parse::<PoolName>().map_err(no_name)?;
        }
        let login = || {
            ["USER", "LOGNAME"]
                .iter()
                .filter_map(|name| Some(environment.get(name)?.to_string_lossy().into_owned()))
                // Nobody has chosen these for a farm: what is no name is none.
                .find(|name| name.parse::<UserName>().is_ok())
        };
        Ok(Some(FarmSettings {
            server,
            token,
            token_file: choice.token_file,
            ca: choice.ca,
            user: choice.user.or_else(login).unwrap_or_default(),
            pool: choice.pool.unwrap_or_default(),
        }))
    }
}

fn is_url(address: &str) -> bool {
    ["http://", "https://"].iter().any(|scheme| {
        let rest = address.trim().strip_prefix(scheme);
        rest.is_some_and(|rest| !rest.is_empty())
    })
}

fn no_token(error: FarmTokenError) -> UsageError {
    UsageError::new(format!("gofarm: {error}"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    struct Place(tempfile::TempDir);

    impl Place {
        fn new(files: &[(&str, &str)]) -> Place {
            let folder = tempfile::tempdir().unwrap();
            for (name, text) in files {
                let path = folder.path().join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            Place(folder)
        }

        fn settings(
            &self,
            choice: &ServerChoice,
            cwd: &str,
            variables: &[(&str, &str)],
        ) -> Result<Option<FarmSettings>, String> {
            let home = self.0.path().join("home").display().to_string();
            let environment = variables
                .iter()
                .copied()
                .chain([("HOME", home.as_str())])
                .collect();
            choice
                .settings(&self.0.path().join(cwd), &environment)
                .map_err(|error| {
                    let folder = self.0.path().display().to_string();
                    error.to_string().replace(&folder, "")
                })
        }
    }

    #[test]
    fn flag_environment_repository_user() {
        let place = Place::new(&[
            ("repo/.git/HEAD", ""),
            ("repo/go.mod", ""),
            ("repo/sub/go.mod", ""),
            (
                "repo/gofarm.toml",
                "server = \"http://repo:1\"\npool = \"big\"\nca = \"ca.pem\"\n",
            ),
            (
                "home/.config/gofarm/gofarm.toml",
                "server = \"http://home:1\"\nuser = \"ann\"\ntoken-file = \"token\"\n",
            ),
            ("home/.config/gofarm/token", " secret\n"),
        ]);
        let nothing = ServerChoice::default();
        let read = place.settings(&nothing, "repo/sub", &[]).unwrap().unwrap();
        assert_eq!(
            read,
            FarmSettings {
                server: "http://repo:1".into(),
                token: Some(FarmToken::new(b"secret", "the test").unwrap()),
                token_file: Some(place.0.path().join("home/.config/gofarm/token")),
                ca: Some(place.0.path().join("repo/ca.pem")),
                user: "ann".into(),
                pool: "big".into(),
            }
        );
        assert!(!format!("{read:?}").contains("secret"));
        let flags = ServerChoice {
            server: Some(("https://flag:1".into(), "--server".into())),
            pool: Some("small".into()),
            ..ServerChoice::default()
        };
        let variables = [("GOFARM_TOKEN", "other"), ("USER", "login")];
        let read = place
            .settings(&flags, "repo/sub", &variables)
            .unwrap()
            .unwrap();
        assert_eq!(
            (&*read.server, &*read.pool, &*read.user),
            ("https://flag:1", "small", "ann")
        );
        assert_eq!(read.token.unwrap().word(), "other");
        let off = ServerChoice {
            server: Some(("off".into(), "--server".into())),
            ..ServerChoice::default()
        };
        assert_eq!(place.settings(&off, "repo", &[]), Ok(None));
    }

    #[test]
    fn a_token_file_goes_before_the_token_itself() {
        let place = Place::new(&[("repo/go.mod", ""), ("repo/token", "of-the-file\n")]);
        let file = place.0.path().join("repo/token");
        let choice = ServerChoice {
            server: Some(("http://a:1".into(), "--server".into())),
            token_file: Some(file),
            ..ServerChoice::default()
        };
        let variables = [("GOFARM_TOKEN", "of-the-variable")];
        let read = place.settings(&choice, "repo", &variables).unwrap();
        assert_eq!(read.unwrap().token.unwrap().word(), "of-the-file");
    }

    #[test]
    fn a_farm_has_several_addresses() {
        for text in [
            "server = \"http://a:1,https://b:2\"\n",
            "server = [\"http://a:1\", \"https://b:2\"]\n",
        ] {
            let place = Place::new(&[("repo/gofarm.toml", text), ("repo/go.mod", "")]);
            let read = place.settings(&ServerChoice::default(), "repo", &[]);
            assert_eq!(read.unwrap().unwrap().server, "http://a:1,https://b:2");
        }
    }

    #[test]
    fn without_a_server_the_build_is_embedded() {
        let place = Place::new(&[
            ("home/.config/gofarm/gofarm.toml", "user = \"ann\"\n"),
            ("gofarm.toml", "server = \"http://above:1\"\n"),
            ("repo/go.mod", ""),
        ]);
        let nothing = ServerChoice::default();
        assert_eq!(place.settings(&nothing, "repo", &[]), Ok(None));
    }

    #[test]
    fn what_cannot_be_understood_names_file_and_key() {
        for (text, message) in [
            (
                "sever = \"http://a:1\"\n",
                "gofarm: /repo/gofarm.toml: unknown key \"sever\"\ndid you mean server?",
            ),
            (
                "server = 5\n",
                "gofarm: /repo/gofarm.toml: the value of \"server\" must be a text that is not empty, or a list of such",
            ),
            (
                "server = [\"http://a:1\", \"\"]\n",
                "gofarm: /repo/gofarm.toml: the value of \"server\" must be a text that is not empty, or a list of such",
            ),
            (
                "user = [\"ann\"]\n",
                "gofarm: /repo/gofarm.toml: the value of \"user\" must be a text that is not empty",
            ),
            (
                "server = []\n",
                "gofarm: /repo/gofarm.toml: the value of \"server\" must be a text that is not empty, or a list of such",
            ),
            (
                "toolexec = [\"a\", 1]\n",
                "gofarm: /repo/gofarm.toml: the value of \"toolexec\" must be a text that is not empty, or a list of such",
            ),
            (
                "server = \"http://a:1,b:2\"\n",
                "gofarm: invalid value \"http://a:1,b:2\" for server in /repo/gofarm.toml: not the URL of a farm \
                 (try http://HOST:8980, or off)",
            ),
            (
                "server = \"farm:8980\"\n",
                "gofarm: invalid value \"farm:8980\" for server in /repo/gofarm.toml: not the URL of a farm \
                 (try http://HOST:8980, or off)",
            ),
            (
                "server = \"http://a:1\"\ntoken-file = \"none\"\n",
                "gofarm: the token file /repo/none cannot be read: No such file or directory (os error 2); name a readable file",
            ),
            (
                "server = \"http://a:1\"\ntoken-file = \"gofarm.toml\"\n",
                "gofarm: the token file /repo/gofarm.toml holds no token: one word of visible ASCII characters is needed, \
                 such as `openssl rand -hex 32` prints",
            ),
            (
                "server = \"http://a:1\"\ntoken-file = \"/dev/zero\"\n",
                "gofarm: the token file /dev/zero is a device; name a regular file",
            ),
        ] {
            let place = Place::new(&[("repo/gofarm.toml", text), ("repo/go.mod", "")]);
            let refused = place.settings(&ServerChoice::default(), "repo", &[]);
            assert_eq!(refused.unwrap_err(), message);
        }
        let place = Place::new(&[("repo/gofarm.toml", "pool = \"a\"\nserver = x\n")]);
        let refused = place.settings(&ServerChoice::default(), "repo", &[]);
        let message = refused.unwrap_err();
        assert!(
            message.starts_with("gofarm: /repo/gofarm.toml:2: "),
            "{message}"
        );
    }
}
