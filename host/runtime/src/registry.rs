//! Which versions are loaded, by number for calls and by name for operators.
//!
//! A call that looked its command up just before a replacement arrives here with the number of the
//! old version: it is led to the command of that name in the new one, so that replacing a plugin
//! under load fails no call. Changes are made by the loader's one thread; everybody may read.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;
use reef_engine::backend::PluginCommand;

use crate::version::Version;

/// Replaced versions of one plugin whose callers are still led on.
const RETIRED_MAX: usize = 64;

/// What a number stands for.
enum Slot {
    Live(Arc<Version>),
    /// Replaced: the plugin's name and the names of its commands.
    Retired(Arc<str>, Box<[String]>),
    Gone,
}

#[derive(Default)]
struct Table {
    slots: Vec<Slot>,
    /// Name to number of the live version.
    live: BTreeMap<Arc<str>, u32>,
    /// Numbers of replaced versions by name, oldest first.
    retired: BTreeMap<Arc<str>, Vec<u32>>,
}

/// All loaded plugins.
#[derive(Default)]
pub(crate) struct Registry(RwLock<Table>);

impl Registry {
    /// The version that runs this command now, and the command's index in it.
    #[inline]
    pub(crate) fn resolve(&self, command: PluginCommand) -> Option<(Arc<Version>, u32)> {
        let table = self.0.read();
        match table.slots.get(command.plugin as usize)? {
            Slot::Live(version) => {
                let known = (command.command as usize) < version.manifest.commands.len();
                known.then(|| (Arc::clone(version), command.command))
            }
            Slot::Retired(name, commands) => {
                let version = table.version(name)?;
                let index = version.find(commands.get(command.command as usize)?)?;
                Some((Arc::clone(version), index))
            }
            Slot::Gone => None,
        }
    }

    /// The live version of this name.
    pub(crate) fn find(&self, name: &str) -> Option<Arc<Version>> {
        self.0.read().version(name).cloned()
    }

    /// All live versions by name.
    pub(crate) fn all(&self) -> Vec<Arc<Version>> {
        let table = self.0.read();
        table.live.keys().filter_map(|name| table.version(name).cloned()).collect()
    }

    /// A number for a version to be inserted.
    pub(crate) fn reserve(&self) -> u32 {
        let mut table = self.0.write();
        table.slots.push(Slot::Gone);
        (table.slots.len() - 1) as u32
    }

    /// Makes a version callable by its number, without making it the one of its name yet.
    pub(crate) fn open(&self, version: &Arc<Version>) {
        self.set(version.number, Slot::Live(Arc::clone(version)));
    }

    /// Takes back what [`open`](Self::open) did.
    pub(crate) fn forget(&self, number: u32) {
        self.set(number, Slot::Gone);
    }

    fn set(&self, number: u32, slot: Slot) {
        // The old slot may hold the last reference to a version: it is dropped without the lock.
        let old = match self.0.write().slots.get_mut(number as usize) {
            Some(place) => std::mem::replace(place, slot),
            None => slot,
        };
        drop(old);
    }

    /// Makes an opened version the one of its name; the one it replaces.
    pub(crate) fn promote(&self, version: &Arc<Version>) -> Option<Arc<Version>> {
        let name = Arc::clone(&version.terms.plugin.name);
        let mut table = self.0.write();
        let before = table.live.insert(Arc::clone(&name), version.number)?;
        let commands = match &table.slots[before as usize] {
            Slot::Live(old) => {
                old.manifest.commands.iter().map(|claim| claim.name.clone()).collect()
            }
            _ => Box::default(),
        };
        let old = std::mem::replace(
            &mut table.slots[before as usize],
            Slot::Retired(Arc::clone(&name), commands),
        );
        let retired = table.retired.entry(name).or_default();
        retired.push(before);
        if retired.len() > RETIRED_MAX {
            let oldest = retired.remove(0);
            table.slots[oldest as usize] = Slot::Gone;
        }
        match old {
            Slot::Live(version) => Some(version),
            _ => None,
        }
    }

    /// Removes the plugin of this name; its last version.
    pub(crate) fn remove(&self, name: &str) -> Option<Arc<Version>> {
        let mut table = self.0.write();
        let number = table.live.remove(name)?;
        for retired in table.retired.remove(name).unwrap_or_default() {
            table.slots[retired as usize] = Slot::Gone;
        }
        match std::mem::replace(&mut table.slots[number as usize], Slot::Gone) {
            Slot::Live(version) => Some(version),
            _ => None,
        }
    }
}

impl Table {
    fn version(&self, name: &str) -> Option<&Arc<Version>> {
        match self.slots.get(*self.live.get(name)? as usize)? {
            Slot::Live(version) => Some(version),
            _ => None,
        }
    }
}
