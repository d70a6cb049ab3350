//! Clients of a worker that wait: for keys, for the end of a pause, for a late reply.
//!
//! The engine keeps who waits for which key; the worker keeps the time, and brings the reply.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use reef_engine::gates::Pause;
use reef_engine::serving::Ending;
use reef_engine::waiters::Waiter;

use crate::connection::{Sent, Waiting};
use crate::store::Moment;
use crate::tally::Tally;
use crate::worker::Worker;

impl Worker {
    /// Keeps the time of a client that has begun to wait.
    pub(crate) fn begin_wait(&mut self, place: usize, waiter: Arc<Waiter>, took: Duration) {
        let connection = &mut self.connections[place];
        // From now on, whatever the clock of this turn says: nobody may be told too early.
        let timeout = waiter.timeout_ms.map(Duration::from_millis);
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        if let Some(at) = deadline {
            self.deadlines.insert((at, waiter.client));
        }
        *connection.card.waiter.lock() = Some(waiter.clone());
        let (took, ending) = (Some(took), None);
        connection.waiter = Some(Box::new(Waiting { waiter, deadline, took, ending }));
    }

    /// Lets a connection wait whose tenant has used up its commands: refusing takes time, too, and that
    /// is everybody's.
    #[cold]
    pub(crate) fn begin_rest(&mut self, place: usize) {
        const LEAST: Duration = Duration::from_millis(5);
        const FOR_EACH: Duration = Duration::from_micros(100);
        let connection = &mut self.connections[place];
        let refused = std::mem::take(&mut connection.refused);
        if connection.waiting || connection.session.closing {
            return;
        }
        let at = Instant::now() + LEAST.max(FOR_EACH * refused);
        connection.waiting = true;
        connection.rests_until = Some(at);
        self.deadlines.insert((at, connection.session.id));
    }

    fn end_rest(&mut self, place: usize, moment: &Moment) {
        let connection = &mut self.connections[place];
        connection.rests_until = None;
        connection.waiting = false;
        self.serve(place, moment);
    }

    /// Ends the waits whose time is over.
    pub(crate) fn end_due_waits(&mut self, moment: &Moment) {
        self.resume_put_off(moment);
        if self.deadlines.is_empty() {
            return;
        }
        let (now, mut goes_on) = (Instant::now(), false);
        while let Some((_, client)) = self.deadlines.first().copied().filter(|(at, _)| *at <= now) {
            // One has its turn in any case.
            if goes_on && self.has_no_time_for(client) {
                break;
            }
            self.deadlines.pop_first();
            let place = self.places.get(&client).copied();
            let rests = |place: &usize| self.connections[*place].rests_until.is_some();
            if let Some(place) = place.filter(rests) {
                self.end_rest(place, moment);
                continue;
            }
            let is_call = self.time_out_call(client, moment);
            goes_on |= is_call;
            if !is_call {
                self.end_wait(client, Ending::TimedOut, moment);
            }
        }
    }

    /// Ends a wait, unless the client has just been served: then the reply is on its way.
    pub(crate) fn end_wait(&mut self, client: u64, ending: Ending, moment: &Moment) {
        let place = self.places.get(&client);
        let Some(connection) = place.and_then(|place| self.connections.get(*place)) else { return };
        let Some(waiting) = &connection.waiter else {
            if let Some(farewell) = self.shared.end_copy_wait(client, ending) {
                self.bid_farewell(client, ending, &farewell, moment);
            }
            return;
        };
        if waiting.waiter.park().is_some() {
            return self.end_parked(client, ending, moment);
        }
        if connection.card.store(&self.shared).end_wait(&waiting.waiter) {
            let farewell = waiting.waiter.farewell(ending);
            self.bid_farewell(client, ending, &farewell, moment);
        }
    }

    pub(crate) fn bid_farewell(
        &mut self,
        client: u64,
        ending: Ending,
        farewell: &[u8],
        moment: &Moment,
    ) {
        let place = self.places.get(&client).filter(|_| ending == Ending::Demoted);
        if let Some(connection) = place.and_then(|place| self.connections.get_mut(*place)) {
            // It asked a primary, and shall look for one.
            connection.session.closing = true;
        }
        self.late_reply(client, farewell, moment);
    }

    /// Sends the reply that a client waited for, and lets it go on.
    pub(crate) fn late_reply(&mut self, client: u64, bytes: &[u8], moment: &Moment) {
        let Some(place) = self.places.get(&client).copied() else { return };
        if !self.connections[place].waiting || self.connections[place].postponed {
            return;
        }
        let connection = &mut self.connections[place];
        let waited = connection.forget_wait(&mut self.deadlines);
        if let Some(waiting) = &waited
            && (waiting.waiter.shards.len() > 1 || waiting.waiter.park().is_some())
        {
            // Who served it held only some of its queues; a parked call nobody else has ended.
            connection.card.store(&self.shared).end_wait(&waiting.waiter);
        }
        let tally = Tally::of(&self.shared, &self.statistics, self.latency_tracking);
        tally.count_late(waited, bytes, connection);
        connection.waiting = false;
        connection.card.waiting.store(false, Ordering::Relaxed);
        self.statistics.bytes_out.add(bytes.len() as u64);
        if self.answer_late(place, bytes) == Sent::Broken {
            return self.close(place);
        }
        self.serve(place, moment);
    }

    /// Lets those go on whom a pause stopped, if it is over.
    pub(crate) fn resume(&mut self, moment: &Moment) {
        for client in std::mem::take(&mut self.postponed) {
            let Some(place) = self.places.get(&client).copied() else { continue };
            let connection = &mut self.connections[place];
            if connection.card.store(&self.shared).pause_at(moment.now) != Pause::Nothing {
                self.postponed.push(client);
                continue;
            }
            connection.waiting = false;
            connection.postponed = false;
            self.serve(place, moment);
        }
    }
}
