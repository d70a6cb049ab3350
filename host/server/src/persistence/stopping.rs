//! The end of a server that keeps data: replicas hear the rest, the data is saved, the log is whole.
//!
//! Writes are stopped meanwhile, because what is written then would be lost. If saving fails, or the
//! end is called off, the server goes on.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use reef_engine::backend::Completion;
use reef_engine::clock::Millis;
use reef_engine::error::Error;
use reef_engine::gates::Pause;
use reef_engine::host::Shutdown;

use super::saver::{SaveMode, Saver, reply_of};
use crate::clock::now_ms;
use crate::mailbox::Message;
use crate::server::Shared;

/// How often replicas are asked how far they have come.
const ROUND: Duration = Duration::from_millis(20);

impl Saver {
    /// Calls a stop off that still waits. Whether there was one.
    pub(crate) fn abort_shutdown(&self) -> bool {
        let is_under_way = self.is_shutting_down.load(Ordering::Acquire);
        self.ends_shutdown.store(is_under_way, Ordering::Release);
        is_under_way
    }
}

impl Shared {
    /// Saves and stops, or goes on if saving fails or somebody calls it off.
    pub(super) fn stop_saved(&self, how: Shutdown, then: Option<Completion>) {
        self.store.pause().begin(Millis::new(u64::MAX >> 1), Pause::Writes, now_ms());
        let waits = if how.now { Ok(()) } else { self.wait_for_replicas() };
        let result = waits.and_then(|()| self.save_last(how));
        self.saver.is_shutting_down.store(false, Ordering::Release);
        let Err(error) = result else { return self.stop() };
        self.store.pause().end_now();
        self.post.broadcast(|| Message::Resume);
        if let Some(then) = then {
            then(reply_of(Err(error)));
        }
    }

    /// Waits until replicas have everything, or for as long as the configuration says.
    fn wait_for_replicas(&self) -> Result<(), Error> {
        let timeout = Duration::from_secs(self.options().replication.shutdown_timeout_s);
        let (started, position) = (Instant::now(), self.replication.stream.end());
        while self.are_replicas_behind(position) && started.elapsed() < timeout {
            if self.saver.ends_shutdown.load(Ordering::Acquire) {
                return Err(Error::ShutdownFailed);
            }
            std::thread::sleep(ROUND);
        }
        Ok(())
    }

    fn save_last(&self, how: Shutdown) -> Result<(), Error> {
        let saves = how.save.unwrap_or(!self.options().persistence.save_points.is_empty());
        // From here on nothing is answered any more.
        self.store.pause().begin(Millis::new(u64::MAX >> 1), Pause::Everything, now_ms());
        let result = if saves { self.save_snapshot(SaveMode::Foreground) } else { Ok(()) };
        match result.and_then(|()| self.store.log().finish()) {
            Err(error) if !how.force => {
                tracing::error!("Error trying to save the DB, can't exit: {error}");
                Err(Error::ShutdownFailed)
            }
            _ => Ok(()),
        }
    }
}
