//! What is added to a batch so that the change in it is an event.

use reef_sdk::{Batch, Host};

use crate::id;
use crate::settings::Settings;

/// Entries that a log of calls keeps, about.
const LOG_ENTRIES_MAX: u64 = 10_000;

/// What happened to a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Insert,
    Update,
    Delete,
}

impl Kind {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// One event of one document.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event<'a> {
    pub(crate) entity: &'a [u8],
    pub(crate) id: &'a [u8],
    pub(crate) kind: Kind,
    /// The document after the change; not for a delete.
    pub(crate) image: Option<&'a [u8]>,
    pub(crate) now_ms: u64,
}

/// The stream in which the events of a document are.
pub(crate) fn stream(settings: &Settings, entity: &[u8], id: &[u8]) -> Vec<u8> {
    let mut name = [settings.prefix.as_bytes(), b":", entity].concat();
    if settings.parts > 1 {
        let part = id::part(id, settings.parts);
        name.extend_from_slice(format!(":{part}").as_bytes());
    }
    name
}

impl Event<'_> {
    /// The event itself.
    pub(crate) fn add(&self, batch: &mut Batch, settings: &Settings) {
        let stream = stream(settings, self.entity, self.id);
        let command = batch.command("XADD").arg(&*stream).arg("*");
        let command = command.arg("ts").arg(self.now_ms).arg("doc_id").arg(self.id);
        let command = command.arg("event_type").arg(self.kind.word());
        if let Some(image) = self.image {
            command.arg("image").arg(image);
        }
    }

    /// The event, the count of it, and what the log says, after some attempts that lost their race.
    pub(crate) fn record(&self, batch: &mut Batch, settings: &Settings, retries: u32) {
        if !settings.follows(self.entity) {
            self.add(batch, settings);
        }
        batch.incr_by("metrics:redis_success", 1);
        self.tell(batch, settings.logs.success.as_deref(), "");
        if retries > 0 {
            batch.incr_by("metrics:redis_retry", i64::from(retries));
            self.tell(batch, settings.logs.retry.as_deref(), &retries.to_string());
        }
    }

    /// Counts a change that was refused. What cannot be written down is not: the error that the
    /// caller gets is the first one.
    pub(crate) fn refused(&self, host: &mut dyn Host, settings: &Settings, reason: &str) {
        let mut batch = Batch::new();
        batch.incr_by("metrics:redis_fail", 1);
        self.tell(&mut batch, settings.logs.fail.as_deref(), reason);
        batch.discard_replies();
        let _ = host.apply(&batch);
    }

    /// One entry of a log.
    fn tell(&self, batch: &mut Batch, log: Option<&str>, detail: &str) {
        let Some(log) = log else { return };
        let command = batch.command("XADD").arg(log).arg("MAXLEN").arg("~").arg(LOG_ENTRIES_MAX);
        let command = command.arg("*").arg("ts").arg(self.now_ms).arg("entity").arg(self.entity);
        let command = command.arg("doc_id").arg(self.id);
        let command = command.arg("event_type").arg(self.kind.word());
        if !detail.is_empty() {
            command.arg("detail").arg(detail);
        }
    }
}
