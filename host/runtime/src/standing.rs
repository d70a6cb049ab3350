//! How the threads of the runtime stand to those of the server when there are fewer cores than work.
//!
//! The ticker steps ahead: it needs next to no CPU, and everything that keeps guests within their
//! bounds hangs on its ticks. Threads that run long calls or compile step back. Under the usual
//! scheduling that is their niceness; under a real-time policy, where niceness means nothing and equal
//! threads never make room for each other, it is one priority more or less.

use thread_priority::{
    RealtimeThreadSchedulePolicy, ScheduleParams, ThreadPriority, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id, thread_schedule_policy_param,
};

/// A thread's standing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Ahead,
    Behind,
}

impl Standing {
    /// Gives it to the current thread, as far as the process may: who may not runs as the others do.
    pub(crate) fn take(self) {
        let (niceness, step) = match self {
            Self::Ahead => (-10, 1),
            Self::Behind => (10, -1),
        };
        if let Some((policy, ScheduleParams { sched_priority })) = real_time() {
            let priority = ScheduleParams { sched_priority: sched_priority + step };
            let priority = ThreadPriority::from_posix(priority);
            let _ = set_thread_priority_and_policy(thread_native_id(), priority, policy);
        } else {
            let _ = rustix::process::nice(niceness);
        }
    }
}

/// Whether priorities alone say who waits for this thread, or it for whom.
pub(crate) fn is_real_time() -> bool {
    real_time().is_some()
}

/// The policy and the priority of this thread, if that is a real-time one.
fn real_time() -> Option<(ThreadSchedulePolicy, ScheduleParams)> {
    use RealtimeThreadSchedulePolicy::{Fifo, RoundRobin};
    let now = thread_schedule_policy_param(thread_native_id()).ok();
    now.filter(|(policy, _)| matches!(policy, ThreadSchedulePolicy::Realtime(Fifo | RoundRobin)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_steps_back_is_nicer_than_before() {
        let nicer = std::thread::spawn(|| {
            let before = rustix::process::nice(0).unwrap();
            Standing::Behind.take();
            (before, rustix::process::nice(0).unwrap())
        });
        let (before, after) = nicer.join().unwrap();
        // There is no more than 19.
        assert_eq!(after, (before + 10).min(19));
    }
}
