//! What the plugin makes of what it is told: a run's timer has expired, or a connection has gone.

use reef_sdk::{Batch, Event, Host, Result};

use crate::entry::Owner;
use crate::key::{Kind, Run};
use crate::round::Round;
use crate::{alias, sweep};

/// Says what is to be done about an event.
pub(crate) fn react(host: &mut dyn Host, event: &Event<'_>) -> Result<Batch> {
    let Some((run, rest)) = Run::of_key(event.key) else {
        return alias::react(host, event);
    };
    let Some(mut round) = Round::begin(host, run)? else { return Ok(Batch::new()) };
    match event.name {
        "expired" if rest == Kind::Timer.word().as_bytes() => {
            if sweep::is_due(&mut round) {
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
