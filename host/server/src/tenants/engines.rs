//! What is done with the data of all engines at once: the operator's first, then the tenants' in
//! order.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::MutexGuard;
use reef_engine::clock::Millis;
use reef_engine::gates::Pause;
use reef_engine::keyspace::{Shard, Shards, Slot};

use crate::persistence::Meeting;
use crate::server::Shared;
use crate::store::Store;

/// Engines all of whose shards are held.
pub(crate) type Held<'h, 's> = [(&'h Arc<Store>, Shards<'s>)];

/// Lets steps say their effects, because somebody is about to keep a copy of the data.
pub(crate) fn begin_copying(held: &Held<'_, '_>) {
    set_copied(held, true);
}

fn set_copied(held: &Held<'_, '_>, is_copied: bool) {
    held.iter().for_each(|(store, _)| store.rules().propagation().set_on(is_copied));
}

impl Shared {
    /// All engines.
    pub(crate) fn engines(&self) -> Vec<Arc<Store>> {
        let tenants = self.tenants.all();
        let stores = tenants.iter().map(|tenant| tenant.store.clone());
        std::iter::once(self.store.clone()).chain(stores).collect()
    }

    /// Holds all shards of all engines for the length of `act`. Nobody holds any when this is asked
    /// for.
    pub(crate) fn freeze<R>(&self, act: impl FnOnce(&mut Held<'_, '_>) -> R) -> R {
        let (own, stay) = self.hold_own();
        let engines = self.engines();
        let others = engines.iter().skip(1).map(|store| store.hold());
        let mut guards: Vec<_> = std::iter::once(own).chain(others).collect();
        let mut held: Vec<_> = engines
            .iter()
            .zip(&mut guards)
            .map(|(store, guards)| {
                let shards = guards.iter_mut().map(|guard| Some(&mut **guard)).collect();
                (store, Shards::Many(shards))
            })
            .collect();
        let result = act(&mut held);
        // Before the shards: who has them next may want it at once, and not wait.
        drop(stay);
        result
    }

    /// Holds the operator's shards, with nobody coming or going among the tenants. Whoever holds those
    /// shards for a step may want the same, so nobody waits for them who keeps others from coming or going.
    fn hold_own(&self) -> (Vec<MutexGuard<'_, Shard>>, MutexGuard<'_, ()>) {
        loop {
            let own = self.store.hold();
            if let Some(stay) = self.tenants.try_stay() {
                return (own, stay);
            }
            drop(own);
            // Until whoever has it is done; they may need a shard for that.
            drop(self.tenants.stay());
        }
    }

    /// Lets steps say their effects as long as somebody keeps a copy of the data.
    pub(crate) fn follow_copies(&self) {
        self.freeze(|held| set_copied(held, self.store.is_copied()));
    }

    /// How often the data changed so far.
    pub(crate) fn changes(&self) -> u64 {
        self.engines().iter().map(|store| store.changes()).sum()
    }

    /// How many keys there are.
    pub(crate) fn key_count(&self) -> usize {
        self.engines().iter().map(|store| store.len()).sum()
    }

    /// Empties the operator's databases, and lets all tenants go.
    pub(crate) fn empty(&self) {
        self.store.empty();
        for tenant in self.tenants.all().iter() {
            self.end_tenant(tenant.name());
        }
    }

    /// Puts keys of a snapshot in, each where its database belongs.
    pub(crate) fn insert_loaded(
        &self,
        batch: &mut Vec<(u32, Slot)>,
        meeting: Meeting,
    ) -> Result<(), String> {
        while let Some(first) = batch.iter().position(|(database, _)| super::is_tenants(*database))
        {
            let tail = batch.split_off(first);
            self.store.insert_loaded(batch, meeting)?;
            self.insert_tenants(tail, batch, meeting)?;
        }
        self.store.insert_loaded(batch, meeting)
    }

    /// Puts keys in until there is one that is of another engine than the first; those that are left
    /// go to `rest`.
    fn insert_tenants(
        &self,
        mut keys: Vec<(u32, Slot)>,
        rest: &mut Vec<(u32, Slot)>,
        meeting: Meeting,
    ) -> Result<(), String> {
        let Some((database, _)) = keys.first() else { return Ok(()) };
        let database = *database;
        let tenant = self.tenants.of_database(database);
        let tenant = tenant.ok_or_else(|| format!("nobody has a database {database}"))?;
        let first_database = tenant.first_database();
        let is_own = |number: u32| number.wrapping_sub(first_database) < super::TENANT_DATABASES;
        let end = keys.iter().position(|(number, _)| !is_own(*number)).unwrap_or(keys.len());
        rest.extend(keys.split_off(end));
        keys.iter_mut().for_each(|(number, _)| *number -= first_database);
        tenant.store.insert_loaded(&mut keys, meeting)
    }

    /// When the next key of any engine expires.
    pub(crate) fn next_expiry(&self) -> Option<Millis> {
        let own = self.store.next_expiry();
        if self.store.is_replica() {
            return own;
        }
        let tenants = self.store.copies.next_expiry_of_tenants.load(Ordering::Acquire);
        let tenants = (tenants != u64::MAX).then(|| Millis::new(tenants));
        own.into_iter().chain(tenants).min()
    }

    /// Removes keys that are due, some per shard. Cheap when none is.
    pub(crate) fn expire_due(&self, now: Millis) {
        self.store.expire_due(now);
        let next = &self.store.copies.next_expiry_of_tenants;
        if next.load(Ordering::Acquire) > now.get() || self.store.is_replica() {
            return;
        }
        // From here on others may lower it again; what is found below is put back afterwards.
        next.store(u64::MAX, Ordering::Release);
        for tenant in self.tenants.all().iter() {
            let store = &tenant.store;
            store.expire_due(now);
            if let Some(at) = store.next_expiry() {
                let is_paused = store.pause_at(now) != Pause::Nothing;
                let at = if is_paused { at.max(store.pause().end()) } else { at };
                next.fetch_min(at.get(), Ordering::AcqRel);
            }
        }
    }
}
