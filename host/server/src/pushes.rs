//! What a worker's clients are sent without having asked: appended to their output as it comes, sent
//! once a turn, however much it is. Who does not take it is closed, and holds nobody up.

use std::sync::atomic::Ordering;

use reef_engine::push::Push;

use crate::clock::now_ms;
use crate::connection::Sent;
use crate::mailbox::Message;
use crate::worker::Worker;

/// Messages for one client are handed to its socket when there are this many bytes, even within a
/// turn.
const PUSH_BYTES_MAX: usize = 64 * 1024;
impl Worker {
    /// Reads the pushes that have come, ahead of other messages: the client under way caused one
    /// for itself, which belongs between the reply to its command and the next.
    pub(crate) fn read_pushes(&mut self, place: usize) {
        self.mail.extend(self.mailbox.take());
        for message in std::mem::take(&mut self.mail) {
            match message {
                Message::Push { clients, push } => self.push(&clients, &push, Some(place)),
                other => self.mail.push_back(other),
            }
        }
    }

    /// Appends a push to the output of clients; the one that is `answering` gets it with its
    /// replies.
    pub(crate) fn push(&mut self, clients: &[u64], push: &Push, answering: Option<usize>) {
        for client in clients {
            let Some(&place) = self.places.get(client) else { continue };
            let Some(connection) = self.connections.get_mut(place) else { continue };
            if answering == Some(place) {
                let mut text = Vec::new();
                let is_subscribed = connection.session.subscribed.any();
                push.append_to(&mut text, self.reply.protocol(), is_subscribed);
                self.reply.raw(&text);
                continue;
            }
            connection.append(push);
            if !connection.touched {
                connection.touched = true;
                self.touched.push(place);
            }
            if connection.unsent() > PUSH_BYTES_MAX && !connection.clogged {
                // Whether it is broken or overfull is seen at the end of the turn.
                connection.flush();
            }
        }
    }

    /// Sends what was appended in this turn, with one system call for each connection.
    pub(crate) fn send_pushes(&mut self) {
        let limits = self.shared.options().output_limits;
        for place in std::mem::take(&mut self.touched) {
            let Some(connection) = self.connections.get_mut(place) else { continue };
            connection.touched = false;
            let before = connection.unsent();
            let is_broken = !connection.clogged && connection.flush() == Sent::Broken;
            self.statistics.writes.add(1);
            self.statistics.bytes_out.add((before - connection.unsent()) as u64);
            let unsent = connection.unsent();
            connection.card.output_bytes.store(unsent as u64, Ordering::Relaxed);
            let is_overfull = unsent > 0 && connection.is_overfull(&limits, now_ms());
            if is_overfull {
                tracing::warn!("client {} is closed: it is too slow", connection.session.id);
            }
            if is_broken || is_overfull {
                self.close(place);
            }
        }
    }
}
