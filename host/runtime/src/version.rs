//! One loaded version of a plugin: its program, its terms, its warm instances.

use std::sync::Arc;

use crate::archive::Past;
use crate::border::TriggerClaim;
use crate::digest::Digest;
use crate::habit::Habit;
use crate::instance::Instance;
use crate::manifest::Manifest;
use crate::plugin::Terms;
use crate::pool::Pool;
use crate::program::Program;
use crate::tally::Tally;
use crate::workshop::Origin;
use bytes::Bytes;

/// One version, as calls see it.
pub(crate) struct Version {
    /// The number that its commands carry. Never reused.
    pub(crate) number: u32,
    pub(crate) terms: Arc<Terms>,
    pub(crate) manifest: Manifest,
    /// What it wants to hear of.
    pub(crate) triggers: Vec<TriggerClaim>,
    pub(crate) pool: Arc<Pool>,
    /// By command.
    habits: Box<[Habit]>,
    pub(crate) component: Bytes,
    pub(crate) digest: Digest,
    /// Where its code came from, and how long that took.
    pub(crate) origin: Origin,
    pub(crate) compile_us: u64,
    program: Arc<Program>,
    /// Whether it is kept with the data.
    pub(crate) is_kept: bool,
}

/// Facts about how a version came to be.
pub(crate) struct Birth {
    pub(crate) component: Bytes,
    pub(crate) digest: Digest,
    pub(crate) origin: Origin,
    pub(crate) compile_us: u64,
    pub(crate) is_kept: bool,
}

impl Version {
    pub(crate) fn new(
        number: u32,
        program: Arc<Program>,
        terms: Arc<Terms>,
        (manifest, triggers): (Manifest, Vec<TriggerClaim>),
        birth: &Birth,
    ) -> Self {
        let pool = Arc::new(Pool::new(manifest.commands.len(), &terms.limits));
        program.places.register(&pool, &terms.services.tenant);
        terms.set_triggers(&triggers);
        Self {
            number,
            pool,
            habits: manifest.commands.iter().map(|_| Habit::default()).collect(),
            terms,
            manifest,
            triggers,
            component: birth.component.clone(),
            digest: birth.digest,
            origin: birth.origin,
            compile_us: birth.compile_us,
            is_kept: birth.is_kept,
            program,
        }
    }

    /// The plugin's name.
    pub(crate) fn name(&self) -> &str {
        &self.terms.plugin.name
    }

    /// It as it can be loaded again.
    pub(crate) fn as_past(&self) -> Past {
        let terms = &self.terms;
        Past {
            version: self.manifest.version.clone(),
            component: self.component.clone(),
            digest: self.digest,
            limits: terms.limits,
            grants: terms.grant_words.clone(),
            config: terms.config.clone(),
            is_kept: self.is_kept,
        }
    }

    /// A warm instance, or a new one; `None` when the plugin has as many as it may.
    #[inline]
    pub(crate) fn instance(&self) -> Option<Instance> {
        self.pool.take().or_else(|| Instance::new(&self.program, &self.terms))
    }

    /// The habit of the command with this index, which is one of the manifest's.
    #[inline]
    pub(crate) fn habit(&self, command: u32) -> &Habit {
        &self.habits[command as usize]
    }

    /// The index of a command.
    pub(crate) fn find(&self, command: &str) -> Option<u32> {
        let at = self.manifest.commands.iter().position(|claim| claim.name == command)?;
        Some(at as u32)
    }

    /// Statistics by command.
    pub(crate) fn tallies(&self) -> impl Iterator<Item = (String, Tally)> + '_ {
        let names = self.manifest.commands.iter().map(|claim| claim.name.clone());
        names.zip(self.pool.tallies())
    }
}
