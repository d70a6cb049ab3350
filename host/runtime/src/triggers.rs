//! What a plugin wants to hear of, asked and checked when it is loaded.

use std::sync::Arc;

use reef_engine::grants::Grants;

use crate::border::TriggerClaim;
use crate::instance::{Answer, Instance};
use crate::limits::TRIGGERS_MAX;
use crate::loader::run_to_end;
use crate::manifest::{NAME_BYTES_MAX, TEXT_BYTES_MAX};
use crate::plugin::Terms;
use crate::program::Program;
use crate::request::LoadError;
use crate::texts;

/// Asks a program for its triggers, under the same budgets as a call.
pub(crate) fn subscribe(
    program: &Arc<Program>,
    terms: &Arc<Terms>,
) -> Result<Vec<TriggerClaim>, LoadError> {
    if !program.has_triggers() {
        return Ok(Vec::new());
    }
    let name = &terms.plugin.name;
    let mut instance = Instance::new(program, terms)
        .ok_or_else(|| LoadError::from(texts::too_many_calls(name)))?;
    instance.begin_subscribe();
    match run_to_end(&mut instance, terms).0 {
        Answer::Triggers(said) => {
            let claims = said.map_err(|reason| texts::describe_failed(&reason))?;
            check(&claims).map_err(|reason| texts::bad_manifest(&reason))?;
            Ok(claims)
        }
        Answer::Failed(failure) => {
            Err(texts::describe_failed(&failure.text(name, &terms.limits)).into())
        }
        _ => Err(texts::describe_failed("it answered another question").into()),
    }
}

/// The error is the first thing wrong with them.
fn check(claims: &[TriggerClaim]) -> Result<(), String> {
    if claims.len() > TRIGGERS_MAX {
        return Err(format!("a plugin has up to {TRIGGERS_MAX} triggers"));
    }
    for claim in claims {
        if claim.pattern.is_empty() || claim.pattern.len() > TEXT_BYTES_MAX {
            return Err(format!("a trigger's pattern has up to {TEXT_BYTES_MAX} bytes"));
        }
        if claim.events.len() > TRIGGERS_MAX {
            return Err(format!("a trigger names up to {TRIGGERS_MAX} events"));
        }
        if claim.events.iter().any(|event| event.is_empty() || event.len() > NAME_BYTES_MAX) {
            return Err(format!("an event's name has up to {NAME_BYTES_MAX} bytes"));
        }
    }
    Ok(())
}

/// Who hears of keys must have been granted them.
pub(crate) fn check_grants(
    name: &str,
    claims: &[TriggerClaim],
    grants: &Grants,
) -> Result<(), LoadError> {
    let is_denied = |claim: &&TriggerClaim| !grants.allow_pattern(claim.pattern.as_bytes());
    match claims.iter().find(is_denied) {
        None => Ok(()),
        Some(claim) => {
            let word = format!("~{}", claim.pattern);
            Err(texts::not_granted(name, &[&word], &[&word]).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(pattern: &str, events: usize) -> TriggerClaim {
        let events = vec!["set".to_owned(); events];
        TriggerClaim { pattern: pattern.into(), events, durable: false }
    }

    #[test]
    fn each_limit_is_enforced() {
        assert!(check(&vec![claim("k", TRIGGERS_MAX); TRIGGERS_MAX]).is_ok());
        assert!(check(&vec![claim("k", 0); TRIGGERS_MAX + 1]).is_err());
        assert!(check(&[claim("k", TRIGGERS_MAX + 1)]).is_err());
        assert!(check(&[claim("", 0)]).is_err());
        assert!(check(&[claim(&"k".repeat(TEXT_BYTES_MAX + 1), 0)]).is_err());
    }

    #[test]
    fn who_hears_of_keys_was_granted_them() {
        let grants = Grants::parse(&["~a:*"]).unwrap();
        assert!(check_grants("p", &[claim("a:b*", 0)], &grants).is_ok());
        let error = check_grants("p", &[claim("b:*", 0)], &grants).unwrap_err();
        assert!(error.to_string().contains("wants ~b:*"), "{error}");
    }
}
