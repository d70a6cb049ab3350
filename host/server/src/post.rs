//! How a step reaches clients other than the one that caused it, from whichever thread it runs on.

use std::sync::Arc;

use parking_lot::Mutex;
use reef_engine::pubsub::{Send, Subscriptions};
use reef_engine::push::{Push, Receivers};
use reef_engine::serving::Ending;
use reef_engine::session::Session;
use reef_engine::settings::Audience;
use reef_engine::tracking::Tracking;
use reef_engine::waiters::Waiter;

use crate::clients::{Card, Clients};
use crate::mailbox::{Mailbox, Message};

/// The workers' mailboxes, who is connected, and who hears of what: of the latter each tenant has its
/// own.
///
/// The two locks are taken last: while one is held, nothing else is locked but mailboxes. Messages
/// are sent under it, so that all subscribers of a channel see them in one order.
pub(crate) struct Post {
    pub(crate) mailboxes: Vec<Arc<Mailbox>>,
    pub(crate) clients: Arc<Clients>,
    pub(crate) subscriptions: Mutex<Subscriptions>,
    pub(crate) tracking: Mutex<Tracking>,
    audience: Audience,
}

impl Post {
    /// Nobody is connected. `seed` must be unpredictable to clients.
    pub(crate) fn new(mailboxes: Vec<Arc<Mailbox>>, seed: u64, audience: &Audience) -> Self {
        Self {
            mailboxes,
            clients: Arc::default(),
            subscriptions: Mutex::new(Subscriptions::new(seed, audience.clone())),
            tracking: Mutex::new(Tracking::new(seed, audience.clone())),
            audience: audience.clone(),
        }
    }

    /// The same workers and connections, with subscriptions of their own: for a tenant.
    pub(crate) fn of_tenant(&self, seed: u64, audience: &Audience) -> Self {
        let clients = self.clients.clone();
        Self { clients, ..Self::new(self.mailboxes.clone(), seed, audience) }
    }

    /// Lets `act` see and change the subscriptions, and send messages.
    pub(crate) fn with_subscriptions(&self, act: impl FnOnce(&mut Subscriptions, &mut Send<'_>)) {
        let mut all = self.subscriptions.lock();
        act(&mut all, &mut |home, clients, push| self.push(home, clients, push));
    }

    /// Lets `act` see and change who caches what, and send messages.
    pub(crate) fn with_tracking(&self, act: impl FnOnce(&mut Tracking, &mut Send<'_>)) {
        let mut all = self.tracking.lock();
        act(&mut all, &mut |home, clients, push| self.push(home, clients, push));
    }

    /// Leaves a push with the worker of some clients.
    pub(crate) fn push(&self, home: u32, clients: &Receivers, push: &Arc<Push>) {
        if let Some(mailbox) = self.mailboxes.get(home as usize) {
            mailbox.send(Message::Push { clients: clients.clone(), push: push.clone() });
        }
    }

    /// A connection is closed, and its card is gone: so are its subscriptions.
    pub(crate) fn forget(&self, session: &Session) {
        if session.subscribed.any() {
            self.subscriptions.lock().forget(session.id);
        }
        if self.audience.is_tracking() {
            self.tracking.lock().forget(session.id);
        }
    }

    /// Ends a connection of whichever worker. From now on it is not listed, and receives nothing.
    /// `false` if it was ended before.
    pub(crate) fn dismiss(&self, card: &Card) -> bool {
        let is_first = self.clients.doom(card);
        if is_first {
            self.subscriptions.lock().forget(card.id);
            self.tracking.lock().forget(card.id);
            self.mailboxes[card.worker].send(Message::Close(card.id));
        }
        is_first
    }

    /// Keeps the number of keys that are remembered for clients within its limit.
    pub(crate) fn trim_tracking(&self, keys_max: usize, seed: u64) {
        if self.audience.is_tracking() {
            self.with_tracking(|all, send| while all.trim(keys_max, seed, send) {});
        }
    }

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

    /// Lets a parked call go on.
    pub(crate) fn wake(&self, waiter: &Waiter, key: &[u8]) {
        if let Some(mailbox) = self.mailboxes.get(waiter.home as usize) {
            let (client, order) = (waiter.client, waiter.order);
            mailbox.send(Message::Wake { client, order, key: key.into() });
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
