//! What every lease queue must get right, as tests that run against any implementation.
//!
//! The names are those of the rules that a lease queue is built by. An implementation provides a [`Subject`] and
//! writes `gofarm_queue::lease_queue_conformance!(ItsSubject);` in a test module. Two rules have no test here:
//! how keys are laid out on the shards of a cluster (10) is for the implementation that has a cluster, and
//! programs that are staged while others fork (16) are the worker's.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "test code, which clippy does not see behind a feature"
)]

mod backup;
mod fencing;
pub mod fixture;
mod leasing;
mod liveness;
mod near;
mod output;
mod owners;
mod placement;
mod shares;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gofarm_proto::Digest;

use super::{LeaseQueue, QueueOptions};

pub use backup::*;
pub use fencing::*;
pub use leasing::*;
pub use liveness::*;
pub use near::*;
pub use output::*;
pub use owners::*;
pub use placement::*;
pub use shares::*;

/// Short, since an implementation with a clock of its own has to sit the times out.
pub const OPTIONS: QueueOptions = QueueOptions {
    lease_ttl: Duration::from_millis(400),
    worker_ttl: Duration::from_millis(1_200),
    placement_grace: Duration::from_millis(600),
    exclusive_patience: Duration::from_millis(200),
    assumed_memory: 256 << 20,
    poll_interval: Duration::from_millis(50),
    owner_ttl: Duration::from_secs(2),
    log_backlog: 64 << 10,
};

/// A queue under test, and its surroundings. Each test starts its own.
#[async_trait]
pub trait Subject: Send + Sync + Sized {
    /// An empty queue with these times, over an empty store.
    async fn start(options: QueueOptions) -> Self;

    /// The queue, as owners and workers see it.
    fn queue(&self) -> Arc<dyn LeaseQueue>;

    /// Lets the queue's clock go on by so much.
    async fn advance(&self, by: Duration);

    /// Makes the queue lose all its data.
    async fn lose_data(&self);

    /// Puts a blob into the store.
    async fn upload(&self, digest: Digest);
}

/// Makes a test of each rule for a [`Subject`].
#[macro_export]
macro_rules! lease_queue_conformance {
    ($subject:ty) => {
        $crate::lease_queue_conformance!($subject:
            rule_01_there_is_no_gap_between_pop_and_lease,
            rule_02_every_effect_is_fenced,
            rule_02_a_lease_ends_at_its_deadline,
            rule_02_an_outcome_is_told_once,
            rule_02_output_is_fenced,
            rule_03_tokens_survive_lost_data,
            rule_04_a_late_result_is_refused_and_the_other_one_counts,
            rule_05_upload_comes_before_complete,
            rule_05_so_does_a_long_log,
            rule_06_deadlines_are_by_one_clock_and_renewed,
            rule_07_reaping_is_bounded,
            rule_07_reaping_tells_when_the_next_lease_runs_out,
            rule_08_a_doorbell_wakes_and_carries_no_task,
            rule_08_an_idle_wait_ends_by_itself,
            rule_09_a_build_survives_lost_data,
            rule_11_outcomes_that_count_are_told_from_those_that_do_not,
            rule_12_nothing_is_missed_between_subscribing_and_reading,
            rule_12_saying_everything_again_changes_nothing,
            rule_12_what_comes_late_does_not_undo_what_was_said_after_it,
            rule_13_owners_share_a_task_and_hear_of_their_own_run,
            rule_13_who_joins_a_task_is_told_before_anything_else,
            rule_13_output_reaches_all_who_want_the_task,
            rule_13_output_that_nobody_reads_is_bounded,
            rule_13_tasks_of_dead_owners_go_away,
            rule_13_a_dead_sharer_changes_nothing_for_the_others,
            rule_13_an_owner_that_comes_back_is_told,
            rule_13_pools_share_no_task,
            rule_14_what_fits_nowhere_fails_with_the_reason,
            rule_14_what_fits_nowhere_does_not_block_what_fits,
            rule_14_a_pool_without_workers_fails_its_tasks,
            rule_14_a_part_of_a_known_pool_that_nobody_serves_fails_sooner,
            rule_14_a_guessed_need_fails_nothing,
            rule_15_cancel_reaches_the_worker,
            rule_15_a_sharer_leaving_changes_nothing_for_the_others,
            rule_15_a_queued_task_is_cancelled_at_once,
            placement_goes_by_priority_and_age,
            placement_stays_within_the_memory_of_a_worker,
            placement_of_an_exclusive_task_is_alone,
            placement_of_an_exclusive_task_is_not_put_off_for_ever,
            placement_keeps_pools_apart,
            placement_looks_at_pools_in_order,
            placement_shares_a_worker_between_pools,
            shares_of_users_are_equal,
            shares_of_a_users_builds_are_parts_of_the_users,
            shares_of_newcomers_begin_when_they_come,
            shares_whose_tasks_fit_nowhere_block_nobody,
            shares_are_of_time_not_of_tasks,
            shares_a_task_of_several_builds_goes_with_the_first,
            near_a_task_is_kept_for_its_worker,
            near_a_task_goes_first_within_its_shares_turn,
            near_a_task_is_anybodys_when_patience_is_over,
            near_a_worker_that_cannot_come_is_not_waited_for,
            near_a_task_whose_time_is_over_is_found_by_who_waits,
            backup_goes_to_another_worker_and_once,
            backup_waits_until_nothing_else_fits,
            backup_is_not_for_who_asks_ahead,
            backup_is_for_what_is_under_lease,
            backup_wakes_who_waits,
            backup_the_first_result_ends_both,
            backup_a_failure_is_a_result,
            backup_that_comes_to_nothing_is_not_told,
            backup_outlives_the_first,
            backup_both_lost_is_told_once,
            backup_leases_are_renewed_apart,
            backup_cancel_reaches_both,
            backup_output_is_not_told,
            backup_counts_for_its_worker,
        );
    };
    ($subject:ty: $($rule:ident,)*) => {
        $(
            #[tokio::test]
            async fn $rule() {
                $crate::conformance::$rule::<$subject>().await;
            }
        )*
    };
}
