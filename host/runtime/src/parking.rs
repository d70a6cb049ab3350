//! A handler's wish to be called again later, checked. Who waits, and for how long, is the caller's
//! business; here is only how many calls of a plugin do.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use reef_engine::backend::{self, Park, Permit};
use reef_resp::OwnedArgv;

use crate::border::{Items, ParkClaim};
use crate::limits::{KEYS_PER_PARK_MAX, PARKED_PER_PLUGIN_MAX};
use crate::plugin::Plugin;
use crate::texts;
use crate::version::Version;

/// Why a call is not parked.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The wish makes no sense.
    Invalid(&'static str),
    /// It must not; the error.
    Denied(String),
}

/// Checks what the handler of a command asks for.
pub(crate) fn check(
    version: &Version,
    command: u32,
    claim: &ParkClaim,
    invoked_ms: u64,
) -> Result<Park, Refusal> {
    if !version.manifest.may_park(command) {
        return Err(Refusal::Invalid(texts::PARKS_UNDECLARED));
    }
    let Items { lengths, data } = &claim.keys;
    if lengths.is_empty() && claim.deadline == 0 {
        return Err(Refusal::Invalid(texts::PARKS_FOR_EVER));
    }
    if lengths.len() > KEYS_PER_PARK_MAX {
        return Err(Refusal::Invalid(texts::PARKS_ON_MANY));
    }
    let keys = backend::Items { lengths, data };
    let Some(keys) = keys.iter() else {
        return Err(Refusal::Invalid(texts::PARKS_ON_FORGED));
    };
    let keys: OwnedArgv = keys.collect();
    let plugin = &version.terms.plugin;
    if let Some(key) = keys.as_argv().iter().find(|key| !version.terms.grants.allow_key(key)) {
        return Err(Refusal::Denied(texts::parked_on_denied(&plugin.name, key)));
    }
    let Some(place) = Place::take(plugin) else {
        let text = texts::too_many_parked(&plugin.name, PARKED_PER_PLUGIN_MAX);
        return Err(Refusal::Denied(text));
    };
    let deadline_ms = (claim.deadline > 0).then_some(claim.deadline);
    Ok(Park { keys, deadline_ms, invoked_ms, permit: Permit::new(place) })
}

/// The right of a call to be parked.
struct Place(Arc<Plugin>);

impl Place {
    fn take(plugin: &Arc<Plugin>) -> Option<Self> {
        let place = Self(Arc::clone(plugin));
        let before = plugin.parked.fetch_add(1, Relaxed);
        (before < PARKED_PER_PLUGIN_MAX).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.parked.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_calls_may_be_parked_and_not_one_more() {
        let plugin = Arc::new(Plugin::new("p", 0));
        let mut places: Vec<_> =
            (0..PARKED_PER_PLUGIN_MAX).map(|_| Place::take(&plugin).unwrap()).collect();
        assert!(Place::take(&plugin).is_none());
        places.pop();
        assert!(Place::take(&plugin).is_some());
        drop(places);
        assert_eq!(plugin.parked.load(Relaxed), 0);
    }
}
