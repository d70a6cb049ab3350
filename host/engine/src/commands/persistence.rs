//! Saving the data, as clients ask for it. What is written where is the host's business.

use crate::args::Args;
use crate::command::{Command, Flags, Group, command};
use crate::error::Error;
use crate::host::Saving;
use crate::step::Cx;

/// The family's entries.
pub(super) static TABLE: &[Command] = &[
    command("SAVE", save, 1)
        .group(Group::Server)
        .flags(Flags::ADMIN)
        .flags(Flags::NOSCRIPT)
        .flags(Flags::NO_ASYNC_LOADING)
        .flags(Flags::NO_MULTI)
        .since("1.0.0", "O(N) where N is the total number of keys in all databases")
        .summary("Synchronously saves the database(s) to disk."),
    command("BGSAVE", bgsave, -1)
        .group(Group::Server)
        .flags(Flags::ADMIN)
        .flags(Flags::NOSCRIPT)
        .flags(Flags::NO_ASYNC_LOADING)
        .usage("[SCHEDULE]")
        .since("1.0.0", "O(1)")
        .summary("Asynchronously saves the database(s) to disk."),
    command("BGREWRITEAOF", bgrewriteaof, 1)
        .group(Group::Server)
        .flags(Flags::ADMIN)
        .flags(Flags::NOSCRIPT)
        .flags(Flags::NO_ASYNC_LOADING)
        .since("1.0.0", "O(1)")
        .summary("Asynchronously rewrites the append-only file to disk."),
    command("LASTSAVE", lastsave, 1)
        .group(Group::Server)
        .flags(Flags::OPERATOR)
        .flags(Flags::LOADING)
        .flags(Flags::STALE)
        .fast()
        .since("1.0.0", "O(1)")
        .summary("Returns the Unix timestamp of the last successful save to disk."),
];

fn save(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    ask(cx, Saving::Now)
}

fn bgsave(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let waits = cx.session.executing;
    let may_wait = args.keyword("SCHEDULE") || waits;
    args.end()?;
    ask(cx, Saving::Background { may_wait, waits })
}

fn bgrewriteaof(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    let waits = cx.session.executing;
    ask(cx, Saving::Log { waits })
}

fn ask(cx: &mut Cx<'_>, what: Saving) -> Result<(), Error> {
    let status = cx.host.save(what, cx.reply)?;
    cx.answer_by(status);
    Ok(())
}

fn lastsave(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    let saved_at = cx.host.saved_at();
    cx.reply.integer(saved_at.seconds() as i64);
    Ok(())
}
