//! Whose going plugins want to hear of: for each client the keys under which they are told.
//!
//! Invariant: who ties a lifeline of a client that has gone meanwhile is told all the same, because the
//! server says so once more when the call has ended.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use reef_engine::backend::Caller;

use crate::limits::LIFELINES_PER_CLIENT_MAX;
use crate::plugin::Plugin;

/// The wish of a plugin to be told when a client goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lifeline {
    pub(crate) plugin: Arc<str>,
    /// In which life the plugin asked.
    pub(crate) incarnation: u64,
    pub(crate) database: u32,
    pub(crate) key: Box<[u8]>,
}

/// All of them, by client.
#[derive(Debug, Default)]
pub(crate) struct Lifelines {
    tied: Mutex<HashMap<u64, Vec<Lifeline>>>,
    /// How many clients have some: every connection that closes asks.
    clients: AtomicUsize,
}

impl Lifelines {
    /// Ties one. The error says why not.
    pub(crate) fn tie(
        &self,
        plugin: &Plugin,
        caller: &Caller,
        key: Box<[u8]>,
    ) -> Result<(), &'static str> {
        if caller.client_id == 0 {
            return Err("nobody called");
        }
        let lifeline = Lifeline {
            plugin: Arc::clone(&plugin.name),
            incarnation: plugin.incarnation,
            database: caller.database,
            key,
        };
        let mut tied = self.tied.lock();
        let own = tied.entry(caller.client_id).or_default();
        if own.contains(&lifeline) {
            return Ok(());
        }
        if own.len() >= LIFELINES_PER_CLIENT_MAX {
            return Err("too many keys are bound to this connection");
        }
        own.push(lifeline);
        self.clients.store(tied.len(), Ordering::Release);
        Ok(())
    }

    /// Takes those of a client that has gone.
    pub(crate) fn cut(&self, client: u64) -> Vec<Lifeline> {
        if self.clients.load(Ordering::Acquire) == 0 {
            return Vec::new();
        }
        let mut tied = self.tied.lock();
        let own = tied.remove(&client).unwrap_or_default();
        self.clients.store(tied.len(), Ordering::Release);
        own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(client_id: u64) -> Caller {
        Caller { client_id, user: "default".into(), database: 3 }
    }

    #[test]
    fn each_key_is_told_once_and_of_its_own_client() {
        let (lifelines, plugin) = (Lifelines::default(), Plugin::new("p", 0));
        for (client, key) in [(7, "a"), (7, "b"), (7, "a"), (8, "c")] {
            assert_eq!(lifelines.tie(&plugin, &caller(client), key.as_bytes().into()), Ok(()));
        }
        let keys: Vec<_> = lifelines.cut(7).into_iter().map(|one| one.key).collect();
        assert_eq!(keys, [b"a".as_slice().into(), b"b".as_slice().into()]);
        assert!(lifelines.cut(7).is_empty() && lifelines.cut(9).is_empty());
        assert_eq!(lifelines.cut(8)[0].database, 3);
    }

    #[test]
    fn so_many_per_client_and_not_one_more() {
        let (lifelines, plugin) = (Lifelines::default(), Plugin::new("p", 0));
        for key in 0..LIFELINES_PER_CLIENT_MAX {
            let key = key.to_string().into_bytes().into();
            assert_eq!(lifelines.tie(&plugin, &caller(1), key), Ok(()));
        }
        assert!(lifelines.tie(&plugin, &caller(1), b"x".as_slice().into()).is_err());
        assert!(lifelines.tie(&plugin, &caller(0), b"x".as_slice().into()).is_err());
    }
}
