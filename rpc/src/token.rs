//! The token of a farm: what it may be, and how schedulers, workers and clients alike read it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use tonic::metadata::{Ascii, MetadataValue};

/// No token is longer, with the white space around it, in bytes. It goes into a header of every call.
const LONGEST: usize = 4 << 10;

/// Why there is no token although one is named. Whoever named it has to change something.
#[derive(Debug, thiserror::Error)]
pub enum FarmTokenError {
    /// The file cannot be read.
    // The reason stands within, because some who show this show no causes.
    #[error("the token file {} cannot be read: {reason}; name a readable file", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
    /// What the path names may have no end, or never say anything.
    #[error("the token file {} is {kind}; name a regular file", path.display())]
    NoFile {
        /// The path.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// There is nothing in it that could be a token.
    #[error(
        "{origin} holds no token: one word of visible ASCII characters is needed, such as `openssl rand -hex 32` prints"
    )]
    NoToken {
        /// The file or variable.
        origin: String,
    },
    /// There is too much in it.
    #[error("{origin} holds no token: it has more than {LONGEST} bytes")]
    TooLong {
        /// The file or variable.
        origin: String,
    },
}

/// The token of a farm: one word of visible ASCII characters, of at most 4 KiB, which every call carries.
#[derive(Clone, PartialEq, Eq)]
pub struct FarmToken {
    word: String,
    /// `Bearer`, and the word.
    header: MetadataValue<Ascii>,
}

// The token itself stays out of every log.
impl std::fmt::Debug for FarmToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FarmToken")
    }
}

impl FarmToken {
    /// The token that stands in `origin`, perhaps with white space around it.
    ///
    /// # Errors
    ///
    /// [`FarmTokenError::NoToken`], [`FarmTokenError::TooLong`].
    pub fn new(text: &[u8], origin: &str) -> Result<FarmToken, FarmTokenError> {
        let origin = || origin.to_owned();
        if text.len() > LONGEST {
            return Err(FarmTokenError::TooLong { origin: origin() });
        }
        let no_token = || FarmTokenError::NoToken { origin: origin() };
        let word = str::from_utf8(text).map_err(|_| no_token())?.trim();
        if word.is_empty() || !word.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(no_token());
        }
        let header = format!("Bearer {word}").parse();
        let mut header: MetadataValue<Ascii> = header.map_err(|_| no_token())?;
        header.set_sensitive(true);
        Ok(FarmToken {
            word: word.to_owned(),
            header,
        })
    }

    /// The token of a file. Of anything but a regular file nothing is read: a pipe may stay silent for ever, a device may never
    /// end.
    ///
    /// # Errors
    ///
    /// [`FarmTokenError`].
    pub fn read(path: &Path) -> Result<FarmToken, FarmTokenError> {
        let unreadable = |reason: io::Error| FarmTokenError::Unreadable {
            path: path.to_owned(),
            reason,
        };
        // A pipe without a writer is opened at once, and a terminal does not become this process's own.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = open(path, flags, Mode::empty()).map_err(|reason| unreadable(reason.into()))?;
        // Asked of what was opened: what the path names may be another thing by now.
        let kind = fstat(&file).map_err(|reason| unreadable(reason.into()))?;
        let kind = match FileType::from_raw_mode(kind.st_mode) {
            FileType::RegularFile => None,
            FileType::Directory => Some("a folder"),
            FileType::Fifo => Some("a pipe"),
            FileType::CharacterDevice | FileType::BlockDevice => Some("a device"),
            _ => Some("no file"),
        };
        if let Some(kind) = kind {
            return Err(FarmTokenError::NoFile {
                path: path.to_owned(),
                kind,
            });
        }
        let mut text = Vec::new();
        File::from(file)
            .take(LONGEST as u64 + 1)
            .read_to_end(&mut text)
            .map_err(unreadable)?;
        FarmToken::new(&text, &format!("the token file {}", path.display()))
    }

    /// The token of the file when one is named, else of the variable GOFARM_TOKEN, whose value is given here: as flags go before
    /// variables. A variable that is set to nothing counts as not set.
    ///
    /// # Errors
    ///
    /// [`FarmTokenError`].
    pub fn given(
        file: Option<&Path>,
        variable: Option<&OsStr>,
    ) -> Result<Option<FarmToken>, FarmTokenError> {
        match (file, variable.filter(|value| !value.is_empty())) {
            (Some(path), _) => FarmToken::read(path).map(Some),
            (None, Some(value)) => {
                FarmToken::new(value.as_encoded_bytes(), "GOFARM_TOKEN").map(Some)
            }
            (None, None) => Ok(None),
        }
    }

    /// The word itself.
    pub fn word(&self) -> &str {
        &self.word
    }

    /// What stands in the header `authorization`.
    pub(crate) fn header(&self) -> &MetadataValue<Ascii> {
        &self.header
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rustix::fs::{CWD, mknodat};

    use super::*;

    fn refused(path: &Path) -> String {
        FarmToken::read(path).unwrap_err().to_string()
    }

    #[test]
    fn a_token_is_one_word_of_a_file_or_a_variable() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, " s3cret\n").unwrap();
        let variable = OsStr::new("other");
        let given = |file, variable| {
            let token = FarmToken::given(file, variable).unwrap();
            token.map(|token| token.word().to_owned())
        };
        assert_eq!(
            given(Some(&path), Some(variable)).as_deref(),
            Some("s3cret")
        );
        assert_eq!(given(None, Some(variable)).as_deref(), Some("other"));
        assert_eq!(given(None, Some(OsStr::new(""))), None);
        assert_eq!(given(None, None), None);
        let token = FarmToken::read(&path).unwrap();
        assert_eq!(token.header().to_str().unwrap(), "Bearer s3cret");
        assert!(!format!("{token:?}").contains("s3cret"));
    }

    #[test]
    fn what_is_no_token_is_refused_in_the_same_words_wherever_it_stands() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        for text in [
            &b""[..],
            b" \n",
            b"two words",
            "caf\u{e9}".as_bytes(),
            b"a\xff",
        ] {
            let why = " holds no token: one word of visible ASCII characters is needed, such as `openssl rand -hex 32` prints";
            let variable = FarmToken::new(text, "GOFARM_TOKEN").unwrap_err();
            assert_eq!(variable.to_string(), format!("GOFARM_TOKEN{why}"));
            fs::write(&path, text).unwrap();
            let of_file = format!("the token file {}{why}", path.display());
            assert_eq!(refused(&path), of_file);
        }
    }

    #[test]
    fn a_token_file_that_never_ends_or_never_speaks_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let (pipe, long, socket) = (path("pipe"), path("long"), path("socket"));
        mknodat(CWD, &pipe, FileType::Fifo, Mode::from(0o600), 0).unwrap();
        // A terabyte that takes no room.
        File::create(&long).unwrap().set_len(1 << 40).unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        for (path, why) in [
            (&*pipe, "is a pipe; name a regular file"),
            (Path::new("/dev/zero"), "is a device; name a regular file"),
            (folder.path(), "is a folder; name a regular file"),
            (&long, "holds no token: it has more than 4096 bytes"),
        ] {
            let text = format!("the token file {} {why}", path.display());
            assert_eq!(refused(path), text);
        }
        for path in [&*socket, Path::new("/nowhere/token")] {
            let begins = format!("the token file {} cannot be read: ", path.display());
            let refused = refused(path);
            assert!(refused.starts_with(&begins), "{refused}");
        }
    }
}
