//! Calls of an async queue in a world without a runtime.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// The answer of a future that has nothing to wait for, which is so of every call of the in-process queue that is
/// given no time to wait.
///
/// # Panics
///
/// If the future waits all the same: simulated time does not pass inside a call.
pub fn promptly<T>(future: impl Future<Output = T>) -> T {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).as_mut().poll(&mut context) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("a call of the queue waits, which a simulation cannot"),
    }
}
