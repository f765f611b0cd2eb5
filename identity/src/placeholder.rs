//! The build IDs that gofarm's tools run with instead of real ones.

/// The `-buildid` of every compile: 41 bytes, two parts of 20 joined by `/`, as in `actionID/contentID`.
///
/// The dots keep it apart from every real build ID (whose alphabet is base64url), and nothing in it needs quoting in a Go
/// string, a shell or a response file.
pub const PACKAGE_BUILD_ID: &str = "gofarm.Xq7.package.a/gofarm.Xq7.package.c";

/// The `-buildid` of every link (and, for GOROOT's own commands, the value of `-X=cmd/internal/objabi.buildID`): 83 bytes,
/// four parts of 20 joined by `/`, as in `linkActionID/mainActionID/mainContentID/linkActionID`.
///
/// A program that holds this very text in its own data cannot be stamped right: cmd/go has the same limit with the ID it
/// links with, only that nobody can know that one beforehand.
pub const BINARY_BUILD_ID: &str =
    "gofarm.Zk4.binary..l/gofarm.Zk4.binary..m/gofarm.Zk4.binary..c/gofarm.Zk4.binary..l";

const _: () = assert!(PACKAGE_BUILD_ID.len() == 2 * 20 + 1);
const _: () = assert!(BINARY_BUILD_ID.len() == 4 * 20 + 3);
