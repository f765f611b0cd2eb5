//! Kinds of actions in words.

use crate::v1::Kind;

impl Kind {
    /// The one word for it, in JSON, metrics and spans.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Unspecified => "unspecified",
            Kind::Compile => "compile",
            Kind::Link => "link",
            Kind::Preprofile => "preprofile",
        }
    }
}
