//! How a step reaches clients other than the one that caused it, from whichever thread it runs on.

use std::sync::Arc;

use reef_engine::serving::Ending;
use reef_engine::waiters::Waiter;

use crate::clients::Clients;
use crate::mailbox::{Mailbox, Message};

/// The workers' mailboxes, and who is connected.
pub(crate) struct Post {
    pub(crate) mailboxes: Vec<Arc<Mailbox>>,
    pub(crate) clients: Clients,
}

impl Post {
    /// Leaves a message with every worker.
    pub(crate) fn broadcast(&self, message: impl Fn() -> Message) {
        self.mailboxes.iter().for_each(|mailbox| mailbox.send(message()));
    }

    /// Leaves a message with the worker that serves a client.
    pub(crate) fn tell(&self, client: u64, message: impl FnOnce(u64) -> Message) {
        if let Some(card) = self.clients.get(client) {
            self.mailboxes[card.worker].send(message(client));
        }
    }

    /// Whether a waiter's connection still stands. Its shards are held, so its worker has not
    /// closed the socket.
    pub(crate) fn is_connected(&self, waiter: &Waiter) -> bool {
        self.clients.get(waiter.client).is_some_and(|card| card.socket.is_connected())
    }

    /// Sends a waiter its reply.
    pub(crate) fn deliver(&self, waiter: &Waiter, bytes: Vec<u8>) {
        if let Some(mailbox) = self.mailboxes.get(waiter.home as usize) {
            mailbox.send(Message::Reply { client: waiter.client, bytes });
        }
    }

    /// Ends a client's wait. Whether it waited.
    pub(crate) fn unblock(&self, client: u64, ending: Ending) -> bool {
        let Some(card) = self.clients.get(client) else { return false };
        // Taken out, so that of two who ask at once only one has done it.
        let waits = card.waiter.lock().take().is_some_and(|waiter| !waiter.is_done());
        if waits {
            self.mailboxes[card.worker].send(Message::EndWait { client, ending });
        }
        waits
    }
}
