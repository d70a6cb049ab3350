//! Builders for what a plugin sends: a [`Query`] (read-only commands at one instant) and a
//! [`Batch`] (guards and commands, all or nothing).
//!
//! Both are laid out in columns from the start, so nothing is rearranged at the border and the
//! number of allocations does not depend on the number of commands.

use std::cell::Cell;

use crate::Argument;
use crate::bindings::reef::plugin::engine::{self, OnError};
use crate::bindings::reef::plugin::types::{self, Guards, ItemsParam};

/// Room for a few keys.
const BYTES_AT_FIRST: usize = 128;
/// Room for the commands of an ordinary batch, their arguments and bytes: growing costs a guest more
/// than space that is not used.
const COMMANDS_AT_FIRST: (usize, usize, usize) = (8, 32, 1024);
/// Bytes of a batch whose space is kept for the next one.
const SPARE_BYTES_MAX: usize = 4096;

thread_local! {
    /// The space of the commands that were dropped last: an instance builds one batch after the other.
    static SPARE: Cell<Option<(Vec<u32>, Items)>> = const { Cell::new(None) };
}

/// A list of byte strings: one length per item, then all bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Items {
    pub(crate) lengths: Vec<u32>,
    pub(crate) data: Vec<u8>,
}

impl Items {
    pub(crate) fn push(&mut self, item: impl Argument) {
        if self.data.capacity() == 0 {
            // A key is written in parts: without this, each part would grow the buffer.
            self.data.reserve(BYTES_AT_FIRST);
        }
        let start = self.data.len();
        item.write(&mut self.data);
        self.lengths.push(length(self.data.len() - start));
    }

    pub(crate) fn as_param(&self) -> ItemsParam<'_> {
        ItemsParam { lengths: &self.lengths, data: &self.data }
    }
}

/// A length that crosses the border. wasm memory ends before such a length does.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("an argument is smaller than the memory of a plugin")
}

/// Any number of commands.
#[derive(Clone, Debug, Default)]
struct Commands {
    counts: Vec<u32>,
    arguments: Items,
}

impl Commands {
    fn command(&mut self, name: &str) -> CommandWriter<'_> {
        if self.counts.capacity() == 0 {
            let (commands, arguments, bytes) = COMMANDS_AT_FIRST;
            self.reserve(commands, arguments, bytes);
        }
        self.counts.push(0);
        CommandWriter { commands: self }.arg(name)
    }

    /// Makes room where there is none yet.
    fn reserve(&mut self, commands: usize, arguments: usize, bytes: usize) {
        if let Some((counts, arguments)) = SPARE.take() {
            (self.counts, self.arguments) = (counts, arguments);
        }
        self.counts.reserve_exact(commands);
        self.arguments.lengths.reserve_exact(arguments);
        self.arguments.data.reserve_exact(bytes);
    }

    fn as_param(&self) -> types::Commands<'_> {
        types::Commands {
            counts: &self.counts,
            lengths: &self.arguments.lengths,
            data: &self.arguments.data,
        }
    }
}

impl Drop for Commands {
    fn drop(&mut self) {
        let Items { lengths, data } = &mut self.arguments;
        if self.counts.capacity() == 0 || data.capacity() > SPARE_BYTES_MAX {
            return;
        }
        self.counts.clear();
        lengths.clear();
        data.clear();
        let space = (std::mem::take(&mut self.counts), std::mem::take(&mut self.arguments));
        // A thread that ends keeps nothing.
        let _ = SPARE.try_with(|spare| spare.set(Some(space)));
    }
}

/// Takes the arguments of the command begun last.
#[derive(Debug)]
pub struct CommandWriter<'a> {
    commands: &'a mut Commands,
}

impl CommandWriter<'_> {
    /// Adds one argument.
    pub fn arg(self, argument: impl Argument) -> Self {
        self.commands.arguments.push(argument);
        if let Some(count) = self.commands.counts.last_mut() {
            *count += 1;
        }
        self
    }

    /// Adds several arguments.
    pub fn args(self, arguments: impl IntoIterator<Item = impl Argument>) -> Self {
        arguments.into_iter().fold(self, Self::arg)
    }
}

/// Read-only commands to run, and keys whose versions are wanted, all at one instant.
#[derive(Clone, Debug, Default)]
pub struct Query {
    commands: Commands,
    watched: Items,
}

impl Query {
    /// A query that asks nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a command.
    pub fn command(&mut self, name: &str) -> CommandWriter<'_> {
        self.commands.command(name)
    }

    /// Asks for the version of a key; versions come in the order of these calls.
    pub fn watch(&mut self, key: impl Argument) -> &mut Self {
        self.watched.push(key);
        self
    }

    /// `GET key`.
    pub fn get(&mut self, key: impl Argument) -> &mut Self {
        self.command("GET").arg(key);
        self
    }

    #[doc(hidden)]
    #[must_use]
    pub fn as_params(&self) -> (types::Commands<'_>, ItemsParam<'_>) {
        (self.commands.as_param(), self.watched.as_param())
    }
}

/// Commands that run as one step, if the guards hold. When one fails, all are undone.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    commands: Commands,
    guarded: Items,
    versions: Vec<u64>,
    absent: Items,
    keep_going: bool,
    discard_replies: bool,
}

impl Batch {
    /// A batch without commands: undone as a whole when a command fails.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty batch with room for this many commands, arguments and bytes, so that building it
    /// allocates once per column.
    #[must_use]
    pub fn with_capacity(commands: usize, arguments: usize, bytes: usize) -> Self {
        let mut batch = Self::default();
        batch.commands.reserve(commands, arguments, bytes);
        batch
    }

    /// The batch runs only if this key still has this version.
    pub fn guard(&mut self, key: impl Argument, version: u64) -> &mut Self {
        self.guarded.push(key);
        self.versions.push(version);
        self
    }

    /// The batch runs only if this key does not exist. Among the indexes of
    /// [`Outcome::Stale`](crate::Outcome::Stale) these come after all of [`Batch::guard`].
    pub fn absent(&mut self, key: impl Argument) -> &mut Self {
        self.absent.push(key);
        self
    }

    /// The failure of one command does not undo the others: its error is its reply, as in EXEC.
    pub fn keep_going(&mut self) -> &mut Self {
        self.keep_going = true;
        self
    }

    /// Replies are not wanted: they come back empty, which is cheaper.
    pub fn discard_replies(&mut self) -> &mut Self {
        self.discard_replies = true;
        self
    }

    /// Begins a command.
    pub fn command(&mut self, name: &str) -> CommandWriter<'_> {
        self.commands.command(name)
    }

    /// Adds a whole command: `batch.run("DEL", ["a", "b"])`.
    pub fn run(
        &mut self,
        name: &str,
        arguments: impl IntoIterator<Item = impl Argument>,
    ) -> &mut Self {
        self.command(name).args(arguments);
        self
    }

    /// `SET key value`.
    pub fn set(&mut self, key: impl Argument, value: impl Argument) -> &mut Self {
        self.command("SET").arg(key).arg(value);
        self
    }

    /// `DEL key`.
    pub fn del(&mut self, key: impl Argument) -> &mut Self {
        self.command("DEL").arg(key);
        self
    }

    /// `INCRBY key amount`.
    pub fn incr_by(&mut self, key: impl Argument, amount: i64) -> &mut Self {
        self.command("INCRBY").arg(key).arg(amount);
        self
    }

    /// `SADD key member`.
    pub fn sadd(&mut self, key: impl Argument, member: impl Argument) -> &mut Self {
        self.command("SADD").arg(key).arg(member);
        self
    }

    /// `SREM key member`.
    pub fn srem(&mut self, key: impl Argument, member: impl Argument) -> &mut Self {
        self.command("SREM").arg(key).arg(member);
        self
    }

    /// How many commands the batch has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.commands.counts.len()
    }

    /// Whether the batch has no command.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.commands.counts.is_empty()
    }

    #[doc(hidden)]
    #[must_use]
    pub fn as_param(&self) -> engine::Batch<'_> {
        engine::Batch {
            guards: Guards {
                keys: self.guarded.as_param(),
                versions: &self.versions,
                absent: self.absent.as_param(),
            },
            commands: self.commands.as_param(),
            on_error: if self.keep_going { OnError::KeepGoing } else { OnError::RollBack },
            discard_replies: self.discard_replies,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Joined;

    #[test]
    fn a_batch_is_laid_out_in_columns() {
        let mut batch = Batch::new();
        batch.guard("g", 7).absent(Joined(&[b"a:", b"b"]));
        batch.set("k", 42_u64).run("DEL", ["x", "yy"]).discard_replies();
        let param = batch.as_param();
        assert_eq!(param.commands.counts, [3, 3]);
        assert_eq!(param.commands.lengths, [3, 1, 2, 3, 1, 2]);
        assert_eq!(param.commands.data, b"SETk42DELxyy");
        assert_eq!(param.guards.keys.data, b"g");
        assert_eq!(param.guards.versions, [7]);
        assert_eq!(param.guards.absent.lengths, [3]);
        assert!(param.discard_replies);
        assert!(matches!(param.on_error, OnError::RollBack));
        assert_eq!(batch.len(), 2);
    }

    #[test]
    fn the_space_of_a_batch_is_the_next_ones_and_nothing_that_was_in_it() {
        let mut batch = Batch::new();
        batch.set("secret", "x".repeat(2_000));
        let space = batch.as_param().commands.data.as_ptr();
        drop(batch);
        let mut query = Query::new();
        query.get("k");
        let (commands, _) = query.as_params();
        assert_eq!(commands.data.as_ptr(), space);
        assert_eq!((commands.counts, commands.data), ([2].as_slice(), b"GETk".as_slice()));
        drop(query);
        // Much space is given back.
        drop(Batch::with_capacity(1, 2, SPARE_BYTES_MAX + 1));
        assert!(
            SPARE.take().is_none_or(|(_, Items { data, .. })| data.capacity() <= SPARE_BYTES_MAX)
        );
    }

    #[test]
    fn a_query_keeps_commands_and_watched_keys_apart() {
        let mut query = Query::new();
        query.get("k").watch("k").watch("other");
        let (commands, watched) = query.as_params();
        assert_eq!((commands.counts, commands.data), ([2].as_slice(), b"GETk".as_slice()));
        assert_eq!((watched.lengths, watched.data), ([1, 5].as_slice(), b"kother".as_slice()));
    }
}
