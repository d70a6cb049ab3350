//! One connection to NATS, driven by the thread that holds it. All messages of a batch are sent before
//! the first acknowledgement is awaited; each names the one before it, so the first that is refused
//! keeps out all that follow.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{Config, RawMessageErrorKind, RetentionPolicy, Stream};
use async_nats::jetstream::{self, Context};
use async_nats::{Client, ConnectOptions, Event, HeaderMap, header};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;

use super::Nats;
use super::message::{Standing, bury, exhume, headers, partitions, payload, read_headers, token};
use crate::dead_letter::DeadLetter;
use crate::event::StreamId;
use crate::server::{Tls, client_config};
use crate::status::Counts;
use crate::table::Table;
use crate::target::{Batch, Claim, Outcome, Owner, Target, TargetFault};

const CONNECT: Duration = Duration::from_secs(10);
/// The longest that a question or a batch may take.
const ANSWER: Duration = Duration::from_secs(60);
/// What headers may take of a message's size.
const HEADERS_BYTES: usize = 4_096;

pub(super) struct NatsTarget {
    options: Nats,
    tables: Arc<[Table]>,
    owner: Owner,
    link: Option<Link>,
}

struct Link {
    runtime: Runtime,
    client: Client,
    context: Context,
    stream: Stream,
    /// Told when the connection breaks: the client would make another one, and we want to know.
    broken: Arc<Notify>,
    /// The last message of the stream, as far as this host knows.
    last: u64,
    /// Where dead letters are that were read or written here.
    letters: HashMap<StreamId, u64>,
}

/// A message that is ready to be sent, without the sequence before it.
struct Message {
    subject: String,
    /// What tells it from every other one.
    name: String,
    standing: Standing,
    headers: HeaderMap,
    payload: Vec<u8>,
    letter: Option<StreamId>,
}

impl Link {
    /// Waits for an answer, neither for ever nor longer than the connection lives.
    fn ask<R>(&self, answer: impl Future<Output = R>) -> Result<R, TargetFault> {
        self.runtime.block_on(async {
            tokio::select! {
                answered = tokio::time::timeout(ANSWER, answer) => {
                    answered.map_err(|_| down(format!("no answer within {ANSWER:?}")))
                }
                () = self.broken.notified() => Err(down("the connection has broken")),
            }
        })
    }
}

fn down(error: impl std::fmt::Display) -> TargetFault {
    TargetFault::Down(error.to_string())
}

impl NatsTarget {
    pub(super) fn new(options: Nats, tables: Arc<[Table]>, owner: Owner) -> Self {
        Self { options, tables, owner, link: None }
    }

    fn stream_name(&self) -> String {
        format!("{}_{}", token(&self.options.stream), self.owner.partition)
    }

    fn subject(&self, rest: &str) -> String {
        format!("{}.{}.{rest}", token(&self.options.stream), self.owner.partition)
    }

    fn connected(&mut self) -> Result<&mut Link, TargetFault> {
        if self.link.is_none() {
            self.link = Some(self.connect()?);
        }
        self.link.as_mut().ok_or_else(|| down("no connection"))
    }

    fn connect(&self) -> Result<Link, TargetFault> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(down)?;
        // What this connection has not sent when it breaks must not be sent by the next one.
        let mut options =
            ConnectOptions::new().name("reef").connection_timeout(CONNECT).max_reconnects(1);
        let broken = Arc::new(Notify::new());
        let bell = Arc::clone(&broken);
        options = options.event_callback(move |event| {
            if matches!(event, Event::Disconnected | Event::Closed) {
                bell.notify_one();
            }
            std::future::ready(())
        });
        if let Some((user, password)) = &self.options.credentials {
            options = options.user_and_password(user.clone(), password.clone());
        }
        if self.options.tls != Tls::Off {
            let config = client_config(&self.options.tls).map_err(TargetFault::Down)?;
            options = options.require_tls(true).tls_client_config(config);
        }
        let address = self.options.address.clone();
        let attempt = async { tokio::time::timeout(CONNECT, options.connect(address)).await };
        let client = runtime
            .block_on(attempt)
            .map_err(|_| down(format!("no connection within {CONNECT:?}")))?
            .map_err(down)?;
        let entered = runtime.enter();
        let context = jetstream::context::ContextBuilder::new()
            .timeout(CONNECT)
            .ack_timeout(ANSWER)
            .max_ack_inflight(1 << 20)
            .build(client.clone());
        drop(entered);
        let config = self.config();
        let create = self.options.create_streams.is_some();
        let attempt = async {
            if create {
                context.get_or_create_stream(config).await.map_err(|error| error.to_string())
            } else {
                context.get_stream(&config.name).await.map_err(|error| error.to_string())
            }
        };
        let found = async { tokio::time::timeout(ANSWER, attempt).await };
        let stream = runtime
            .block_on(found)
            .map_err(|_| down(format!("no answer within {ANSWER:?}")))?
            .map_err(|error| TargetFault::Drift(format!("{}: {error}", self.stream_name())))?;
        Ok(Link { runtime, client, context, stream, broken, last: 0, letters: HashMap::new() })
    }

    fn config(&self) -> Config {
        Config {
            name: self.stream_name(),
            subjects: vec![self.subject(">")],
            num_replicas: self.options.create_streams.unwrap_or(1).max(1),
            retention: RetentionPolicy::Limits,
            ..Config::default()
        }
    }

    /// What the last message says, and who published it; nothing of a stream that is new.
    fn standing(&mut self) -> Result<Option<(Claim, String)>, TargetFault> {
        let found = self.look();
        if found.is_err() {
            self.link = None;
        }
        found
    }

    fn look(&mut self) -> Result<Option<(Claim, String)>, TargetFault> {
        let name = self.stream_name();
        let link = self.connected()?;
        let info = link.ask(link.stream.get_info())?.map_err(down)?;
        link.last = info.state.last_sequence;
        if link.last == 0 {
            return Ok(None);
        }
        let lost = || {
            TargetFault::Drift(format!(
                "the last message of stream {name} is gone, and with it the position"
            ))
        };
        let message = match link.ask(link.stream.get_raw_message(link.last))? {
            Ok(message) => message,
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => return Err(lost()),
            Err(error) => return Err(down(error)),
        };
        read_headers(&message.headers).map(Some).ok_or_else(lost)
    }

    /// Says where the stream stands, in a message of its own.
    fn marker(&self, standing: Standing) -> Message {
        let subject = self.subject("reef.position");
        let last = self.link.as_ref().map_or(0, |link| link.last);
        let name = format!("{}/{}/{last}", self.owner.holder, standing.epoch);
        let headers = HeaderMap::new();
        Message { subject, name, standing, headers, payload: Vec::new(), letter: None }
    }

    /// All messages of a batch in the order of their events; the reason if one cannot be said.
    fn messages(&self, batch: &Batch<'_>) -> Result<Vec<Message>, String> {
        let most = self.link.as_ref().map_or(0, |link| link.client.server_info().max_payload);
        let room = most.saturating_sub(HEADERS_BYTES);
        let mut messages = Vec::with_capacity(batch.log.len() + batch.dead_letters.len());
        let mut letters = batch.dead_letters.iter().peekable();
        let mut totals = batch.before;
        let standing = |position: StreamId, totals: Counts| Standing {
            epoch: batch.epoch,
            position: if batch.from == batch.to { batch.to } else { position },
            totals,
            added: 0,
        };
        let mut bury_until = |until: Option<StreamId>, totals: &mut Counts| {
            let mut buried = Vec::new();
            while let Some(letter) =
                letters.next_if(|letter| until.is_none_or(|until| letter.event.id < until))
            {
                totals.dead += 1;
                let mut headers = HeaderMap::new();
                let payload = bury(&mut headers, letter);
                let (subject, id) = (self.subject("reef.dead"), letter.event.id);
                let standing = standing(id, *totals);
                let name = format!("{}/{id}/dead", self.owner.pipeline);
                let letter = Some(id);
                buried.push(Message { subject, name, standing, headers, payload, letter });
            }
            buried
        };
        for logged in batch.log {
            let event = logged.event;
            messages.extend(bury_until(Some(event.id), &mut totals));
            totals.applied += 1;
            let payload = payload(logged, &self.tables)?;
            let subject = self.subject(&format!("{}.{}", token(&event.entity), event.kind.word()));
            let name = format!("{}/{}", self.owner.pipeline, event.id);
            let (standing, headers) = (standing(event.id, totals), HeaderMap::new());
            messages.push(Message { subject, name, standing, headers, payload, letter: None });
        }
        messages.extend(bury_until(None, &mut totals));
        if let Some(large) = messages.iter().find(|message| message.payload.len() > room) {
            return Err(format!("{} bytes, more than a message has", large.payload.len()));
        }
        // The last one stands for what was skipped behind it, too.
        let end = Standing {
            epoch: batch.epoch,
            position: batch.to,
            totals: batch.totals,
            added: batch.added,
        };
        match messages.last_mut() {
            Some(last) => last.standing = end,
            None => messages.push(self.marker(end)),
        }
        Ok(messages)
    }

    /// Sends messages, each expecting the one before it, and awaits what became of them.
    fn publish(&mut self, messages: Vec<Message>) -> Outcome {
        let owner = self.owner.clone();
        let Some(link) = &mut self.link else { return Outcome::Retry("no connection".to_owned()) };
        let (context, first) = (link.context.clone(), link.last);
        let mut letters = Vec::new();
        let count = messages.len() as u64;
        let sending = async {
            let mut acknowledgements = Vec::with_capacity(messages.len());
            let mut before: Option<String> = None;
            for (last, message) in (first..).zip(messages) {
                letters.extend(message.letter.map(|id| (id, last + 1)));
                let mut all = headers(&message.standing, &owner, last);
                all.insert(header::NATS_MESSAGE_ID, message.name.as_str());
                // The number alone would do for the first of a batch only: another host's message may
                // take the place of one that was refused.
                if let Some(before) = before.replace(message.name) {
                    all.insert(header::NATS_EXPECTED_LAST_MESSAGE_ID, before);
                }
                for (name, values) in message.headers.iter() {
                    values.iter().for_each(|value| all.insert(name.clone(), value.clone()));
                }
                let publish = PublishMessage::build().payload(message.payload.into()).headers(all);
                acknowledgements.push(context.send_publish(message.subject, publish).await?);
            }
            for (expected, acknowledgement) in (first + 1..).zip(acknowledgements) {
                let acknowledged = acknowledgement.await?;
                if acknowledged.sequence != expected || acknowledged.duplicate {
                    return Err(PublishError::new(PublishErrorKind::WrongLastSequence));
                }
            }
            Ok(())
        };
        match link.ask(sending) {
            Ok(Ok(())) => {
                link.last += count;
                link.letters.extend(letters);
                Outcome::Committed
            }
            Ok(Err(error)) => {
                self.link = None;
                match error.kind() {
                    PublishErrorKind::WrongLastSequence | PublishErrorKind::WrongLastMessageId => {
                        Outcome::Fenced
                    }
                    _ => Outcome::Unknown(error.to_string()),
                }
            }
            Err(fault) => {
                self.link = None;
                Outcome::Unknown(fault.to_string())
            }
        }
    }

    /// Removes dead letters. None of them is the last message: what they became, or the position,
    /// stands behind them.
    fn remove(&mut self, batch: &Batch<'_>) -> Result<(), TargetFault> {
        let link = self.connected()?;
        for id in batch.settled {
            if let Some(sequence) = link.letters.remove(id) {
                link.ask(link.stream.delete_message(sequence))?.map_err(down)?;
            }
        }
        Ok(())
    }
}

impl Target for NatsTarget {
    fn prepare(&mut self) -> Result<(), TargetFault> {
        let link = self.connected()?;
        let alive = match link.ask(link.stream.get_info()) {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(down(error)),
            Err(fault) => Err(fault),
        };
        if alive.is_err() {
            self.link = None;
        }
        alive
    }

    fn claim(&mut self, again: bool) -> Result<Claim, TargetFault> {
        let (mut claim, holder) = self.standing()?.unwrap_or_default();
        if again && holder != self.owner.holder {
            return Err(TargetFault::Fenced);
        }
        claim.epoch += 1;
        // In front of whatever another host, or a connection of this one, still has under way.
        let Claim { epoch, position, totals, added } = claim;
        let marker = self.marker(Standing { epoch, position, totals, added });
        match self.publish(vec![marker]) {
            Outcome::Committed => Ok(claim),
            Outcome::Fenced => Err(down("the stream has grown meanwhile")),
            Outcome::Retry(reason)
            | Outcome::Unknown(reason)
            | Outcome::Poison(reason)
            | Outcome::Drift(reason) => Err(TargetFault::Down(reason)),
        }
    }

    fn commit(&mut self, batch: &Batch<'_>) -> Outcome {
        if self.link.is_none() {
            // What is last is known from a claim only.
            return Outcome::Unknown("no connection".to_owned());
        }
        let messages = match self.messages(batch) {
            Ok(messages) => messages,
            Err(reason) => return Outcome::Poison(reason),
        };
        let settles = !batch.settled.is_empty();
        if settles && let Err(fault) = self.locate(batch) {
            return Outcome::Retry(fault.to_string());
        }
        let outcome = self.publish(messages);
        if outcome == Outcome::Committed
            && settles
            && let Err(fault) = self.remove(batch)
        {
            tracing::warn!(%fault, "a dead letter that was dealt with is still there");
        }
        outcome
    }

    fn keeps_events(&self) -> bool {
        true
    }

    fn dead_letters(
        &mut self,
        after: StreamId,
        count_max: usize,
    ) -> Result<Vec<DeadLetter>, TargetFault> {
        let subject = self.subject("reef.dead");
        let link = self.connected()?;
        let mut found = Vec::new();
        let mut sequence = 1;
        while found.len() < count_max {
            let question = link.stream.raw_message_builder().sequence(sequence);
            let next = question.next_by_subject(subject.clone()).send();
            let message = match link.ask(next)? {
                Ok(message) => message,
                Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => break,
                Err(error) => return Err(down(error)),
            };
            sequence = message.sequence + 1;
            if let Some(letter) = exhume(&message.headers, &message.payload) {
                link.letters.insert(letter.event.id, message.sequence);
                if letter.event.id > after {
                    found.push(letter);
                }
            }
        }
        Ok(found)
    }

    fn partitions(&mut self) -> Result<Option<u32>, TargetFault> {
        let link = self.connected()?;
        let info = link.ask(link.stream.get_info())?.map_err(down)?;
        let last = info.state.last_sequence;
        if last == 0 {
            return Ok(None);
        }
        let message = link.ask(link.stream.get_raw_message(last))?;
        Ok(message.ok().and_then(|message| partitions(&message.headers)))
    }
}

impl NatsTarget {
    /// Finds the messages of dead letters that are to be removed.
    fn locate(&mut self, batch: &Batch<'_>) -> Result<(), TargetFault> {
        let known = |link: &Link| batch.settled.iter().all(|id| link.letters.contains_key(id));
        if !self.link.as_ref().is_some_and(known) {
            self.dead_letters(StreamId::ZERO, usize::MAX)?;
        }
        Ok(())
    }
}
