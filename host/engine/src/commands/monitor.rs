//! MONITOR: the connection becomes a window on all commands. The server feeds it.

use crate::args::Args;
use crate::command::{Command, Flags, Group, command};
use crate::error::Error;
use crate::step::Cx;

/// The family's entries.
pub(super) static TABLE: &[Command] = &[command("MONITOR", monitor, 1)
    .group(Group::Server)
    .flags(Flags::ADMIN)
    .flags(Flags::OWN)
    .flags(Flags::NOSCRIPT)
    .flags(Flags::LOADING)
    .flags(Flags::STALE)
    .since("1.0.0", "")
    .summary("Listens for all requests received by the server in real-time.")];

fn monitor(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    if cx.session.executing {
        return Err(Error::MONITOR_IN_TRANSACTION);
    }
    cx.session.monitoring = true;
    cx.reply.ok();
    Ok(())
}
