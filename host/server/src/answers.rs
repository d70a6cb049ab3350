//! Replies go out together, when the connections that were ready have had their moment.
//!
//! Sending a reply wakes whoever waits for it, and a client that is woken for each of many replies
//! sleeps and wakes as often as there are replies, which costs both sides more than the commands
//! themselves. So short replies are kept with their connections and sent one after the other, which
//! changes nothing about their order. Long ones are not copied but sent at once, as are last ones.

use crate::clock::now_ms;
use crate::connection::Sent;
use crate::worker::{Fate, Worker};

/// A reply of this size is sent at once.
const LONG_BYTES: usize = 8 * 1024;
/// So many connections' replies are not kept any longer.
const ANSWERED_MAX: usize = 64;

impl Worker {
    /// Sends a reply, or keeps it: until others go out as well, or until the log is settled.
    pub(crate) fn answer_with(&mut self, place: usize, bytes: &[u8]) -> Sent {
        self.send_or_keep(place, bytes, |worker| &mut worker.answered)
    }

    /// The same for a client that has waited for something.
    pub(crate) fn answer_late(&mut self, place: usize, bytes: &[u8]) -> Sent {
        self.send_or_keep(place, bytes, |worker| &mut worker.answered_late)
    }

    fn send_or_keep(
        &mut self,
        place: usize,
        bytes: &[u8],
        answered: fn(&mut Self) -> &mut Vec<usize>,
    ) -> Sent {
        let log = self.shared.store.log();
        let connection = &mut self.connections[place];
        if connection.held || (log.is_on() && !log.is_settled()) {
            connection.hold(bytes);
            self.touch(place);
            return Sent::Some;
        }
        if bytes.len() >= LONG_BYTES || connection.session.closing || connection.is_copier {
            return connection.send(bytes);
        }
        connection.output.extend_from_slice(bytes);
        if !std::mem::replace(&mut connection.answered, true) {
            answered(self).push(place);
        }
        Sent::Kept
    }

    /// Sends the replies that are kept, if they are many.
    #[inline]
    pub(crate) fn send_many_answers(&mut self) {
        if self.answered.len() + self.answered_late.len() >= ANSWERED_MAX {
            self.send_answers();
        }
    }

    /// Sends the replies that are kept, first those of clients that have waited: for what the others
    /// have just done, mostly, and for longer.
    pub(crate) fn send_answers(&mut self) {
        let mut late = std::mem::take(&mut self.answered_late);
        let mut answered = std::mem::take(&mut self.answered);
        for place in late.drain(..).chain(answered.drain(..)) {
            if self.send_answer(place) == Fate::Closed {
                self.close(place);
            }
        }
        (self.answered_late, self.answered) = (late, answered);
    }

    /// Sends the replies that are kept for a connection, which may have gone.
    pub(crate) fn send_answer(&mut self, place: usize) -> Fate {
        let Some(connection) = self.connections.get_mut(place) else { return Fate::Idle };
        if !std::mem::take(&mut connection.answered) {
            return Fate::Idle;
        }
        let sent = connection.flush();
        self.after_sending(place, sent)
    }

    /// What becomes of a connection after something was sent, or was to be.
    pub(crate) fn after_sending(&mut self, place: usize, sent: Sent) -> Fate {
        let connection = &mut self.connections[place];
        connection.update_memory(&self.shared.store.ledger().client_bytes);
        let is_overfull = connection.unsent() > 0
            && connection.is_overfull(&self.shared.options().output_limits, now_ms());
        if is_overfull {
            tracing::warn!(
                "client {} is closed: its output exceeds the limit",
                connection.session.id
            );
        }
        let is_done = connection.session.closing && connection.output.is_empty();
        if sent == Sent::Broken || is_overfull || is_done { Fate::Closed } else { Fate::Idle }
    }
}
