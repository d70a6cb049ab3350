//! What a worker's clients are sent without having asked: appended to their output as it comes, sent
//! once a turn, however much it is. Who does not take it is closed, and holds nobody up.

use std::sync::atomic::Ordering;

use reef_engine::push::{Push, Receivers};

use crate::clock::now_ms;
use crate::connection::Sent;
use crate::mailbox::Message;
use crate::worker::Worker;

/// Messages for one client are handed to its socket when there are this many bytes, even within a
/// turn.
const PUSH_BYTES_MAX: usize = 64 * 1024;

impl Worker {
    /// Reads what has come for the client under way, ahead of other messages: it belongs between
    /// the replies to its commands. For others the order stays: a push may follow a late reply.
    pub(crate) fn read_pushes(&mut self, place: usize) {
        let Some(connection) = self.connections.get(place) else { return };
        let own = connection.session.id;
        self.mail.extend(self.mailbox.take());
        for message in std::mem::take(&mut self.mail) {
            match message {
                Message::Push { clients, push } if clients.binary_search(&own).is_ok() => {
                    self.push(&[own], &push, Some(place));
                    let others: Receivers =
                        clients.iter().copied().filter(|id| *id != own).collect();
                    if !others.is_empty() {
                        self.mail.push_back(Message::Push { clients: others, push });
                    }
                }
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
            self.touch(place);
            let Some(connection) = self.connections.get_mut(place) else { continue };
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
            connection.wrote = false;
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
            let has_left = connection.session.closing && connection.output.is_empty();
            if is_broken || is_overfull || has_left {
                self.close(place);
            } else if connection.is_copier {
                let client = connection.session.id;
                self.feed_replica(client);
            }
        }
    }
}
