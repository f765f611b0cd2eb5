//! Looking at everything in a store, on a folder and on S3.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use gofarm_proto::{ActionKey, Digest, v1};
use gofarm_store::{Examined, FarmStore, Fault};

use crate::replica::{noise, result, soon};
use crate::two::Two;

fn key(name: &str) -> ActionKey {
    ActionKey::new(&Digest::of(name.as_bytes()), [])
}

async fn examine(store: &FarmStore, repair: bool) -> Examined {
    soon(store.examine(repair, |_| {})).await.unwrap()
}

async fn faults_of_every_kind(two: Two) {
    let file = |kind: &str, hex: &str| two.root().join(kind).join(&hex[..2]).join(hex);
    let put = async |seed| soon(two.a.put_bytes(noise(seed, 5000))).await.unwrap();
    let record = async |name: &str, blobs: &[Digest]| {
        let outputs: Vec<(&str, Digest)> =
            ["x", "a"].into_iter().zip(blobs.iter().copied()).collect();
        let made = v1::Provenance::default();
        soon(two.a.record_action(key(name), result(&outputs), made))
            .await
            .unwrap();
    };
    let [sound, flipped, removed, source] =
        [put(1).await, put(2).await, put(3).await, put(4).await];
    record("sound", &[sound]).await;
    record("flipped", &[sound, flipped]).await;
    record("removed", &[removed]).await;
    record("torn", &[sound]).await;
    let clean = examine(&two.b, false).await;
    assert_eq!(clean.faults, []);
    assert_eq!((clean.blobs, clean.results), (4, 4));
    assert_eq!((clean.blob_bytes, clean.unreferenced), (20_000, 1));
    assert_eq!(clean.unreferenced_bytes, source.size);

    let blob = file("cas", &flipped.hex());
    let times = fs::metadata(&blob).unwrap();
    let mut bytes = noise(2, 5000);
    bytes[17] ^= 1;
    fs::set_permissions(&blob, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&blob, bytes).unwrap();
    fs::set_permissions(&blob, times.permissions()).unwrap();
    // As the seal has it: no look at sizes and times finds it.
    let when = fs::FileTimes::new().set_modified(times.modified().unwrap());
    fs::File::open(&blob).unwrap().set_times(when).unwrap();
    fs::remove_file(file("cas", &removed.hex())).unwrap();
    let torn = file("actions", &key("torn").hex());
    fs::write(&torn, b"half").unwrap();

    let mut expected = vec![
        Fault::WrongBlob(flipped.hash),
        Fault::WrongResult(key("torn")),
        Fault::MissingBlobs(key("removed"), vec![removed]),
        Fault::MissingBlobs(key("flipped"), vec![flipped]),
    ];
    expected.sort_by_key(|fault| format!("{fault:?}"));
    for repair in [false, false, true] {
        let mut found = examine(&two.b, repair).await.faults;
        found.sort_by_key(|fault| format!("{fault:?}"));
        assert_eq!(found, expected, "repair: {repair}");
    }
    let clean = examine(&two.b, false).await;
    assert_eq!(clean.faults, []);
    assert_eq!((clean.blobs, clean.results), (2, 1));
    let c = two.another();
    assert_eq!(
        soon(c.missing(vec![flipped, sound])).await.unwrap(),
        [flipped]
    );
    assert_eq!(soon(c.action(key("flipped"))).await.unwrap(), None);
    assert!(soon(c.action(key("sound"))).await.unwrap().is_some());
    assert_eq!(
        fs::read_dir(two.root().join("quarantine")).unwrap().count(),
        2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_every_kind_are_found_and_repaired() {
    faults_of_every_kind(Two::on_a_folder()).await;
    faults_of_every_kind(Two::on_s3()).await;
}
