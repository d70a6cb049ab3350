//! The keyspace of this process.

use std::sync::Arc;

use reef_engine::backend::{
    Backend, Batch, Caller, CommandColumns, Guards, Items, OnError, StepError,
};
use reef_engine::grants::Grants;
use reef_resp::{OwnedArgv, Protocol, Writer};
use reef_runtime::Plugins;
use reef_server::Store;

use super::link::{Link, Replies, Words};
use super::remote;

/// The way to the keyspace of this process.
pub(crate) struct LocalLink {
    store: Arc<Store>,
    plugins: Arc<Plugins>,
    caller: Caller,
    grants: Grants,
    writer: Writer,
    columns: Columns,
}

/// Commands as a backend takes them.
#[derive(Default)]
struct Columns {
    counts: Vec<u32>,
    lengths: Vec<u32>,
    data: Vec<u8>,
}

impl Columns {
    fn fill(&mut self, commands: &[Words<'_>]) {
        self.counts.clear();
        self.lengths.clear();
        self.data.clear();
        for words in commands {
            self.counts.push(words.len() as u32);
            for word in words {
                self.lengths.push(word.len() as u32);
                self.data.extend_from_slice(word);
            }
        }
    }

    fn as_columns(&self) -> CommandColumns<'_> {
        CommandColumns { counts: &self.counts, lengths: &self.lengths, data: &self.data }
    }
}

impl LocalLink {
    /// Into this database.
    pub(crate) fn new(store: Arc<Store>, plugins: Arc<Plugins>, database: u32) -> Self {
        let caller = Caller { client_id: 0, user: "write-behind".into(), database };
        let writer = Writer::new(Protocol::Columns);
        Self { store, plugins, caller, grants: Grants::all(), writer, columns: Columns::default() }
    }

    fn take(&mut self) -> Replies {
        let (nodes, data) = self.writer.take_columns();
        Replies { nodes, data }
    }
}

impl Link for LocalLink {
    fn read(&mut self, commands: &[Words<'_>]) -> Result<Replies, String> {
        if !self.store.may_trigger() {
            // Its primary has the pipeline; this one takes over when it is promoted.
            return Err("this server is a replica".into());
        }
        self.columns.fill(commands);
        self.writer.clear();
        let columns = self.columns.as_columns();
        let (caller, grants, writer) = (&self.caller, &self.grants, &mut self.writer);
        self.store
            .read(caller, grants, columns, Items::default(), writer, &mut Vec::new())
            .map_err(|error| text(&error))?;
        Ok(self.take())
    }

    fn write(&mut self, commands: &[Words<'_>]) -> Result<Replies, String> {
        self.columns.fill(commands);
        self.writer.clear();
        let batch = Batch {
            guards: Guards::default(),
            commands: self.columns.as_columns(),
            on_error: OnError::KeepGoing,
            discard_replies: false,
        };
        let (caller, grants, writer) = (&self.caller, &self.grants, &mut self.writer);
        self.store.apply(caller, grants, &batch, writer).map_err(|error| text(&error))?;
        Ok(self.take())
    }

    fn command(&mut self, words: &[&[u8]]) -> Result<Replies, String> {
        if let Some(reply) = self.plugins.run(&self.caller, words) {
            return remote::parsed(&reply);
        }
        let mut argv = OwnedArgv::new();
        words.iter().for_each(|word| argv.push(word));
        let mut reply = Writer::new(Protocol::Resp2);
        self.store.run(&self.caller, argv.as_argv(), &mut reply);
        remote::parsed(reply.data())
    }

    fn settle(&mut self) -> Result<(), String> {
        self.store.settle()
    }
}

fn text(error: &StepError) -> String {
    match error {
        StepError::AccessDenied(text)
        | StepError::InvalidCommand(_, text)
        | StepError::RolledBack(_, text)
        | StepError::ReadOnly(text)
        | StepError::QuotaExceeded(text)
        | StepError::Other(text) => text.clone(),
        StepError::OutOfMemory => "the server is out of memory".into(),
        StepError::BatchTooLarge => "the step is too large".into(),
        StepError::CrossSlot => "the keys are not in one slot".into(),
        StepError::Stopped => "the server stops".into(),
    }
}
