//! Parked calls of plugins' commands, as their client's worker sees them.
//!
//! The engine keeps who waits for which key and whose turn it is; the worker runs the call anew when
//! it is woken or its time is over, with no shard held, and tells the engine what came of it.

use std::cell::OnceCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reef_engine::backend::{
    Called, Caller, Conclusion, Extension, Late, Park, PluginCommand, Wake,
};
use reef_engine::command::{Flags, Runner};
use reef_engine::gates;
use reef_engine::parking::{Mark, Parking};
use reef_engine::permission::note_denial;
use reef_engine::registry::{CommandRef, Registry};
use reef_engine::serving::Ending;
use reef_engine::session::Session;
use reef_engine::waiters::Waiter;
use reef_resp::{Argv, OwnedArgv, Protocol, Writer};

use crate::clock::now_ms;
use crate::connection::{Connection, Waiting};
use crate::mailbox::Message;
use crate::server::Shared;
use crate::store::{Moment, Store};
use crate::surroundings::WorkerHost;
use crate::worker::Worker;

/// What a client hears whose parked call nobody can go on with.
const ORPHANED: &str = "UNBLOCKED the plugin of this command was unloaded";

/// A call of a plugin's command on behalf of a client.
pub(crate) struct PluginCall<'a> {
    shared: &'a Arc<Shared>,
    /// The data that it is about.
    store: &'a Store,
    command: &'a CommandRef,
    argv: Argv<'a>,
    client: u64,
    /// What was written before it began, and its place among all who wait; if it may park.
    began: OnceCell<(Mark, u64)>,
}

impl<'a> PluginCall<'a> {
    pub(crate) fn new(
        (shared, store): (&'a Arc<Shared>, &'a Store),
        command: &'a CommandRef,
        argv: Argv<'a>,
        client: u64,
    ) -> Self {
        Self { shared, store, command, argv, client, began: OnceCell::new() }
    }

    /// Runs it.
    #[inline]
    pub(crate) fn run(
        &self,
        extension: &Arc<dyn Extension>,
        plugin: PluginCommand,
        wake: Option<Wake<'_>>,
        caller: &Caller,
        reply: &mut Writer,
    ) -> Called {
        if self.command.flags.has(Flags::BLOCKING) {
            let store = self.store;
            // Nobody has set it: a call runs once.
            let _ = self.began.set((store.mark(), store.rules().next_arrival()));
        }
        let mut later = || self.conclusion(extension);
        extension.call(plugin, wake, caller, self.argv, reply, &mut later)
    }

    /// What is to be parked of it.
    pub(crate) fn parking(&self, park: Park) -> Parking {
        let (mark, order) = self.began.get().cloned().unwrap_or_default();
        let (command, argv) = (self.command.clone(), OwnedArgv::from(self.argv));
        Parking { command, argv, park, mark, order }
    }

    /// Where the end goes of a call that takes longer: to the client's worker, whichever thread has
    /// it.
    fn conclusion(&self, extension: &Arc<dyn Extension>) -> Conclusion {
        let (shared, client, extension) = (self.shared.clone(), self.client, extension.clone());
        // What is needed should it park; a command that never does keeps nothing.
        let call = self.began.get().map(|(mark, order)| {
            (self.command.clone(), OwnedArgv::from(self.argv), mark.clone(), *order)
        });
        Box::new(move |late| {
            if shared.post.clients.get(client).is_none() {
                // It closed meanwhile, and what the call had to say of that came too late.
                extension.client_left(client);
            }
            shared.post.tell(client, |client| match (late, call) {
                (Late::Park(park), Some((command, argv, mark, order))) => {
                    let parking = Box::new(Parking { command, argv, park: *park, mark, order });
                    Message::Park { client, parking }
                }
                (Late::Park(_), None) => Message::Reply { client, bytes: Vec::new() },
                (Late::Reply(bytes), _) => Message::Reply { client, bytes },
            });
        })
    }
}

impl Store {
    /// A mark of what was written so far.
    pub(crate) fn mark(&self) -> Mark {
        let every = 0..self.shard_count();
        Mark::new(every.map(|index| self.clock_of(index)).collect())
    }

    /// Parks a call of a client; `before` is what it was parked as until now.
    pub(crate) fn park(
        &self,
        parking: Parking,
        session: &Session,
        (database, home, protocol): (u32, u32, Protocol),
        before: Option<&Waiter>,
    ) -> Arc<Waiter> {
        let shards = parking.shards(&self.rules());
        let shards = before.map_or(shards, |before| shards.union(before.shards));
        self.run_unasked(database, shards, |cx| cx.park(parking, session, (home, protocol), before))
    }

    /// Ends a parked call. Whether it was parked.
    pub(crate) fn end_parked(&self, waiter: &Waiter) -> bool {
        self.run_unasked(waiter.database, waiter.shards, |cx| cx.end_parked(waiter))
    }
}

impl Worker {
    /// Parks a call that its client has just made.
    pub(crate) fn begin_parking(&mut self, place: usize, parking: Parking, took: Option<Duration>) {
        let connection = &mut self.connections[place];
        let before = connection.forget_wait(&mut self.deadlines);
        let before_waiter = before.as_ref().map(|waiting| &*waiting.waiter);
        let database = before_waiter.map_or(connection.session.database, |one| one.database);
        let whose = (database, self.index as u32, connection.protocol);
        let deadline_ms = parking.park.deadline_ms;
        let store = connection.card.store(&self.shared).clone();
        let waiter = store.park(parking, &connection.session, whose, before_waiter);
        let left = deadline_ms.map(|at| Duration::from_millis(at.saturating_sub(now_ms().get())));
        let deadline = left.and_then(|left| Instant::now().checked_add(left));
        if let Some(at) = deadline {
            self.deadlines.insert((at, waiter.client));
        }
        *connection.card.waiter.lock() = Some(waiter.clone());
        let took = before.map_or(took, |before| before.took);
        let client = waiter.client;
        connection.waiter = Some(Box::new(Waiting { waiter, deadline, took, ending: None }));
        if !is_there(&store.registry(), &self.connections[place].waiter) {
            // Unloaded while it ran: nobody will say so again.
            self.mail_end(client);
        }
    }

    fn mail_end(&self, client: u64) {
        self.mailbox.send(Message::EndWait { client, ending: Ending::Unblocked });
    }

    /// Parks a call that took longer than its first moment.
    pub(crate) fn park(&mut self, client: u64, parking: Parking, moment: &Moment) {
        let Some(place) = self.places.get(&client).copied() else { return };
        if !self.connections[place].waiting || self.connections[place].postponed {
            return;
        }
        let ending = self.connections[place].waiter.as_ref().and_then(|waiting| waiting.ending);
        // What ran so far is counted.
        self.begin_parking(place, parking, None);
        if let Some(ending) = ending {
            self.end_parked(client, ending, moment);
        } else if self.readiness.has_hung_up(place) {
            self.close(place);
        }
    }

    /// Lets a parked call go on: a key was written. It has its turn.
    pub(crate) fn wake(&mut self, client: u64, order: u64, key: &[u8], moment: &Moment) {
        let Some(place) = self.places.get(&client).copied() else { return };
        let waiting = self.connections[place].waiter.as_ref();
        // It may have ended since, and its client may wait for something else.
        let is_it = waiting.is_some_and(|waiting| waiting.waiter.order == order);
        if is_it && !self.mailbox.put_off((client, order, key)) {
            self.resume_call(place, Some(key), moment);
        }
    }

    /// Lets calls go on that were put off, as far as there is time.
    pub(crate) fn resume_put_off(&mut self, moment: &Moment) {
        while let Some((client, order, key)) = self.mailbox.take_put_off() {
            let Some(place) = self.places.get(&client).copied() else { continue };
            let waiting = self.connections[place].waiter.as_ref();
            if waiting.is_some_and(|waiting| waiting.waiter.order == order) {
                self.resume_call(place, Some(&key), moment);
            }
        }
    }

    /// Whether a client's parked call, whose time is over, has to wait for the next look at the sockets.
    pub(crate) fn has_no_time_for(&self, client: u64) -> bool {
        let place = self.places.get(&client);
        let waiting = place.and_then(|place| self.connections.get(*place)?.waiter.as_ref());
        waiting.is_some_and(|one| one.waiter.park().is_some()) && !self.mailbox.has_time()
    }

    /// Lets a parked call go on because its time is over. Whether it is one: if it runs just now it
    /// says anew how long it wants to wait.
    pub(crate) fn time_out_call(&mut self, client: u64, moment: &Moment) -> bool {
        let Some(place) = self.places.get(&client).copied() else { return false };
        let Some(waiting) = &self.connections[place].waiter else { return false };
        if waiting.waiter.park().is_none() {
            return false;
        }
        if waiting.waiter.start() {
            self.resume_call(place, None, moment);
        }
        true
    }

    /// Ends the wait of a parked call; when its time is over the plugin says what that means.
    pub(crate) fn end_parked(&mut self, client: u64, ending: Ending, moment: &Moment) {
        let Some(place) = self.places.get(&client).copied() else { return };
        let Connection { card, waiter: Some(waiting), .. } = &mut *self.connections[place] else {
            return;
        };
        let waiter = waiting.waiter.clone();
        let is_orphan = !has_plugin(&card.store(&self.shared).registry(), &waiter);
        if !waiter.start() {
            // It runs just now, or is about to.
            waiting.ending = Some(ending);
        } else if is_orphan {
            let mut reply = Writer::new(waiter.protocol);
            reply.error(ORPHANED);
            self.late_reply(client, reply.data(), moment);
        } else if ending == Ending::TimedOut {
            self.resume_call(place, None, moment);
        } else {
            let farewell = waiter.farewell(ending);
            self.bid_farewell(client, ending, &farewell, moment);
        }
    }

    /// Ends the parked calls of plugins that were unloaded.
    pub(crate) fn end_orphans(&mut self, moment: &Moment) {
        let is_orphan = |connection: &Connection| {
            let registry = connection.card.store(&self.shared).registry();
            !is_there(&registry, &connection.waiter)
        };
        let orphans: Vec<u64> = self
            .connections
            .iter()
            .filter(|(_, connection)| is_orphan(connection))
            .map(|(_, connection)| connection.session.id)
            .collect();
        for client in orphans {
            self.end_parked(client, Ending::Unblocked, moment);
        }
    }

    /// Runs a parked call anew.
    fn resume_call(&mut self, place: usize, key: Option<&[u8]>, moment: &Moment) {
        let Some(waiting) = &self.connections[place].waiter else { return };
        let waiter = waiting.waiter.clone();
        let (client, end) = (waiter.client, self.run_again(place, &waiter, key));
        // Before the reply goes out: who has it may ask how many wait.
        drop(waiter);
        match end {
            End::Gone => self.close(place),
            End::Later => {}
            End::Reply(bytes) => self.late_reply(client, &bytes, moment),
            End::Park(parking) => self.park(client, *parking, moment),
        }
    }

    fn run_again(&mut self, place: usize, waiter: &Waiter, key: Option<&[u8]>) -> End {
        let connection = &mut self.connections[place];
        let store = connection.card.store(&self.shared).clone();
        let session = &mut connection.session;
        if self.readiness.has_hung_up_by_now(place)
            || session.is_outdated() && !store.users.lock().renew(session)
        {
            return End::Gone;
        }
        let (argv, client) = (waiter.argv.as_argv(), waiter.client);
        let mut reply = Writer::new(waiter.protocol);
        if session.is_limited()
            && let Err(denial) = gates::permit(&waiter.command, argv, session)
        {
            reply.error(&denial.error(&session.user, &waiter.command).to_string());
            let mut host = WorkerHost::new(
                &self.shared,
                (&connection.card, true),
                (self.index as u32, &mut self.readiness),
                (&mut self.random, &mut self.stopwatch),
            );
            note_denial(&waiter.command, denial, argv, session, &reply, &mut host);
            return End::Reply(reply.take_data());
        }
        let extension = match connection.card.tenant() {
            Some(tenant) => tenant.extension.get(),
            None => self.shared.extension.get(),
        };
        let (Runner::Plugin(plugin), Some(extension), Some(park)) =
            (&waiter.command.runner, extension, waiter.park())
        else {
            return End::Later;
        };
        let wake = Wake { key, invoked_ms: park.invoked_ms };
        let user = session.user.clone();
        let caller = Caller { client_id: client, user, database: waiter.database };
        let call = PluginCall::new((&self.shared, &store), &waiter.command, argv, client);
        connection.wrote |= waiter.command.may_write();
        match call.run(extension, *plugin, Some(wake), &caller, &mut reply) {
            Called::Done => End::Reply(reply.take_data()),
            Called::Later => End::Later,
            Called::Parked(park) => End::Park(Box::new(call.parking(*park))),
        }
    }
}

/// What a parked call that went on has come to.
enum End {
    /// Its client is not there any more.
    Gone,
    Later,
    Reply(Vec<u8>),
    Park(Box<Parking>),
}

/// Whether somebody can go on with what a client waits for.
fn is_there(registry: &Registry, waiting: &Option<Box<Waiting>>) -> bool {
    waiting.as_ref().is_none_or(|waiting| has_plugin(registry, &waiting.waiter))
}

/// The same of what waits.
fn has_plugin(registry: &Registry, waiter: &Waiter) -> bool {
    let Some(_) = waiter.park() else { return true };
    let found = registry.resolve(waiter.argv.as_argv()).ok().flatten();
    found.is_some_and(|command| matches!(command.runner, Runner::Plugin(_)))
}
