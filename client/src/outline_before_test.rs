//! Outlines as versions had them before the specification did: read as they were meant, and what is written now is read by
//! those versions. The types stand here as they stood in the client and in the planner.

use std::collections::HashMap;

use gofarm_proto::{Message, v1};

use crate::outline::Outline as Now;

#[derive(Clone, PartialEq, prost::Message)]
struct Outline {
    #[prost(message, repeated, tag = "1")]
    nodes: Vec<OutlineNode>,
    #[prost(message, repeated, tag = "2")]
    roots: Vec<Root>,
    #[prost(string, tag = "3")]
    go_version: String,
    #[prost(string, tag = "4")]
    exe_suffix: String,
    #[prost(string, repeated, tag = "5")]
    notes: Vec<String>,
    #[prost(map = "string, string", tag = "6")]
    go_hashes: HashMap<String, String>,
    #[prost(string, repeated, tag = "7")]
    packages: Vec<String>,
    #[prost(string, tag = "8")]
    folder: String,
    #[prost(string, optional, tag = "9")]
    output: Option<String>,
    #[prost(bool, tag = "10")]
    print_commands: bool,
}
#[derive(Clone, PartialEq, prost::Message)]
struct OutlineNode {
    #[prost(string, tag = "1")]
    label: String,
    #[prost(enumeration = "v1::Kind", tag = "2")]
    kind: i32,
    #[prost(string, tag = "3")]
    package: String,
    #[prost(string, tag = "4")]
    import_path: String,
    #[prost(string, tag = "5")]
    folder: String,
    #[prost(bool, tag = "6")]
    host_tools: bool,
    #[prost(message, optional, tag = "7")]
    identity: Option<IdentityTemplate>,
    #[prost(uint32, optional, tag = "8")]
    main: Option<u32>,
    #[prost(string, optional, tag = "9")]
    target: Option<String>,
    #[prost(message, optional, tag = "10")]
    recorded_flags: Option<RecordedFlags>,
    #[prost(bool, tag = "11")]
    c_library: bool,
}
#[derive(Clone, PartialEq, prost::Message)]
struct Root {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    real: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct IdentityTemplate {
    #[prost(message, repeated, tag = "1")]
    parts: Vec<Part>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Part {
    #[prost(oneof = "PartKind", tags = "1, 2, 3, 4, 5")]
    kind: Option<PartKind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum PartKind {
    #[prost(bytes, tag = "1")]
    Literal(Vec<u8>),
    #[prost(string, tag = "2")]
    FileHash(String),
    #[prost(uint32, tag = "3")]
    ContentId(u32),
    #[prost(uint32, tag = "4")]
    BuildId(u32),
    #[prost(uint32, tag = "5")]
    ProfileHash(u32),
}

#[derive(Clone, PartialEq, prost::Message)]
struct RecordedFlags {
    #[prost(string, repeated, tag = "1")]
    planned: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    given: Vec<String>,
}

/// An outline with something in every field.
fn whole() -> Outline {
    let kinds = [
        PartKind::Literal(b"compile\n".to_vec()),
        PartKind::FileHash("/__gofarm__/main/a.go".to_owned()),
        PartKind::ContentId(0),
        PartKind::BuildId(0),
        PartKind::ProfileHash(0),
    ];
    let parts = kinds.map(|kind| Part { kind: Some(kind) });
    Outline {
        nodes: vec![
            OutlineNode {
                label: "compile m/a [m/a.test]".to_owned(),
                kind: v1::Kind::Compile.into(),
                package: "m/a [m/a.test]".to_owned(),
                import_path: "m/a".to_owned(),
                folder: "/home/u/m/a".to_owned(),
                host_tools: true,
                recorded_flags: Some(RecordedFlags {
                    planned: vec!["-l1".to_owned()],
                    given: vec!["-l2".to_owned(), String::new()],
                }),
                ..OutlineNode::default()
            },
            OutlineNode {
                label: "link m/a".to_owned(),
                kind: v1::Kind::Link.into(),
                identity: Some(IdentityTemplate {
                    parts: parts.into(),
                }),
                main: Some(0),
                target: Some("bin/a".to_owned()),
                c_library: true,
                ..OutlineNode::default()
            },
        ],
        roots: vec![Root {
            name: "/__gofarm__/main".to_owned(),
            real: "/home/u/m".to_owned(),
        }],
        go_version: "go1.26.8".to_owned(),
        exe_suffix: ".exe".to_owned(),
        notes: vec!["go: downloading x".to_owned()],
        go_hashes: HashMap::from([("/__gofarm__/main/a.go".to_owned(), "h".to_owned())]),
        packages: vec!["./a".to_owned()],
        folder: "/home/u/m".to_owned(),
        output: Some(String::new()),
        print_commands: true,
    }
}

#[test]
fn outlines_of_before_are_read_and_read_ours() {
    let before = whole();
    let now = Now::read(&before.encode_to_vec(), 2).unwrap();
    assert_eq!(now.format, 0);
    assert_eq!(now.nodes[1].main, Some(0));
    assert_eq!(now.output.as_deref(), Some(""));
    assert!(now.nodes[0].host_tools && now.nodes[1].c_library && now.print_commands);
    // Nothing is lost or moved on the way there and back: all fields are in what is written now.
    let again = Outline::decode(now.encode_to_vec().as_slice()).unwrap();
    assert_eq!(again, before);
}
