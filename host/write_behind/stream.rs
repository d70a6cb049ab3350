//! Events from a stream, and what is told about them: position, counters, logs, dead letters.
//!
//! A stream's entries are read by range from the position on, and trimmed up to it once they are in the
//! database. What is told is one step, which says the same when it is told again: the position and
//! the totals are those of the database, and counters move by the difference to the totals told
//! last. The consumer group `write-behind` shows the position to those who look with XINFO.

use std::thread;
use std::time::{Duration, Instant};

use reef_sinks::{Applied, Event, EventKind, Extent, Source, SourceFault, StreamId};

use super::link::{Link, Step, Walk};
use crate::config::pipeline::{Database, PipelineFile};

/// The group that shows the position.
pub(super) const GROUP: &[u8] = b"write-behind";
/// Entries that a log keeps, about.
const LOG_ENTRIES_MAX: &[u8] = b"10000";
/// How long an empty stream is left alone while events come, and when none has come for a while.
const LOOK_AFTER: Duration = Duration::from_millis(1);
const LOOK_AFTER_AT_REST: Duration = Duration::from_millis(10);
/// What "a while" is.
const REST_AFTER: Duration = Duration::from_millis(500);
/// About how many bytes of events are read at once, and how large they are taken to be at first.
const READ_BYTES: usize = 8 << 20;
const EVENT_BYTES_AT_FIRST: usize = 32 << 10;
/// Room is made known when the backlog has fallen to this part of what it may be.
const ROOM_AT: (u64, u64) = (9, 10);

/// See the head of this file.
pub(super) struct EventStream {
    link: Box<dyn Link>,
    names: Names,
    entity: String,
    backlog_max: u64,
    /// When the last event came.
    last_event: Instant,
    /// How large events were lately.
    event_bytes: usize,
}

/// Names of keys.
struct Names {
    stream: String,
    position: String,
    totals: String,
    dead_letters: String,
    log_success: String,
    log_fail: String,
    metric_success: String,
    metric_fail: String,
    full: String,
    room: String,
}

impl EventStream {
    pub(super) fn new(link: Box<dyn Link>, file: &PipelineFile) -> Self {
        let (stream, prefix) = (file.stream(), &file.streams.prefix);
        let entity = file.write_behind.entity.clone();
        let database = match file.database() {
            Some(Database::MySql(_)) => "mysql",
            Some(Database::Sqlite(_)) => "sqlite",
            Some(Database::Nats(_)) => "nats",
            Some(Database::PostgreSql(_)) | None => "postgres",
        };
        let names = Names {
            position: format!("{}:{stream}", file.streams.last_id_key_prefix),
            totals: format!("{prefix}:totals:{entity}"),
            dead_letters: format!("dlq:{stream}"),
            log_success: file.streams.log_streams.postgres_success.clone(),
            log_fail: file.streams.log_streams.postgres_fail.clone(),
            metric_success: format!("metrics:{database}_success"),
            metric_fail: format!("metrics:{database}_fail"),
            full: format!("{prefix}:full:{entity}"),
            room: format!("{prefix}:room:{entity}"),
            stream,
        };
        let carrying = &file.write_behind;
        let backlog_max = carrying.backlog_max;
        let (last_event, event_bytes) = (Instant::now(), EVENT_BYTES_AT_FIRST);
        Self { link, names, entity, backlog_max, last_event, event_bytes }
    }

    fn entries(&mut self, after: StreamId, count_max: usize) -> Result<Vec<Event>, String> {
        let start = format!("({after}");
        let count = count_max.min(READ_BYTES / self.event_bytes.max(1)).max(1).to_string();
        let stream = self.names.stream.as_bytes();
        let command = vec![b"XRANGE", stream, start.as_bytes(), b"+", b"COUNT", count.as_bytes()];
        let replies = self.link.read(&[command])?;
        let mut walk = replies.walk();
        let length = match walk.step() {
            Step::List(length) => length,
            Step::Error(text) => return Err(String::from_utf8_lossy(text).into_owned()),
            _ => 0,
        };
        if let Some(bytes) = replies.data.len().checked_div(length) {
            self.event_bytes = bytes.max(self.event_bytes / 2);
            // What a crash would take back must not be in the database.
            self.link.settle()?;
        }
        Ok((0..length).map(|_| event(&mut walk, &self.entity)).collect())
    }

    /// The totals that were told last.
    fn told(&mut self) -> Result<(u64, u64), String> {
        let command = vec![b"HMGET".as_slice(), self.names.totals.as_bytes(), b"applied", b"dead"];
        let replies = self.link.read(&[command])?;
        let mut walk = replies.walk();
        walk.list();
        Ok((walk.number().unwrap_or(0), walk.number().unwrap_or(0)))
    }

    fn tell(&mut self, report: &Applied<'_>) -> Result<(), String> {
        let (applied_before, dead_before) = self.told()?;
        let names = &self.names;
        let position = report.up_to.to_string();
        let (applied, dead) = (report.totals.applied, report.totals.dead);
        let [applied_text, dead_text] = [applied, dead].map(|number| number.to_string());
        let [more_applied, more_dead] = [(applied, applied_before), (dead, dead_before)]
            .map(|(now, before)| (i128::from(now) - i128::from(before)).to_string());
        let fresh = report.fresh.applied.to_string();
        let stream = names.stream.as_bytes();
        let mut step = vec![
            vec![b"SET".as_slice(), names.position.as_bytes(), position.as_bytes()],
            vec![
                b"HSET",
                names.totals.as_bytes(),
                b"applied",
                applied_text.as_bytes(),
                b"dead",
                dead_text.as_bytes(),
            ],
            vec![b"INCRBY", names.metric_success.as_bytes(), more_applied.as_bytes()],
            vec![b"INCRBY", names.metric_fail.as_bytes(), more_dead.as_bytes()],
            vec![b"XGROUP", b"SETID", stream, GROUP, position.as_bytes()],
        ];
        if report.fresh.applied > 0 {
            let fields = [b"up_to".as_slice(), position.as_bytes(), b"events", fresh.as_bytes()];
            step.push(log_entry(&names.log_success, &fields));
        }
        let letters: Vec<String> =
            report.dead_letters.iter().map(|letter| letter.event.id.to_string()).collect();
        for (letter, id) in report.dead_letters.iter().zip(&letters) {
            let mut fields: Vec<&[u8]> = vec![
                b"doc_id",
                &letter.event.document,
                b"event_type",
                letter.event.kind.word().as_bytes(),
                b"reason",
                letter.reason.as_bytes(),
            ];
            step.push(log_entry(
                &names.log_fail,
                &[&fields[..], &[b"event", id.as_bytes()]].concat(),
            ));
            if let Some(image) = &letter.event.image {
                fields.extend([b"image".as_slice(), image]);
            }
            // Told again, it has its id already, which is refused: so it stands there once.
            let words = [b"XADD".as_slice(), names.dead_letters.as_bytes(), id.as_bytes()];
            step.push([&words[..], &fields].concat());
        }
        // The entry at the position stays: by it one sees that the stream has not lost its end.
        step.push(vec![b"XTRIM", stream, b"MINID", b"=", position.as_bytes()]);
        self.link.write(&step)?;
        self.make_room()
    }

    /// Tells writers that there is room again, if they were told that there is none.
    fn make_room(&mut self) -> Result<(), String> {
        if self.backlog_max == 0 {
            return Ok(());
        }
        let (stream, full) = (self.names.stream.as_bytes(), self.names.full.as_bytes());
        let replies = self.link.read(&[vec![b"XLEN", stream], vec![b"EXISTS", full]])?;
        let mut walk = replies.walk();
        let (length, is_full) = (walk.number().unwrap_or(0), walk.number() == Some(1));
        if is_full && length <= self.backlog_max * ROOM_AT.0 / ROOM_AT.1 {
            let room = self.names.room.as_bytes();
            self.link.write(&[vec![b"DEL", full], vec![b"SET", room, b"1"]])?;
        }
        Ok(())
    }
}

/// An entry of a log that does not grow for ever.
fn log_entry<'a>(log: &'a str, fields: &[&'a [u8]]) -> Vec<&'a [u8]> {
    let mut words =
        vec![b"XADD".as_slice(), log.as_bytes(), b"MAXLEN", b"~", LOG_ENTRIES_MAX, b"*"];
    words.extend(fields);
    words
}

/// An entry of the stream as an event; one that is none keeps what it holds.
fn event(walk: &mut Walk<'_>, entity: &str) -> Event {
    walk.list();
    let id = walk.string().map(String::from_utf8_lossy);
    let id: StreamId = id.and_then(|id| id.parse().ok()).unwrap_or_default();
    let mut event = Event {
        id,
        entity: entity.to_owned(),
        document: Vec::new(),
        kind: EventKind::Unknown,
        timestamp_ms: 0,
        image: None,
        version: id.ms,
    };
    let mut other = Vec::new();
    for _ in 0..walk.list() / 2 {
        let name = walk.string().unwrap_or_default();
        let value = walk.string().unwrap_or_default();
        match name {
            b"doc_id" => event.document = value.to_vec(),
            b"event_type" => event.kind = EventKind::of(&String::from_utf8_lossy(value)),
            b"ts" => {
                let text = std::str::from_utf8(value).unwrap_or_default();
                event.timestamp_ms = text.parse().unwrap_or(0);
            }
            b"image" => event.image = Some(value.to_vec()),
            _ => other.extend([name, b"=", value, b" "].concat()),
        }
    }
    let lacks_image = event.image.is_none() && event.kind != EventKind::Delete;
    if event.document.is_empty() || lacks_image {
        event.kind = EventKind::Unknown;
    }
    if event.kind == EventKind::Unknown && event.image.is_none() && !other.is_empty() {
        event.image = Some(other);
    }
    event
}

impl Source for EventStream {
    fn read(
        &mut self,
        after: StreamId,
        count_max: usize,
        wait: Duration,
    ) -> Result<Vec<Event>, SourceFault> {
        let until = Instant::now() + wait;
        loop {
            let events = self.entries(after, count_max).map_err(SourceFault)?;
            let now = Instant::now();
            if !events.is_empty() {
                self.last_event = now;
                return Ok(events);
            }
            if now >= until {
                return Ok(events);
            }
            let is_at_rest = now - self.last_event > REST_AFTER;
            let pause = if is_at_rest { LOOK_AFTER_AT_REST } else { LOOK_AFTER };
            thread::sleep(pause.min(until - now));
        }
    }

    fn extent(&mut self, position: StreamId) -> Result<Extent, SourceFault> {
        let stream = self.names.stream.as_bytes();
        let at = position.to_string();
        let commands = [
            vec![b"XINFO".as_slice(), b"STREAM", stream],
            vec![b"XRANGE".as_slice(), stream, at.as_bytes(), at.as_bytes()],
        ];
        let replies = self.link.read(&commands).map_err(SourceFault)?;
        let mut walk = replies.walk();
        let mut extent = Extent::default();
        match walk.step() {
            Step::List(length) => {
                let waiting = stream_facts(&mut walk, length / 2, &mut extent);
                extent.holds_position = walk.list() > 0;
                // After a trim up to the position, only it and what is behind it are there.
                if extent.first.is_none_or(|first| first >= position) {
                    extent.behind = Some(waiting - u64::from(extent.holds_position).min(waiting));
                }
            }
            // There is no stream yet.
            Step::Error(text) if text.starts_with(b"ERR no such key") => extent.behind = Some(0),
            Step::Error(text) => {
                return Err(SourceFault(String::from_utf8_lossy(text).into_owned()));
            }
            _ => {}
        }
        Ok(extent)
    }

    fn mirrored(&mut self) -> Result<StreamId, SourceFault> {
        let command = vec![b"GET".as_slice(), self.names.position.as_bytes()];
        let replies = self.link.read(&[command]).map_err(SourceFault)?;
        let text = replies.walk().string().map(String::from_utf8_lossy).unwrap_or_default();
        Ok(text.parse().unwrap_or_default())
    }

    fn applied(&mut self, report: &Applied<'_>) -> Result<(), SourceFault> {
        self.tell(report).map_err(SourceFault)
    }
}

/// What XINFO STREAM says; how many entries there are.
fn stream_facts(walk: &mut Walk<'_>, pairs: usize, extent: &mut Extent) -> u64 {
    let mut length = 0;
    let id =
        |text: Option<&[u8]>| -> Option<StreamId> { String::from_utf8_lossy(text?).parse().ok() };
    for _ in 0..pairs {
        match walk.string().unwrap_or_default() {
            b"length" => length = walk.number().unwrap_or(0),
            b"last-generated-id" => extent.last = id(walk.string()).unwrap_or_default(),
            b"max-deleted-entry-id" => extent.deleted_max = id(walk.string()).unwrap_or_default(),
            b"entries-added" => extent.added = walk.number().unwrap_or(0),
            b"first-entry" => {
                if let Step::List(elements) = walk.step() {
                    extent.first = id(walk.string());
                    walk.skip(elements.saturating_sub(1));
                }
            }
            _ => walk.skip(1),
        }
    }
    length
}
