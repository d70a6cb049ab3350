//! Replication as clients see it.

use crate::args::Args;
use crate::command::{Command, Flags, Group, command};
use crate::error::Error;
use crate::step::Cx;

/// The family's entries.
pub(super) static TABLE: &[Command] = &[command("ROLE", role, 1)
    .group(Group::Server)
    .flags(Flags::NOSCRIPT)
    .flags(Flags::LOADING)
    .flags(Flags::STALE)
    .flags(Flags::FAST)
    .since("2.8.12", "O(1)")
    .summary("Returns the replication role.")];

/// A server without replicas: it is the master, has sent nothing, and nobody listens.
fn role(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    cx.reply.array(3);
    cx.reply.bulk(b"master");
    cx.reply.integer(0);
    cx.reply.array(0);
    Ok(())
}
