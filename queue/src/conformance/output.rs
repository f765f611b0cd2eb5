//! Rules 2 and 13: what tasks print, and who hears it.

use std::time::Duration;

use super::fixture::{Fixture, ends, owner, success, task};
use super::{OPTIONS, Subject};
use crate::{LeaseId, News, Owner, Renewal, TaskOutput};
use gofarm_engine::core::RunId;

pub(super) fn printed(lease: LeaseId, offset: u64, data: &[u8]) -> TaskOutput {
    TaskOutput {
        lease,
        offset,
        data: data.into(),
    }
}

/// Offset and text of the output among the news, with the run that it is of.
pub(super) fn output(news: &[News]) -> Vec<(RunId, u64, String)> {
    let output = news.iter().filter_map(|news| match news {
        News::Log {
            run, offset, data, ..
        } => Some((*run, *offset, String::from_utf8_lossy(data).into_owned())),
        _ => None,
    });
    output.collect()
}

/// What a stale holder prints is dropped, and it is told.
pub async fn rule_02_output_is_fenced<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    farm.enqueue([task(1)]).await;
    let stale = farm.lease_one("w1").await.id;
    farm.expire().await;
    let append = async |outputs: &[TaskOutput]| farm.queue.append_log(outputs).await.unwrap();
    assert_eq!(append(&[printed(stale, 0, b"late")]).await, [Renewal::Lost]);
    farm.queue.reap(10).await.unwrap();
    farm.enqueue([task(1)]).await;
    let held = farm.lease_one("w2").await.id;
    let renewals = append(&[printed(stale, 4, b"later"), printed(held, 0, b"good")]).await;
    assert!(matches!(
        renewals[..],
        [
            Renewal::Stolen,
            Renewal::Held {
                cancelled: false,
                ..
            }
        ]
    ));
    assert_eq!(
        output(&farm.news().await),
        [(RunId(1), 0, "good".to_owned())]
    );
}

/// Each by its own run, in order and before the end; who has cancelled hears no more of it.
pub async fn rule_13_output_reaches_all_who_want_the_task<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    let (second, third): (Owner, Owner) = ("scheduler-2".into(), "scheduler-3".into());
    farm.enqueue([task(1)]).await;
    for (owner, run) in [(&second, 77), (&third, 99)] {
        let mut theirs = task(1);
        theirs.run = RunId(run);
        farm.queue.enqueue(owner, vec![theirs]).await.unwrap();
    }
    let cancel = [(task(1).key, RunId(99))];
    farm.queue.cancel(&third, &cancel).await.unwrap();
    let lease = farm.lease_one("w1").await.id;
    for (offset, text) in [(0, "# fmt\n"), (6, "fine\n")] {
        let outputs = [printed(lease, offset, text.as_bytes())];
        farm.queue.append_log(&outputs).await.unwrap();
    }
    farm.queue.complete(&lease, success(None)).await.unwrap();
    for (owner, run) in [(&owner(), 1), (&second, 77)] {
        let news = farm.queue.news(owner, 100, Duration::ZERO).await.unwrap();
        let run = RunId(run);
        let expected = [
            (run, 0, "# fmt\n".to_owned()),
            (run, 6, "fine\n".to_owned()),
        ];
        assert_eq!(output(&news), expected);
        assert!(matches!(news.last(), Some(News::Done { .. })), "{news:?}");
    }
    let news = farm.queue.news(&third, 100, Duration::ZERO).await.unwrap();
    assert_eq!(output(&news), []);
}

/// An owner that does not read keeps so much and no more, hears the end all the same, and hears of output again once it
/// has read.
pub async fn rule_13_output_that_nobody_reads_is_bounded<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    farm.enqueue([task(1), task(2)]).await;
    let leases = farm.lease("w1").await;
    let piece = vec![b'x'; OPTIONS.log_backlog / 4];
    for number in 0..20 {
        let offset = number * piece.len() as u64;
        let outputs = [printed(leases[0].id, offset, &piece)];
        farm.queue.append_log(&outputs).await.unwrap();
    }
    let done = farm.queue.complete(&leases[0].id, success(None)).await;
    done.unwrap();
    let news = farm.news().await;
    assert_eq!(output(&news).len(), 4);
    assert_eq!(ends(news).len(), 1);
    farm.news().await;
    let outputs = [printed(leases[1].id, 0, &piece)];
    farm.queue.append_log(&outputs).await.unwrap();
    assert_eq!(output(&farm.news().await).len(), 1);
}
