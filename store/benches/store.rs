//! Hashing, storing, staging and looking up: the store's share of the overhead of an action.
//!
//! `cargo bench -p gofarm-store`

#![expect(
    clippy::unwrap_used,
    reason = "a bench that fails has nothing else to do"
)]
#![allow(missing_docs, reason = "what the macros of criterion make has none")]

use std::fs;
use std::hint::black_box;
use std::time::{Duration, SystemTime};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use gofarm_proto::{ActionKey, Digest, v1};
use gofarm_store::{DiskStore, DiskStoreOptions, FileIndex, FileRecord};
use tempfile::TempDir;

/// The actions of a build of cmd/go, and the files that one large action stages.
const ACTIONS: u32 = 600;

fn store() -> (TempDir, DiskStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = DiskStore::open(folder.path(), DiskStoreOptions::default()).unwrap();
    (folder, store)
}

fn content(n: u32) -> Vec<u8> {
    n.to_le_bytes().repeat(500)
}

fn hashing(c: &mut Criterion) {
    let mut group = c.benchmark_group("hash");
    for (name, size) in [("1 KiB", 1 << 10), ("1 MiB", 1 << 20), ("64 MiB", 64 << 20)] {
        let bytes = vec![0x5a; size];
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(name, |b| b.iter(|| Digest::of(black_box(&bytes))));
    }
    group.finish();
}

fn storing(c: &mut Criterion) {
    let contents: Vec<_> = (0..4000).map(content).collect();
    let mut group = c.benchmark_group("put 4000 blobs of 2 kB");
    group.sample_size(10).warm_up_time(Duration::from_millis(1));
    group.bench_function("new", |b| {
        // All stores stay until the end: ext4 is slow to make files where many were just removed, since it
        // avoids their inodes for a minute, and no user removes a whole cache before each build.
        let all = tempfile::tempdir().unwrap();
        let mut count = 0;
        let empty = || {
            count += 1;
            let folder = all.path().join(count.to_string());
            DiskStore::open(&folder, DiskStoreOptions::default()).unwrap()
        };
        let put = |store: DiskStore| {
            for content in &contents {
                store.put_bytes(content).unwrap();
            }
            store
        };
        b.iter_batched(empty, put, BatchSize::PerIteration);
    });
    let (_folder, filled) = store();
    group.bench_function("known", |b| {
        b.iter(|| {
            for content in &contents {
                filled.put_bytes(content).unwrap();
            }
        });
    });
    group.finish();
}

fn staging(c: &mut Criterion) {
    let (_folder, store) = store();
    let digests: Vec<_> = (0..ACTIONS)
        .map(|n| store.put_bytes(&content(n)).unwrap())
        .collect();
    let root = store.scratch_dir().join("exec");
    let names: Vec<_> = (0..ACTIONS).map(|n| root.join(n.to_string())).collect();
    let empty = || {
        let _ = fs::remove_dir_all(&root);
        fs::create_dir(&root).unwrap();
    };
    c.bench_function("stage 600 links", |b| {
        let stage = |()| {
            for (digest, dest) in digests.iter().zip(&names) {
                store.link(digest, dest).unwrap();
            }
        };
        b.iter_batched(empty, stage, BatchSize::PerIteration);
    });
    c.bench_function("check 600 blobs", |b| {
        b.iter(|| store.missing(black_box(&digests)).unwrap());
    });
}

fn looking_up(c: &mut Criterion) {
    let (_folder, store) = store();
    let keys: Vec<_> = (0..ACTIONS)
        .map(|n| ActionKey(Digest::of(&n.to_le_bytes()).hash))
        .collect();
    for key in &keys {
        let output = |name: &str| v1::OutputFile {
            name: name.to_owned(),
            digest: Some(Digest::of(name.as_bytes()).into()),
            executable: false,
        };
        let result = v1::ActionResult {
            outputs: vec![output("export"), output("object")],
            content_id: "47DEQpj8HBSa-_TImW-5".to_owned(),
            ..v1::ActionResult::default()
        };
        store
            .record_action(key, &result, &v1::Provenance::default())
            .unwrap();
    }
    c.bench_function("look up 600 actions", |b| {
        b.iter(|| {
            for key in &keys {
                assert!(store.action(black_box(key)).unwrap().is_some());
            }
        });
    });
}

fn indexing(c: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source.go");
    fs::write(&source, b"package p\n").unwrap();
    let metadata = fs::metadata(&source).unwrap();
    let file = folder.path().join("file-index");
    let index = FileIndex::load(&file, SystemTime::now()).unwrap();
    let record = FileRecord::of(b"package p\n", [0; 32]);
    let settled = SystemTime::now() + Duration::from_secs(10);
    for n in 0..10_000 {
        let path = format!("/home/somebody/src/example.com/monorepo/internal/package/{n}/file.go");
        assert!(index.insert(path.as_ref(), &metadata, settled, &record));
    }
    index.save().unwrap();
    c.bench_function("load an index of 10000 files", |b| {
        b.iter(|| FileIndex::load(&file, SystemTime::now()).unwrap());
    });
}

criterion_group!(benches, hashing, storing, staging, looking_up, indexing);
criterion_main!(benches);
