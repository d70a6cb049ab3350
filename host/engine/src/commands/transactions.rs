//! Transactions: MULTI, EXEC, DISCARD, WATCH, UNWATCH.

use alloc::collections::BTreeSet;

use reef_resp::Argv;

use crate::args::Args;
use crate::command::{Command, Flags, Group, command};
use crate::error::Error;
use crate::keyspec::KeySpec;
use crate::session::Watch;
use crate::step::Cx;

const ANYTIME: Flags = Flags::NOSCRIPT
    .with(Flags::LOADING)
    .with(Flags::STALE)
    .with(Flags::FAST)
    .with(Flags::ALLOW_BUSY);

/// The family's entries.
pub(super) static TABLE: &[Command] = &[
    command("MULTI", multi, 1)
        .group(Group::Transactions)
        .flags(ANYTIME)
        .flags(Flags::NOT_QUEUED)
        .since("1.2.0", "O(1)")
        .summary("Starts a transaction."),
    command("EXEC", exec, 1)
        .group(Group::Transactions)
        .flags(Flags::NOSCRIPT)
        .flags(Flags::LOADING)
        .flags(Flags::STALE)
        .flags(Flags::SKIP_SLOWLOG)
        .flags(Flags::NOT_QUEUED)
        .flags(Flags::SESSION_SHARDS)
        .flags(Flags::REFUSAL_ABORTS)
        .since("1.2.0", "Depends on commands in the transaction")
        .summary("Executes all commands in a transaction."),
    command("DISCARD", discard, 1)
        .group(Group::Transactions)
        .flags(ANYTIME)
        .flags(Flags::NOT_QUEUED)
        .flags(Flags::SESSION_SHARDS)
        .since("2.0.0", "O(N), when N is the number of queued commands")
        .summary("Discards a transaction."),
    command("WATCH", watch, -2)
        .group(Group::Transactions)
        .flags(ANYTIME)
        .flags(Flags::NOT_QUEUED)
        .keys(KeySpec::ALL)
        .usage("key [key ...]")
        .since("2.2.0", "O(1) for every key.")
        .summary("Monitors changes to keys to determine the execution of a transaction."),
    command("UNWATCH", unwatch, 1)
        .group(Group::Transactions)
        .flags(ANYTIME)
        .flags(Flags::SESSION_SHARDS)
        .since("2.2.0", "O(1)")
        .summary("Forgets about watched keys of a transaction."),
];

fn multi(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    if !cx.session.begin() {
        return Err(Error::NestedMulti);
    }
    cx.reply.ok();
    Ok(())
}

fn exec(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let transaction = cx.session.end();
    if !args.is_done() {
        args.skip_rest();
        cx.unwatch();
        return Err(Error::ExecRefused);
    }
    if let Err(error) = may_execute(cx, args.argv()) {
        cx.unwatch();
        return Err(Error::exec_refused(&error));
    }
    let transaction = transaction.ok_or(Error::ExecWithoutMulti)?;
    if let Some(error) = transaction.refusal {
        cx.unwatch();
        return Err(Error::exec_refused(&error));
    }
    let mut unchanged = true;
    for watch in cx.session.watches() {
        unchanged &= cx.keys.is_unchanged(watch.database, &watch.key, watch.version);
        unchanged &= watch.had_expired || !cx.keys.has_expired(watch.database, &watch.key);
    }
    cx.unwatch();
    if transaction.aborted {
        return Err(Error::ExecAbort);
    }
    if !unchanged {
        cx.reply.nil_array();
        return Ok(());
    }
    cx.run_queue(transaction.queue);
    Ok(())
}

/// Who may not run EXEC loses the transaction by trying to.
fn may_execute(cx: &mut Cx<'_>, argv: Argv<'_>) -> Result<(), Error> {
    let Ok(Some(command)) = cx.registry.resolve(argv) else { return Ok(()) };
    let denied = cx.permit(&command, argv);
    denied.map_err(|denial| denial.error(&cx.session.user, &command))
}

fn discard(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    cx.session.end().ok_or(Error::DiscardWithoutMulti)?;
    cx.unwatch();
    cx.reply.ok();
    Ok(())
}

fn watch(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    if cx.session.transaction().is_some() {
        return Err(Error::WatchInsideMulti);
    }
    let database = cx.session.database;
    let mut wanted: BTreeSet<&[u8]> = args.rest().collect();
    for watch in cx.session.watches().iter().filter(|watch| watch.database == database) {
        wanted.remove(&*watch.key);
    }
    for key in wanted {
        let version = cx.keys.watch(key);
        let had_expired = cx.keys.has_expired(database, key);
        cx.session.add_watch(Watch { database, key: key.into(), version, had_expired });
    }
    cx.reply.ok();
    Ok(())
}

fn unwatch(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    cx.unwatch();
    cx.reply.ok();
    Ok(())
}
