//! Search indexes where data is kept and copied: what a snapshot says of them, how the log and replicas
//! are told, and the walk over keys that were there before an index.
//!
//! A snapshot has the commands that lead to the indexes in fields of its header, which stock servers pass
//! over, each behind the number of its engine's first database. In the log and in the stream such a
//! command is the message of a PING, so that stock servers pass over it as well.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use reef_engine::clock::Millis;
use reef_engine::commands::drop_unused_indexes;
use reef_engine::gates::Pause;
use reef_engine::keyspace::{INDEX_FIELD, Keyspace, ShardSet, Shards, index_fields, restore_index};
use reef_resp::{Argv, Decoder, Limits, OwnedArgv, Progress};

use crate::notices::{message_of, ping};
use crate::server::Shared;
use crate::store::Store;
use crate::tenants::Route;

/// What a search command begins with.
const FAMILY: &[u8] = b"FT.";
/// How many keys an index sees at a time for which it came too late.
const SLICE_KEYS: usize = 64;

/// The fields of a snapshot that say which indexes an engine has.
pub(crate) fn fields_of(first_database: u32, shards: &Shards<'_>) -> Vec<(&'static str, Vec<u8>)> {
    let indexes = shards.iter().next().map(|(_, shard)| index_fields(shard)).unwrap_or_default();
    let numbered =
        |field: Vec<u8>| [format!("{first_database}\n").as_bytes(), field.as_slice()].concat();
    indexes.into_iter().map(|field| (INDEX_FIELD, numbered(field))).collect()
}

/// The engine's database that a field is about, and the command.
pub(crate) fn read_field<'f>(name: &[u8], value: &'f [u8]) -> Option<(u32, &'f [u8])> {
    if name != INDEX_FIELD.as_bytes() {
        return None;
    }
    let end = value.iter().position(|byte| *byte == b'\n')?;
    let number = std::str::from_utf8(value.get(..end)?).ok()?.parse().ok()?;
    Some((number, value.get(end + 1..)?))
}

/// A command in RESP as its words.
pub(crate) fn words_of(command: &[u8]) -> Option<OwnedArgv> {
    let limits = Limits { bulk_bytes_max: i64::MAX, authenticated: true };
    let mut decoder = Decoder::new();
    match decoder.decode(command, &limits) {
        Ok(Progress::Command { used }) if used == command.len() => {
            Some(decoder.argv(command).iter().collect())
        }
        _ => None,
    }
}

/// Whether an effect is one that stock servers do not know.
#[inline]
fn is_about_indexes(effect: &[u8]) -> bool {
    // `*3\r\n$9\r\nFT.CREATE...`: most counts and lengths have one digit, and all others are looked
    // for, behind the second line.
    match effect {
        [b'*', _, b'\r', _, b'$', _, b'\r', _, name @ ..] => is_search(name),
        _ => is_search(effect.splitn(3, |byte| *byte == b'\n').nth(2).unwrap_or_default()),
    }
}

/// Whether a command's name, or what begins with it, is of the family.
fn is_search(name: &[u8]) -> bool {
    name.get(..FAMILY.len()).is_some_and(|head| head.eq_ignore_ascii_case(FAMILY))
}

/// An effect as stock servers can read it.
#[inline]
pub(crate) fn as_copied(effect: &[u8]) -> Cow<'_, [u8]> {
    if is_about_indexes(effect) { Cow::Owned(ping(effect)) } else { Cow::Borrowed(effect) }
}

/// The search command that a copied one stands for.
pub(crate) fn as_run(argv: Argv<'_>) -> Option<OwnedArgv> {
    let words = words_of(message_of(argv)?)?;
    is_search(words.as_argv().get(0)).then_some(words)
}

impl Shared {
    /// Drops temporary indexes of all engines that nobody has used for too long.
    pub(crate) fn drop_unused_indexes(&self, now: Millis) {
        self.store.drop_unused_indexes(now);
        for tenant in self.tenants.all().iter() {
            tenant.store.drop_unused_indexes(now);
        }
    }

    /// Makes an index that a snapshot has, before its keys come.
    pub(crate) fn restore_index(&self, number: u32, command: &[u8]) {
        let mut route = Route::default();
        if route.select(self, number).is_none() {
            tracing::warn!("an index is passed over: nobody has a database {number}");
            return;
        }
        let store = route.store(self).clone();
        let restored = store.freeze(|shards| restore_index(shards, &store.rules(), command));
        if let Err(error) = restored {
            tracing::warn!("an index is passed over: {error}");
        }
    }

    /// Lets indexes of all engines see more of the keys for which they came too late.
    pub(crate) fn index_more(&self) {
        self.store.index_more();
        for tenant in self.tenants.all().iter() {
            tenant.store.index_more();
        }
    }

    /// Whether some index has not seen all keys.
    pub(crate) fn is_indexing(&self) -> bool {
        let is_indexing = |store: &Arc<Store>| store.indexing.load(Ordering::Relaxed);
        is_indexing(&self.store) || self.tenants.all().iter().any(|one| is_indexing(&one.store))
    }
}

impl Store {
    /// Drops temporary indexes that nobody has used for too long. On a replica that is for the
    /// primary to say. Cheap if there are none.
    pub(crate) fn drop_unused_indexes(&self, now: Millis) {
        if self.is_replica() || self.pause_at(now) != Pause::Nothing {
            return;
        }
        if !self.with_shard_fairly(0, |shard| shard.has_temporary_indexes()) {
            return;
        }
        self.run_unasked(0, ShardSet::all(self.shard_count()), |cx| {
            drop_unused_indexes(cx);
            self.note_indexing(&cx.keys);
        });
    }

    /// Notes whether some index has not seen all keys; all shards are held.
    pub(crate) fn note_indexing(&self, keys: &Keyspace<'_>) {
        self.indexing.store(keys.is_scanning(), Ordering::Relaxed);
    }

    /// Lets indexes see some more keys in every shard. Cheap if they have seen all.
    pub(crate) fn index_more(&self) {
        if !self.indexing.load(Ordering::Relaxed) {
            return;
        }
        let rules = self.rules();
        let mut is_over = true;
        for index in 0..self.shard_count() {
            let left = self.with_shard_fairly(index, |shard| shard.index_more(SLICE_KEYS, &rules));
            is_over &= !left;
        }
        if is_over {
            // Another index may have come meanwhile.
            self.freeze(|shards| {
                let is_scanning = shards.iter().any(|(_, shard)| shard.is_indexing());
                self.indexing.store(is_scanning, Ordering::Relaxed);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn search_commands_travel_as_pings() {
        let create = b"*3\r\n$9\r\nft.create\r\n$1\r\ni\r\n$1\r\nx\r\n";
        let copied = as_copied(create);
        assert!(copied.starts_with(b"*2\r\n$4\r\nPING\r\n"));
        let words = words_of(&copied).expect("a command");
        let run = as_run(words.as_argv()).expect("a search command");
        assert_eq!(run.as_argv().get(0), b"ft.create");
        for long in
            [&b"*3\r\n$12\r\nFT.DROPINDEX\r\n$1\r\ni\r\n$2\r\nDD\r\n"[..], b"*10\r\n$8\r\nFT.ALTER"]
        {
            assert!(is_about_indexes(long));
        }
        let set = b"*3\r\n$3\r\nSET\r\n$3\r\nFT.\r\n$1\r\nv\r\n";
        assert_eq!(as_copied(set), &set[..]);
        assert!(as_run(words_of(set).expect("a command").as_argv()).is_none());
    }

    #[test]
    fn fields_say_whose_index_it_is() {
        assert_eq!(read_field(b"reef-index", b"16\n*1"), Some((16, &b"*1"[..])));
        assert_eq!(read_field(b"reef-index", b"*1"), None);
        assert_eq!(read_field(b"ctime", b"16\n*1"), None);
    }
}
