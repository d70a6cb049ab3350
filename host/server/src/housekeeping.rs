//! What a worker does once in a while: closes who is idle or slow, counts rates, keeps tables small.

use std::cmp::Reverse;
use std::sync::atomic::Ordering;

use reef_engine::clock::Millis;

use crate::connection::Connection;
use crate::server::Shared;
use crate::surroundings::next_random;
use crate::worker::Worker;

/// How often idle connections and the clock are looked after.
pub(crate) const HOUSEKEEPING_MS: u64 = 1000;
/// For how long INFO remembers the largest buffers.
const PEAK_PERIOD_S: u64 = 4;

impl Worker {
    /// To be called once a turn; most of it happens once a second.
    pub(crate) fn keep_house(&mut self, now: Millis) {
        self.shared.evict_clients();
        if self.index == 0 && self.shared.rates.lock().is_due(now) {
            let totals = self.shared.totals();
            self.shared.rates.lock().add(now, totals);
        }
        self.shared.store.allow_huge_pages(now);
        if now < self.next_housekeeping {
            return;
        }
        self.next_housekeeping = Millis::new(now.get() + HOUSEKEEPING_MS);
        self.close_overfull(now);
        if self.index == 0 {
            self.shared.drop_unused_indexes(now);
        }
        let seed = next_random(&mut self.random);
        let keys_max = self.shared.store.rules().settings.tracked_keys_max;
        self.shared.post.trim_tracking(keys_max, seed);
        for tenant in self.shared.tenants.all().iter() {
            tenant.post.trim_tracking(keys_max, seed);
        }
        if now.seconds() / PEAK_PERIOD_S != self.peak_period {
            self.peak_period = now.seconds() / PEAK_PERIOD_S;
            self.statistics.input_peak.turn();
            self.statistics.output_peak.turn();
        }
        let timeout_ms = self.shared.options().timeout_s * 1000;
        if timeout_ms == 0 {
            return;
        }
        let is_idle = |connection: &Connection| {
            let active_at = connection.card.active_at.load(Ordering::Relaxed);
            !connection.waiting
                && !connection.session.monitoring
                && !connection.session.subscribed.any()
                && now.get().saturating_sub(active_at) > timeout_ms
        };
        let idle: Vec<usize> =
            self.connections.iter().filter(|(_, c)| is_idle(c)).map(|(place, _)| place).collect();
        idle.into_iter().for_each(|place| self.close(place));
    }

    /// Closes who has left too much untaken for too long, without sending anything meanwhile.
    fn close_overfull(&mut self, now: Millis) {
        let limits = self.shared.options().output_limits;
        let overfull = self.connections.iter_mut();
        let overfull: Vec<usize> = overfull
            .filter_map(|(place, connection)| {
                (connection.unsent() > 0 && connection.is_overfull(&limits, now)).then_some(place)
            })
            .collect();
        overfull.into_iter().for_each(|place| self.close(place));
    }
}

impl Shared {
    /// Closes the largest connections while all of them take more than they may.
    fn evict_clients(&self) {
        let max = self.options().client_bytes_max;
        let used = || self.store.ledger().client_bytes.load(Ordering::Acquire);
        if max == 0 || used() <= max {
            return;
        }
        let mut cards = self.post.clients.all_with_doomed();
        cards.retain(|card| !card.no_evict.load(Ordering::Relaxed));
        cards.sort_by_key(|card| Reverse(card.memory_bytes.load(Ordering::Relaxed)));
        let mut left = used();
        for card in cards {
            if left <= max {
                break;
            }
            left = left.saturating_sub(card.memory_bytes.load(Ordering::Relaxed) as usize);
            // Who was told before counts as gone.
            if self.dismiss(&card) {
                self.evicted_clients.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
