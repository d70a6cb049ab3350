//! Running what a connection sent: the commands that arrived together, one after the other.
//!
//! All complete commands at the head of what was received are found before the first of them runs,
//! so that what they will look for can be fetched from memory at once. Nothing else is done ahead
//! of a command's turn: it runs, or does not, exactly as if it had come alone.

use std::sync::atomic::Ordering;
use std::time::Duration;

use reef_engine::keyspace::Wanted;
use reef_engine::parking::Parking;
use reef_engine::step::{self, Answer};
use reef_resp::{Argv, Limits, Mark, Pipeline, Tail};

use crate::connection::Sent;
use crate::memory::Room;
use crate::store::{Execution, Moment};
use crate::surroundings::WorkerHost;
use crate::tally::Tally;
use crate::timing::{Amounts, Stopwatch};
use crate::worker::{Fate, Worker};

/// Replies are handed to the socket when there are this many bytes, even within a moment.
const REPLY_BYTES_MAX: usize = 1024 * 1024;

/// How far the commands of a pipeline ran.
enum Ran {
    All,
    /// Not the last ones: they were found under limits that hold no more.
    UnderOtherLimits,
    /// Not the last ones: nothing more may run in this moment.
    Until(Fate),
}

/// What became of a command that ran.
struct Outcome {
    execution: Execution,
    /// Whether its client caused a push for itself.
    told_self: bool,
    /// A call that is to be parked.
    parking: Option<Box<Parking>>,
}

impl Worker {
    /// Executes the complete commands at the head of `bytes` and sends their replies. Gives how
    /// many bytes are done with.
    pub(crate) fn execute(&mut self, place: usize, bytes: &[u8], moment: &Moment) -> (usize, Fate) {
        let mut used = 0;
        let mut fate = Fate::Idle;
        self.reply.clear();
        self.reply.set_protocol(self.connections[place].protocol);
        self.stopwatch = Stopwatch::start();
        self.connections[place].card.input_bytes.store(bytes.len() as u32, Ordering::Relaxed);
        let mut pipeline = std::mem::take(&mut self.pipeline);
        loop {
            let own = self.tenant_moment(place, moment);
            let moment = own.as_ref().unwrap_or(moment);
            let (rest, limits) = (&bytes[used..], self.limits(place, moment));
            let tail = pipeline.find(&mut self.connections[place].decoder, rest, &limits);
            self.warm(place, &pipeline, rest, moment);
            let (done, ran) = self.run_found(place, &pipeline, rest, moment);
            used += done;
            let connection = &mut self.connections[place];
            match (ran, tail) {
                (Ran::All, Tail::Unknown) => {}
                (Ran::All, Tail::Incomplete { missing }) => {
                    connection.missing = missing;
                    break;
                }
                (Ran::All, Tail::Malformed(error)) => {
                    self.reply.error(&format!("ERR Protocol error: {error}"));
                    connection.session.closing = true;
                    used = bytes.len();
                    break;
                }
                (Ran::UnderOtherLimits, _) => connection.decoder.restart(),
                (Ran::Until(then), _) => {
                    connection.decoder.restart();
                    fate = then;
                    break;
                }
            }
        }
        self.pipeline = pipeline;
        self.connections[place].protocol = self.reply.protocol();
        // Before the replies go out: who has one may ask another worker at once.
        self.connections[place].update_card(moment.now.get());
        if self.connections[place].session.closing {
            self.take_leave(place);
        }
        if self.connections[place].refused > 0 {
            self.begin_rest(place);
        }
        if fate == Fate::Idle {
            fate = self.send_replies(place);
        }
        (used, fate)
    }

    /// The moment as a tenant's client finds it.
    #[inline]
    fn tenant_moment(&self, place: usize, moment: &Moment) -> Option<Moment> {
        let tenant = self.connections[place].card.tenant()?;
        let is_room = self.shared.store.room(moment).is_there;
        let mut conditions = moment.conditions;
        conditions.out_of_memory |= !is_room;
        Some(tenant.store.moment(moment.now, || conditions))
    }

    /// What the client may send at this moment.
    #[inline]
    fn limits(&self, place: usize, moment: &Moment) -> Limits {
        Limits {
            bulk_bytes_max: moment.rules.settings.string_bytes_max as i64,
            authenticated: self.connections[place].session.authenticated,
        }
    }

    /// Fetches the first keys of commands that came together. Whether an argument is a key matters
    /// little: nothing depends on it.
    #[inline]
    fn warm(&self, place: usize, pipeline: &Pipeline, bytes: &[u8], moment: &Moment) {
        let store = self.connections[place].card.store(&self.shared);
        if pipeline.len() < 2 || !store.is_warmable() {
            return;
        }
        let mut wanted = Wanted::default();
        for index in 0..pipeline.len() {
            wanted.add(pipeline.argv(index, bytes).get(1), &moment.rules.hasher);
        }
        let connection = &self.connections[place];
        connection.card.store(&self.shared).warm(connection.session.database, &wanted);
    }

    /// Runs the commands of a pipeline, which is found in `bytes`. Gives how many bytes are done
    /// with.
    fn run_found(
        &mut self,
        place: usize,
        pipeline: &Pipeline,
        bytes: &[u8],
        moment: &Moment,
    ) -> (usize, Ran) {
        let was_authenticated = self.connections[place].session.authenticated;
        let had_tenant = self.connections[place].card.tenant().is_some();
        let mut used = 0;
        for index in 0..pipeline.len() {
            let request_bytes = pipeline.end(index) - used;
            if !self.command(place, (pipeline.argv(index, bytes), request_bytes), moment) {
                return (used, Ran::Until(Fate::Idle));
            }
            used = pipeline.end(index);
            let connection = &self.connections[place];
            if connection.waiting || connection.session.closing {
                return (used, Ran::Until(Fate::Idle));
            }
            let is_authenticated = connection.session.authenticated;
            if self.reply.data().len() > REPLY_BYTES_MAX {
                let fate = self.send_replies(place);
                if fate != Fate::Idle {
                    return (used, Ran::Until(fate));
                }
            }
            let has_tenant = self.connections[place].card.tenant().is_some();
            if is_authenticated != was_authenticated || has_tenant != had_tenant {
                return (used, Ran::UnderOtherLimits);
            }
        }
        (used, Ran::All)
    }

    fn send_replies(&mut self, place: usize) -> Fate {
        let mut sent = Sent::All;
        if !self.reply.data().is_empty() {
            self.statistics.writes.add(1);
            self.statistics.bytes_out.add(self.reply.data().len() as u64);
            self.statistics.output_peak.note(self.reply.data().len() as u64);
            sent = self.answer(place);
            self.reply.clear();
        }
        if sent == Sent::Kept { Fate::Idle } else { self.after_sending(place, sent) }
    }

    /// Sends the replies at hand, or keeps them.
    fn answer(&mut self, place: usize) -> Sent {
        let reply = std::mem::take(&mut self.reply);
        let sent = self.answer_with(place, reply.data());
        self.reply = reply;
        sent
    }

    /// Lets a client wait that is to: for keys, or for its parked call.
    #[inline]
    fn begin_waiting(
        &mut self,
        place: usize,
        answer: Answer,
        parking: Option<Box<Parking>>,
        took: Duration,
    ) {
        if let Answer::WhenReady(waiter) = answer {
            self.begin_wait(place, waiter, took);
        }
        if let Some(parking) = parking {
            self.begin_parking(place, *parking, Some(took));
        }
    }

    /// Runs a command. `false`: it has to wait for the end of a pause.
    fn command(
        &mut self,
        place: usize,
        (argv, request_bytes): (Argv<'_>, usize),
        moment: &Moment,
    ) -> bool {
        let room = self.connections[place].card.store(&self.shared).room(moment);
        if room.evicted {
            // Whoever cached what had to go hears so first.
            self.read_pushes(place);
        }
        if argv.is_empty() {
            return true;
        }
        let mark = self.reply.mark();
        let was_monitoring = self.connections[place].session.monitoring;
        let Outcome { execution, told_self, parking } = self.step(place, argv, room, moment);
        let connection = &mut self.connections[place];
        if execution.postponed {
            connection.waiting = true;
            connection.postponed = true;
            self.postponed.push(connection.session.id);
            return false;
        }
        connection.wrote |= execution.may_write;
        connection.refused += u32::from(execution.over_quota);
        connection.waiting = !matches!(execution.answer, Answer::Now);
        let took = self.stopwatch.lap_outer();
        if !matches!(execution.answer, Answer::WhenReady(_)) && parking.is_none() {
            // Whoever waits has not got anything yet that could be counted.
            self.count(place, &execution, argv, (took, request_bytes, mark));
        }
        let connection = &mut self.connections[place];
        if let Some(command) = execution.command {
            connection.card.command.store(command, Ordering::Relaxed);
        }
        if execution.ran {
            if let Some(tenant) = connection.card.tenant() {
                self.shared.note_tenant_command(tenant, argv);
            }
            self.shared.feed_monitors(connection.session.database, &connection.card, argv);
        }
        if was_monitoring != connection.session.monitoring {
            self.shared.count_monitor(connection.session.monitoring);
        }
        if !step::is_reply_sent(&mut connection.session) {
            self.reply.rewind(mark);
        }
        if told_self {
            self.read_pushes(place);
        }
        self.begin_waiting(place, execution.answer, parking, took);
        true
    }

    /// Runs a command against the store, and keeps with its connection what it said about that.
    #[inline]
    fn step(&mut self, place: usize, argv: Argv<'_>, room: Room, moment: &Moment) -> Outcome {
        let connection = &mut self.connections[place];
        let mut host = WorkerHost::new(
            &self.shared,
            (&connection.card, self.has_served),
            (self.index as u32, &mut self.readiness),
            (&mut self.random, &mut self.stopwatch),
        );
        let session = &mut connection.session;
        let store = connection.card.store(&self.shared);
        let execution =
            store.execute_within(moment, room, session, argv, &mut self.reply, &mut host);
        session.closing |= host.close_self;
        let (became_copier, waits_until) = (host.became_copier, host.waits_until);
        let outcome = Outcome { execution, told_self: host.told_self, parking: host.parking };
        if became_copier {
            connection.is_copier = true;
            connection.card.is_copier.store(true, Ordering::Relaxed);
        }
        if let Some(at) = waits_until {
            connection.copies_until = Some(at);
            self.deadlines.insert((at, connection.session.id));
        }
        outcome
    }

    /// Counts a command whose reply begins at the mark.
    #[inline]
    fn count(
        &self,
        place: usize,
        execution: &Execution,
        argv: Argv<'_>,
        (took, request_bytes, mark): (Duration, usize, Mark),
    ) {
        let reply = self.reply.data_since(mark);
        let error = self.reply.is_error_since(mark).then_some(reply);
        let run = execution.command.filter(|_| execution.ran);
        let amounts = Amounts { took, request_bytes, reply_bytes: reply.len() };
        let tally = Tally::of(&self.shared, &self.statistics, self.latency_tracking);
        tally.count(run, argv, amounts, error, &self.connections[place]);
    }
}
