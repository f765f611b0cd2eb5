//! The service as its specification has it, for callers of any kind.

use gofarm_proto::v1::blobs_client::BlobsClient;
use gofarm_proto::{Digest, v1};
use gofarm_rpc::Authorized;
use tonic::Code;

use crate::farm::{Farm, connection, noise};

const MB: usize = 1 << 20;

async fn raw() -> (Farm, BlobsClient<Authorized>) {
    let farm = Farm::start().await;
    let client = connection(farm.address).blobs();
    (farm, client)
}

fn blob(digest: Digest, data: &[u8], zstd: bool) -> v1::Blob {
    v1::Blob {
        digest: Some(digest.into()),
        data: data.to_vec().into(),
        zstd,
    }
}

fn header(digest: Digest, upload: &str, offset: u64) -> v1::WriteRequest {
    v1::WriteRequest {
        header: Some(v1::WriteHeader {
            digest: Some(digest.into()),
            upload: upload.to_owned(),
            offset,
        }),
        ..v1::WriteRequest::default()
    }
}

fn piece(data: &[u8]) -> v1::WriteRequest {
    v1::WriteRequest {
        data: data.to_vec().into(),
        ..v1::WriteRequest::default()
    }
}

async fn write(
    client: &mut BlobsClient<Authorized>,
    messages: Vec<v1::WriteRequest>,
) -> Result<u64, Code> {
    let written = client.write(tokio_stream::iter(messages)).await;
    written
        .map(|answer| answer.into_inner().committed)
        .map_err(|status| status.code())
}

async fn stands(client: &mut BlobsClient<Authorized>, digest: Digest, upload: &str) -> u64 {
    let question = v1::QueryWriteRequest {
        digest: Some(digest.into()),
        upload: upload.to_owned(),
    };
    client
        .query_write(question)
        .await
        .unwrap()
        .into_inner()
        .committed
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_have_a_bound_and_answers_an_order() {
    let (farm, mut client) = raw().await;
    let there = farm.store.put_bytes(b"there".to_vec()).await.unwrap();
    let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
    let ask = |digests: Vec<Digest>| v1::FindMissingRequest {
        digests: digests.into_iter().map(Into::into).collect(),
        verify: false,
    };
    let answer = client.find_missing(ask(vec![b, there, a, b])).await;
    let expected: Vec<v1::Digest> = vec![b.into(), a.into()];
    assert_eq!(answer.unwrap().into_inner().missing, expected);
    let most = client.find_missing(ask(vec![a; 10_000])).await.unwrap();
    assert_eq!(most.into_inner().missing.len(), 1);
    let status = client.find_missing(ask(vec![a; 10_001])).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let malformed = v1::FindMissingRequest {
        digests: vec![v1::Digest::default()],
        verify: false,
    };
    let status = client.find_missing(malformed).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_blob_of_a_batch_is_judged_alone() {
    let (farm, mut client) = raw().await;
    let (good, packed) = (Digest::of(b"good"), Digest::of(&[9; 1000]));
    let (bad, bomb, garbage) = (Digest::of(b"bad"), Digest::of(b"bomb"), Digest::of(b"g"));
    let frame = zstd::bulk::compress(&[9; 1000], 1).unwrap();
    let request = v1::BatchWriteRequest {
        blobs: vec![
            blob(bad, b"dab", false),
            blob(good, b"good", false),
            blob(bomb, &frame, true),
            blob(packed, &frame, true),
            blob(garbage, b"no frame", true),
        ],
    };
    let answer = client.batch_write(request.clone()).await.unwrap();
    let mut refused: Vec<Digest> = answer
        .into_inner()
        .refused
        .iter()
        .map(|refused| refused.digest.as_ref().unwrap().try_into().unwrap())
        .collect();
    let mut expected = vec![bad, bomb, garbage];
    refused.sort();
    expected.sort();
    assert_eq!(refused, expected);
    assert_eq!(farm.store.missing(vec![good, packed]).await.unwrap(), []);
    assert_eq!(
        client
            .batch_write(request)
            .await
            .unwrap()
            .into_inner()
            .refused
            .len(),
        3
    );

    let large = noise(1, 4 * MB + 1);
    let request = v1::BatchWriteRequest {
        blobs: vec![blob(Digest::of(&large), &large, false)],
    };
    let status = client.batch_write(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_leaves_out_what_does_not_fit_or_is_not_there() {
    let (farm, mut client) = raw().await;
    let mut digests = Vec::new();
    for (seed, size) in [(1, 3 * MB), (2, 2 * MB), (3, MB), (4, 0)] {
        digests.push(farm.store.put_bytes(noise(seed, size)).await.unwrap());
    }
    digests.insert(0, Digest::of(b"absent"));
    for zstd in [false, true] {
        let request = v1::BatchReadRequest {
            digests: digests.iter().map(|digest| (*digest).into()).collect(),
            zstd,
        };
        let answer = client.batch_read(request).await.unwrap().into_inner();
        let sizes: Vec<u64> = answer
            .blobs
            .iter()
            .map(|blob| blob.digest.as_ref().unwrap().size)
            .collect();
        // The absent one takes room in the reckoning, so the last megabyte may not fit.
        assert_eq!(sizes, [3 << 20, 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_is_read_from_any_offset() {
    let (farm, mut client) = raw().await;
    let content = noise(1, 2 * MB + 10);
    let digest = farm.store.put_bytes(content.clone()).await.unwrap();
    for offset in [0, 1, MB, 2 * MB + 10] {
        let request = v1::ReadRequest {
            digest: Some(digest.into()),
            offset: offset as u64,
            zstd: false,
        };
        let mut stream = client.read(request).await.unwrap().into_inner();
        let mut read = Vec::new();
        while let Some(piece) = stream.message().await.unwrap() {
            assert!(piece.data.len() <= MB && !piece.data.is_empty());
            read.extend(piece.data);
        }
        assert!(read == content[offset..]);
    }
    for (digest, offset, code) in [
        (digest, digest.size + 1, Code::OutOfRange),
        (Digest::of(b"absent"), 0, Code::NotFound),
    ] {
        let request = v1::ReadRequest {
            digest: Some(digest.into()),
            offset,
            zstd: false,
        };
        let status = client.read(request).await.unwrap_err();
        assert_eq!(status.code(), code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_stands_where_it_says() {
    let (farm, mut client) = raw().await;
    let content = noise(1, 2 * MB);
    let digest = Digest::of(&content);
    assert_eq!(stands(&mut client, digest, "u").await, 0);
    let begun = vec![header(digest, "u", 0), piece(&content[..MB])];
    assert_eq!(write(&mut client, begun.clone()).await, Ok(MB as u64));
    assert_eq!(stands(&mut client, digest, "u").await, MB as u64);
    assert_eq!(stands(&mut client, digest, "other").await, 0);
    // Neither at its beginning nor further on.
    assert_eq!(
        write(&mut client, begun).await,
        Err(Code::FailedPrecondition)
    );
    let beyond = vec![header(digest, "u", MB as u64 + 1)];
    assert_eq!(
        write(&mut client, beyond).await,
        Err(Code::FailedPrecondition)
    );
    let unknown = vec![header(digest, "v", MB as u64)];
    assert_eq!(
        write(&mut client, unknown).await,
        Err(Code::FailedPrecondition)
    );

    let rest = vec![header(digest, "u", MB as u64), piece(&content[MB..])];
    assert_eq!(write(&mut client, rest).await, Ok(digest.size));
    assert!(farm.store.read(digest).await.unwrap() == content);
    assert_eq!(stands(&mut client, digest, "u").await, digest.size);

    let empty = Digest::of(b"");
    assert_eq!(write(&mut client, vec![header(empty, "e", 0)]).await, Ok(0));
    assert_eq!(farm.store.missing(vec![empty]).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_upload_is_refused() {
    let (farm, mut client) = raw().await;
    let digest = Digest::of(b"right");
    let large = Digest::of(&noise(1, 3 * MB));
    for messages in [
        vec![],
        vec![piece(b"right")],
        vec![header(digest, "", 0), piece(b"right")],
        vec![header(digest, "wrong bytes", 0), piece(b"wrong")],
        vec![header(digest, "too many", 0), piece(b"right!")],
        vec![
            header(digest, "two heads", 0),
            header(digest, "two heads", 0),
        ],
        vec![header(large, "long piece", 0), piece(&noise(1, MB + 1))],
        vec![
            header(digest, "no frame", 0),
            v1::WriteRequest {
                zstd: true,
                ..piece(b"right")
            },
        ],
    ] {
        assert_eq!(
            write(&mut client, messages).await,
            Err(Code::InvalidArgument)
        );
    }
    assert_eq!(farm.store.missing(vec![digest]).await.unwrap(), [digest]);
    // A name whose upload turned out wrong can begin again.
    let again = vec![header(digest, "wrong bytes", 0), piece(b"right")];
    assert_eq!(write(&mut client, again).await, Ok(digest.size));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_call_has_the_upload() {
    let (farm, mut client) = raw().await;
    let content = noise(1, 2 * MB);
    let digest = Digest::of(&content);
    // A call whose connection has died, and does not know it.
    let (to, from) = tokio::sync::mpsc::channel(4);
    to.send(header(digest, "u", 0)).await.unwrap();
    to.send(piece(&content[..MB])).await.unwrap();
    let mut other = client.clone();
    let stale = tokio::spawn(async move {
        let from = tokio_stream::wrappers::ReceiverStream::new(from);
        other.write(from).await
    });
    while stands(&mut client, digest, "u").await < MB as u64 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let rest = vec![header(digest, "u", MB as u64), piece(&content[MB..])];
    assert_eq!(write(&mut client, rest).await, Ok(digest.size));
    to.send(piece(&content[MB..])).await.unwrap();
    let status = stale.await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::Aborted);
    assert!(farm.store.read(digest).await.unwrap() == content);
}
