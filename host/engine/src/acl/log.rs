//! The log of refusals (ACL LOG), and how many there were of each kind.
//!
//! What is refused again within a minute counts up one of the latest entries instead of adding one.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use super::denial::Reason;
use crate::clock::Millis;

/// Within this time the same refusal is one entry.
const MERGED_MS: u64 = 60_000;
/// So many of the latest entries are compared.
const COMPARED: usize = 10;

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// How often.
    pub count: u64,
    /// What was in the way.
    pub reason: Reason,
    /// Whether it was within a transaction.
    pub in_transaction: bool,
    /// The command, key or channel.
    pub object: Vec<u8>,
    /// The user's name.
    pub user: Vec<u8>,
    /// The client, as CLIENT LIST shows it.
    pub client: String,
    /// Its number.
    pub id: u64,
    /// When it happened first.
    pub created_at: Millis,
    /// When it happened last.
    pub updated_at: Millis,
}

/// A refusal, before it has a place in the log.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// What was in the way.
    pub reason: Reason,
    /// Whether it was within a transaction.
    pub in_transaction: bool,
    /// The command, key or channel.
    pub object: Vec<u8>,
    /// The user's name.
    pub user: Vec<u8>,
    /// The client, as CLIENT LIST shows it.
    pub client: String,
}

/// The log, the latest entry first.
#[derive(Clone, Debug, Default)]
pub struct Log {
    entries: VecDeque<Entry>,
    next_id: u64,
    /// By reason.
    counts: [u64; Reason::COUNT],
}

impl Log {
    /// Counts a refusal and puts it into the log, which keeps at most so many entries.
    pub fn note(&mut self, refusal: Refusal, now: Millis, entries_max: usize) {
        if let Some(count) = self.counts.get_mut(refusal.reason as usize) {
            *count += 1;
        }
        let latest = self.entries.iter().take(COMPARED);
        let same = latest.clone().position(|entry| entry.is_same(&refusal, now));
        let entry = match same.and_then(|place| self.entries.remove(place)) {
            Some(entry) => {
                Entry { count: entry.count + 1, client: refusal.client, updated_at: now, ..entry }
            }
            None => self.enter(refusal, now),
        };
        self.entries.push_front(entry);
        self.entries.truncate(entries_max);
    }

    fn enter(&mut self, refusal: Refusal, now: Millis) -> Entry {
        self.next_id += 1;
        Entry {
            count: 1,
            reason: refusal.reason,
            in_transaction: refusal.in_transaction,
            object: refusal.object,
            user: refusal.user,
            client: refusal.client,
            id: self.next_id - 1,
            created_at: now,
            updated_at: now,
        }
    }

    /// The entries, the latest first.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.entries.iter()
    }

    /// How often something was refused for this reason.
    pub fn count(&self, reason: Reason) -> u64 {
        self.counts.get(reason as usize).copied().unwrap_or(0)
    }

    /// Forgets the entries.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// Forgets the counts.
    pub fn reset_counts(&mut self) {
        self.counts = [0; Reason::COUNT];
    }
}

impl Entry {
    fn is_same(&self, refusal: &Refusal, now: Millis) -> bool {
        self.reason == refusal.reason
            && self.in_transaction == refusal.in_transaction
            && now.since(self.updated_at) <= MERGED_MS
            && self.object == refusal.object
            && self.user == refusal.user
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(object: &str) -> Refusal {
        Refusal {
            reason: Reason::Key,
            in_transaction: false,
            object: object.into(),
            user: b"alice".to_vec(),
            client: String::new(),
        }
    }

    fn seen(log: &Log) -> Vec<(&str, u64, u64)> {
        let text =
            |entry: &'_ Entry| -> &'static str { if entry.object == b"a" { "a" } else { "b" } };
        log.entries().map(|entry| (text(entry), entry.count, entry.id)).collect()
    }

    #[test]
    fn the_same_within_a_minute_is_one_entry() {
        let mut log = Log::default();
        let at = |seconds: u64| Millis::new(1_000_000 + seconds * 1000);
        log.note(refusal("a"), at(0), 9);
        log.note(refusal("b"), at(1), 9);
        log.note(refusal("a"), at(60), 9);
        assert_eq!(seen(&log), [("a", 2, 0), ("b", 1, 1)]);
        assert_eq!(log.entries().next().map(|entry| entry.created_at), Some(at(0)));
        log.note(refusal("a"), at(121), 9);
        assert_eq!(seen(&log), [("a", 1, 2), ("a", 2, 0), ("b", 1, 1)]);
        log.note(Refusal { in_transaction: true, ..refusal("a") }, at(121), 2);
        assert_eq!(seen(&log), [("a", 1, 3), ("a", 1, 2)]);
        assert_eq!((log.count(Reason::Key), log.count(Reason::Auth)), (5, 0));
        log.note(refusal("a"), at(121), 0);
        assert_eq!(seen(&log), []);
        log.reset_counts();
        assert_eq!(log.count(Reason::Key), 0);
    }

    #[test]
    fn only_the_latest_entries_are_compared() {
        let mut log = Log::default();
        let now = Millis::new(5);
        log.note(refusal("a"), now, 100);
        for number in 0..COMPARED {
            log.note(refusal(&alloc::format!("b{number}")), now, 100);
        }
        log.note(refusal("a"), now, 100);
        assert_eq!(log.entries().len(), COMPARED + 2);
    }
}
