//! What the plugin makes of what it is told: a run's timer has expired, or a connection has gone.

use reef_sdk::{Batch, Event, Host, Result, Trigger};

use crate::entry::Owner;
use crate::key::{Kind, Run};
use crate::round::{NOTHING_MORE, Round};
use crate::{alias, sweep};

/// Of what it wants to hear: nobody's keys but its own, and those that the operator lets have aliases.
pub(crate) fn triggers(host: &mut dyn Host) -> Result<Vec<Trigger>> {
    let mut triggers = vec![
        Trigger::on("rdv:{*}:timer").events(&["expired"]),
        Trigger::on("rdv:{*}:tied:*").events(&["disconnected"]),
        Trigger::on("rdv:alias:check:*").events(&["expired"]),
    ];
    let aliases = host.config("alias").unwrap_or_default();
    triggers.extend(aliases.split_whitespace().map(|one| Trigger::on_configured(one.to_owned())));
    Ok(triggers)
}

/// Says what is to be done about an event.
pub(crate) fn react(host: &mut dyn Host, event: &Event<'_>) -> Result<Batch> {
    let Some((run, rest)) = Run::of_key(event.key) else {
        return alias::react(host, event);
    };
    let Some(mut round) = Round::begin(host, run, &[], NOTHING_MORE)? else {
        return Ok(Batch::new());
    };
    match event.name {
        "expired" if rest == Kind::Timer.word().as_bytes() => {
            if sweep::is_due(&round) {
                sweep::sweep(&mut round)?;
            } else if round.meta.due_ms > 0 {
                // It was set for what has ended otherwise since.
                let due_ms = round.meta.due_ms;
                round.set_timer(due_ms);
            }
        }
        "disconnected" => {
            let owner = rest.strip_prefix(Kind::Tied.word().as_bytes()).and_then(Owner::of_name);
            if let Some(owner) = owner {
                sweep::end_connection(&mut round, owner)?;
            }
        }
        _ => {}
    }
    Ok(round.batch())
}
