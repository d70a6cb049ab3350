//! MONITOR: every command that runs, shown to whoever asked for it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use reef_engine::command::Flags;
use reef_engine::monitor::monitor_line;
use reef_resp::Argv;

use crate::clients::Card;
use crate::clock::{now_ms, now_us};
use crate::connection::Sent;
use crate::mailbox::Message;
use crate::server::Shared;
use crate::tenants::Tenant;
use crate::worker::Worker;

impl Worker {
    /// Sends a line to the worker's clients in MONITOR that belong to `tenant`; who does not take it is
    /// closed.
    pub(crate) fn feed_own(&mut self, line: &[u8], tenant: Option<&Arc<Tenant>>) {
        let mut broken = Vec::new();
        let (limits, now) = (self.shared.options().output_limits, now_ms());
        for (place, connection) in &mut self.connections {
            if connection.session.monitoring
                && connection.card.is_beside(tenant)
                && (connection.send(line) == Sent::Broken || connection.is_overfull(&limits, now))
            {
                broken.push(place);
            }
        }
        broken.into_iter().for_each(|place| self.close(place));
    }
}

impl Shared {
    /// Shows a command that ran to all clients in MONITOR.
    #[inline]
    pub(crate) fn feed_monitors(&self, database: u32, card: &Card, argv: Argv<'_>) {
        if self.monitors.load(Ordering::Relaxed) > 0 {
            self.feed(database, card, argv);
        }
    }

    fn feed(&self, database: u32, card: &Card, argv: Argv<'_>) {
        let registry = card.store(self).registry();
        let Ok(Some(command)) = registry.resolve(argv) else { return };
        let hidden = [Flags::SKIP_MONITOR, Flags::ADMIN];
        if hidden.iter().any(|flag| command.flags.has(*flag)) {
            return;
        }
        let address = crate::surroundings::address(card.peer, self);
        let line = monitor_line(now_us(), database, &address, argv);
        let line: Arc<[u8]> = Arc::from(format!("+{line}\r\n").into_bytes());
        let tenant = card.tenant();
        self.post.broadcast(|| Message::Feed { line: line.clone(), tenant: tenant.cloned() });
    }

    /// Counts a client in or out.
    pub(crate) fn count_monitor(&self, monitoring: bool) {
        if monitoring {
            self.monitors.fetch_add(1, Ordering::AcqRel);
        } else {
            self.monitors.fetch_sub(1, Ordering::AcqRel);
        }
    }
}
