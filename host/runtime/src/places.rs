//! The machine's room for instances, which the plugins of all tenants share.
//!
//! Idle instances are kept because they are warm, not because they have to be: when there is no room
//! for another one, those of some plugin are dropped, of each in turn. So neither many plugins nor one
//! that is called by many can take the room of the others, only their warmth. What is left is that all
//! places are busy at once; a tenant may have its share of them and no more.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::pool::Pool;

/// The room of one machine.
pub(crate) struct Places {
    max: u32,
    taken: AtomicU32,
    /// Those that may have idle instances; whose turn it is to give some up.
    sources: Mutex<(Vec<Source>, usize)>,
}

/// A pool that may have idle instances, and the tenant whose it is.
struct Source {
    pool: Weak<Pool>,
    tenant: Arc<str>,
}

/// The place of an instance: given back when it is dropped.
pub(crate) struct Place {
    places: Arc<Places>,
    weight: u32,
}

impl Places {
    /// Room for `max` ordinary instances.
    pub(crate) fn new(max: u32) -> Self {
        Self { max, taken: AtomicU32::new(0), sources: Mutex::default() }
    }

    /// The most that one tenant may have.
    pub(crate) fn max_of_tenant(&self) -> u32 {
        (self.max / 2).max(1)
    }

    /// Room for an instance that needs as much as `weight` ordinary ones, if it can be made.
    #[inline]
    pub(crate) fn take(self: &Arc<Self>, weight: u32) -> Option<Place> {
        let mut place = self.try_take(weight);
        if place.is_none() {
            self.make_room(None, || {
                place = self.try_take(weight);
                place.is_some()
            });
        }
        place
    }

    fn try_take(self: &Arc<Self>, weight: u32) -> Option<Place> {
        let place = Place { places: Arc::clone(self), weight };
        let before = self.taken.fetch_add(weight, Relaxed);
        (before + weight <= self.max).then_some(place)
    }

    /// Drops idle instances, of this tenant or of all, until there is enough room or none are left.
    #[cold]
    pub(crate) fn make_room(&self, tenant: Option<&str>, mut is_enough: impl FnMut() -> bool) {
        let sources = self.sources.lock().0.len();
        for _ in 0..sources {
            // Instances go without the lock.
            let Some(pool) = self.next_pool(tenant) else { return };
            if pool.drop_idle() > 0 && is_enough() {
                return;
            }
        }
    }

    fn next_pool(&self, tenant: Option<&str>) -> Option<Arc<Pool>> {
        let (sources, turn) = &mut *self.sources.lock();
        let mut left = sources.len();
        while left > 0 {
            left -= 1;
            *turn = (*turn + 1) % sources.len();
            let source = &sources[*turn];
            let is_meant = tenant.is_none_or(|tenant| *source.tenant == *tenant);
            match source.pool.upgrade() {
                Some(pool) if is_meant => return Some(pool),
                Some(_) => {}
                None => drop(sources.swap_remove(*turn)),
            }
        }
        None
    }

    /// Counts on the idle instances of this pool.
    pub(crate) fn register(&self, pool: &Arc<Pool>, tenant: &Arc<str>) {
        let (sources, _) = &mut *self.sources.lock();
        if sources.len() == sources.capacity() {
            sources.retain(|source| source.pool.strong_count() > 0);
        }
        sources.push(Source { pool: Arc::downgrade(pool), tenant: Arc::clone(tenant) });
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken.fetch_sub(self.weight, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_so_many_and_what_is_given_back_is_free() {
        let places = Arc::new(Places::new(4));
        let first = places.take(1).unwrap();
        let second = places.take(3).unwrap();
        assert!(places.take(1).is_none());
        drop(second);
        assert!(places.take(4).is_none(), "one is still taken");
        drop(first);
        assert!(places.take(4).is_some());
        assert_eq!(places.taken.load(Relaxed), 0);
    }
}
