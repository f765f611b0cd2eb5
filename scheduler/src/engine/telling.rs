//! Tells the queue what an engine has for it, through outages.

use gofarm_engine::ToQueue;
use gofarm_engine::core::Owner;
use gofarm_queue::LeaseQueue;

use crate::retry::Retry;

/// Tells all of it in the order in which it was said, as many of a kind as follow each other in one call. Whether no try failed.
pub(super) async fn tell_queue(queue: &dyn LeaseQueue, owner: &Owner, said: Vec<ToQueue>) -> bool {
    let mut failures = 0;
    let mut said = said.into_iter().peekable();
    while said.peek().is_some() {
        let mut tasks = Vec::new();
        while let Some(ToQueue::Enqueue(task)) =
            said.next_if(|said| matches!(said, ToQueue::Enqueue(_)))
        {
            tasks.push(*task);
        }
        if !tasks.is_empty() {
            let mut retry = Retry::forever("enqueuing tasks");
            while let Err(error) = queue.enqueue(owner, tasks.clone()).await {
                retry.again(&error).await;
            }
            failures += retry.failures;
        }
        let mut cancels = Vec::new();
        while let Some(ToQueue::Cancel(key, run)) =
            said.next_if(|said| matches!(said, ToQueue::Cancel(..)))
        {
            cancels.push((key, run));
        }
        if !cancels.is_empty() {
            let mut retry = Retry::forever("cancelling tasks");
            while let Err(error) = queue.cancel(owner, &cancels).await {
                retry.again(&error).await;
            }
            failures += retry.failures;
        }
        let mut back_ups = Vec::new();
        while let Some(ToQueue::BackUp(key, run)) =
            said.next_if(|said| matches!(said, ToQueue::BackUp(..)))
        {
            back_ups.push((key, run));
        }
        if !back_ups.is_empty() {
            let mut retry = Retry::forever("having stragglers run a second time");
            while let Err(error) = queue.back_up(owner, &back_ups).await {
                retry.again(&error).await;
            }
            failures += retry.failures;
        }
    }
    failures == 0
}
