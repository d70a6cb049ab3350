//! One running pipeline: begins it, tells how it is, and does what people ask.
//!
//! How it is stands in the hash `<prefix>:status:<entity>`, written when it changes. What people ask
//! comes as an element of the list `<prefix>:requests:<entity>`, `ID WORD [ID-OF-EVENT ...]`, and is
//! answered in the list `<prefix>:answers:ID`, so that it can be asked from anywhere the keyspace can be
//! reached, and by whoever may write there.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::Mutex;
use reef_runtime::Sink;
use reef_sinks::{
    DeadLetter, Event, EventKind, Pipeline, Remedy, Selection, Settled, State, Status, StreamId,
    TargetFault,
};

use super::link::Link;
use super::{Recipe, beginning, document};
use crate::config::pipeline::Mapping;

/// How often it is looked whether something has changed or is asked.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long an answer is kept for whoever asked.
const ANSWER_SECONDS: &[u8] = b"60";
/// Dead letters that are read from the database at once.
const DEAD_LETTERS_PER_PAGE: usize = 1_000;

/// A pipeline that is looked after. Dropping it stops the pipeline.
pub(crate) struct Supervisor {
    pipeline: Current,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// The pipeline that runs: another one after its sink was replaced.
#[derive(Clone)]
struct Current(Arc<Mutex<Arc<Pipeline>>>);

impl Current {
    fn get(&self) -> Arc<Pipeline> {
        Arc::clone(&self.0.lock())
    }
}

struct Watch {
    pipeline: Current,
    sink: Arc<Sink>,
    stop: Arc<AtomicBool>,
    is_prepared: bool,
    link: Box<dyn Link>,
    recipe: Recipe,
}

impl Supervisor {
    pub(super) fn start(recipe: Recipe, sink: Arc<Sink>) -> Result<Self, String> {
        let pipeline = Current(Arc::new(Mutex::new(Arc::new(recipe.pipeline(&sink)?))));
        let stop = Arc::new(AtomicBool::new(false));
        let mut link = (recipe.open)();
        // What clients expect to be there is, when the server says that it is ready.
        let is_prepared = beginning::prepare(&mut *link, &recipe.file).is_ok();
        let watch = Watch {
            pipeline: pipeline.clone(),
            sink,
            stop: Arc::clone(&stop),
            is_prepared,
            link,
            recipe,
        };
        let thread = thread::Builder::new().name("write-behind".into()).spawn(|| watch.run()).ok();
        Ok(Self { pipeline, stop, thread })
    }

    /// How it is.
    pub(crate) fn status(&self) -> Status {
        self.pipeline.get().status()
    }

    /// Waits until everything that was in the stream is in the database; whether that came to pass.
    pub(crate) fn wait_until_drained(&self, longest: Duration) -> bool {
        self.pipeline.get().wait_for(longest, |status| {
            status.state == State::Running
                && status.lag == 0
                && status.position >= status.stream_last
        })
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so itself.
            let _ = thread.join();
        }
        self.pipeline.get().stop();
    }
}

impl Watch {
    fn run(mut self) {
        let mut told = Vec::new();
        let mut has_begun = false;
        while !self.stop.load(Ordering::SeqCst) {
            if !has_begun {
                // What cannot be made now is tried again; the events do not wait for it.
                match self.begin() {
                    Ok(()) => has_begun = true,
                    Err(reason) => tracing::debug!("write-behind: {reason}"),
                }
            }
            self.tell(&mut told);
            while !self.stop.load(Ordering::SeqCst) && self.answer() {}
            thread::sleep(LOOK_EVERY);
        }
    }

    fn begin(&mut self) -> Result<(), String> {
        if !self.is_prepared {
            beginning::prepare(&mut *self.link, &self.recipe.file)?;
            self.is_prepared = true;
        }
        beginning::snapshot(&mut *self.link, &self.recipe.file)
    }

    /// Writes down how it is, if that has changed.
    fn tell(&mut self, told: &mut Vec<(&'static str, String)>) {
        let status = self.pipeline.get().status();
        let now = self.facts(&status);
        if now == *told {
            return;
        }
        if told.first() != now.first() {
            tracing::info!("write-behind {}: {}", self.recipe.file.stream(), words(&status.state));
        }
        let key = self.key("status");
        let mut command = vec![b"HSET".as_slice(), key.as_bytes()];
        for (name, value) in &now {
            command.extend([name.as_bytes(), value.as_bytes()]);
        }
        if self.link.write(&[command]).is_ok() {
            *told = now;
        }
    }

    fn facts(&self, status: &Status) -> Vec<(&'static str, String)> {
        vec![
            ("state", words(&status.state)),
            ("database", self.recipe.destination.describe()),
            ("position", status.position.to_string()),
            ("lag", status.lag.to_string()),
            ("applied", status.totals.applied.to_string()),
            ("skipped", status.totals.skipped.to_string()),
            ("dead", status.totals.dead.to_string()),
        ]
    }

    fn key(&self, what: &str) -> String {
        format!(
            "{}:{what}:{}",
            self.recipe.file.streams.prefix, self.recipe.file.write_behind.entity
        )
    }

    /// Answers one request, if there is one.
    fn answer(&mut self) -> bool {
        let requests = self.key("requests");
        let Ok(replies) = self.link.write(&[vec![b"LPOP", requests.as_bytes()]]) else {
            return false;
        };
        let Some(request) =
            replies.walk().string().map(|text| String::from_utf8_lossy(text).into_owned())
        else {
            return false;
        };
        let (id, request) = request.split_once(' ').unwrap_or((&request, ""));
        let answer = self.do_it(request);
        let key = format!("{}:answers:{id}", self.recipe.file.streams.prefix);
        let told = self.link.write(&[
            vec![b"RPUSH", key.as_bytes(), answer.as_bytes()],
            vec![b"EXPIRE", key.as_bytes(), ANSWER_SECONDS],
        ]);
        told.is_ok()
    }

    fn do_it(&mut self, request: &str) -> String {
        let mut words = request.split_whitespace();
        let word = words.next().unwrap_or_default();
        let ids: Result<Vec<StreamId>, String> = words.map(str::parse).collect();
        let selection = match ids {
            Ok(ids) if ids.is_empty() => Selection::All,
            Ok(ids) => Selection::Ids(ids),
            Err(reason) => return format!("error {reason}"),
        };
        let remedy = match word {
            "resume" => {
                self.pipeline.get().resume();
                return "done".into();
            }
            "accept" => {
                self.pipeline.get().accept();
                return "done".into();
            }
            "replace-sink" => {
                return match self.replace_sink() {
                    Ok(()) => "done".into(),
                    Err(reason) => format!("error {reason}"),
                };
            }
            "drop" => Remedy::Drop,
            "replay" => self.replay(),
            _ => return format!("error no request is called '{word}'"),
        };
        let mut total = Settled::default();
        for settled in self.pipeline.get().remedy(selection, remedy) {
            total.settled += settled.settled;
            total.failed += settled.failed;
        }
        if let Err(reason) = self.forget_dead_letters() {
            tracing::warn!(
                "write-behind: the copy of the dead letters is not up to date: {reason}"
            );
        }
        format!("settled {} failed {}", total.settled, total.failed)
    }

    /// Goes on with the sink as it is now; what waits in the stream goes through the new one. A sink that is
    /// refused changes nothing.
    fn replace_sink(&mut self) -> Result<(), String> {
        let sink = self.recipe.sink()?;
        // The one before is not fenced by its successor: it has ended.
        self.pipeline.get().stop();
        let (pipeline, outcome) = match self.recipe.pipeline(&sink) {
            Ok(pipeline) => {
                self.sink = sink;
                (pipeline, Ok(()))
            }
            Err(reason) => (self.recipe.pipeline(&self.sink)?, Err(reason)),
        };
        *self.pipeline.0.lock() = Arc::new(pipeline);
        outcome
    }

    /// Dead letters become what their documents are now, so that an old one does not overwrite what
    /// came later; those of a ledger, and entries that were no events, what they were.
    fn replay(&self) -> Remedy {
        let is_ledger = self.recipe.file.write_behind.mapping == Mapping::Ledger;
        let carrying = &self.recipe.file.write_behind;
        let prefix = carrying.capture.clone().unwrap_or_else(|| format!("{}:", carrying.entity));
        let mut link = (self.recipe.open)();
        Remedy::Replay(Box::new(move |letter| {
            if is_ledger || letter.event.kind == EventKind::Unknown {
                return Some(letter.event);
            }
            // What cannot be read now stays a dead letter.
            let image = document::read(&mut *link, &prefix, &letter.event.document).ok()?;
            let kind = if image.is_some() { EventKind::Update } else { EventKind::Delete };
            Some(Event { kind, image, ..letter.event })
        }))
    }

    /// Takes those out of the copy in the keyspace that the database has no longer.
    fn forget_dead_letters(&mut self) -> Result<(), String> {
        let there = self.dead_letters().map_err(|fault| fault.to_string())?;
        let copy = format!("dlq:{}", self.recipe.file.stream());
        let copy = copy.as_bytes();
        let replies = self.link.read(&[vec![b"XRANGE", copy, b"-", b"+"]])?;
        let mut walk = replies.walk();
        let mut gone: Vec<String> = Vec::new();
        for _ in 0..walk.list() {
            let elements = walk.list();
            let id = String::from_utf8_lossy(walk.string().unwrap_or_default()).into_owned();
            walk.skip(elements.saturating_sub(1));
            if id.parse().is_ok_and(|id| !there.contains(&id)) {
                gone.push(id);
            }
        }
        if gone.is_empty() {
            return Ok(());
        }
        let mut command = vec![b"XDEL".as_slice(), copy];
        command.extend(gone.iter().map(String::as_bytes));
        self.link.write(&[command]).map(drop)
    }

    /// Ids of the dead letters in the database.
    fn dead_letters(&self) -> Result<HashSet<StreamId>, TargetFault> {
        let stream = self.recipe.file.stream();
        let mut ids = HashSet::new();
        let mut after = StreamId::ZERO;
        loop {
            let (database, most) = (&*self.recipe.destination, DEAD_LETTERS_PER_PAGE);
            let page = DeadLetter::list(database, &stream, after, most)?;
            let Some(last) = page.last() else { return Ok(ids) };
            after = last.event.id;
            ids.extend(page.iter().map(|letter| letter.event.id));
        }
    }
}

/// A state in words.
pub(crate) fn words(state: &State) -> String {
    match state {
        State::Starting => "starting".into(),
        State::Running => "running".into(),
        State::Paused { reason } => format!("paused: {reason}"),
        State::Down { reason, .. } => format!("down: {reason}"),
        State::Fenced => "fenced: another host has the pipeline".into(),
        State::Alarm { reason } => format!("alarm: {reason}"),
        State::Stopped => "stopped".into(),
    }
}
