//! The server as a whole: emptying it, its clock, its end, and a picture.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use super::connection::REDIS_VERSION;
use crate::args::Args;
use crate::command::{Command, Flags, Group, command};
use crate::effects::Audience;
use crate::error::Error;
use crate::host::Shutdown;
use crate::keyspace::Database;
use crate::step::Cx;
use crate::types::random;

/// The family's entries.
pub(super) static TABLE: &[Command] = &[
    command("DBSIZE", dbsize, 1)
        .group(Group::Server)
        .readonly()
        .fast()
        .flags(Flags::ALL_SHARDS)
        .since("1.0.0", "O(1)")
        .summary("Returns the number of keys in the database."),
    command("FLUSHDB", flushdb, -1)
        .group(Group::Server)
        .write()
        .flags(Flags::ALL_SHARDS)
        .usage("[ASYNC|SYNC]")
        .since("1.0.0", "O(N) where N is the number of keys in the selected database")
        .summary("Removes all keys from the current database."),
    command("FLUSHALL", flushall, -1)
        .group(Group::Server)
        .write()
        .flags(Flags::ALL_SHARDS)
        .usage("[ASYNC|SYNC]")
        .since("1.0.0", "O(N) where N is the total number of keys in all databases")
        .summary("Removes all keys from all databases."),
    command("SWAPDB", swapdb, 3)
        .group(Group::Server)
        .write()
        .fast()
        .flags(Flags::ALL_SHARDS)
        .usage("index1 index2")
        .since("4.0.0", "O(N) where N is the count of clients watching or blocking on keys from both databases.")
        .summary("Swaps two Redis databases."),
    command("TIME", time, 1)
        .group(Group::Server)
        .flags(Flags::LOADING)
        .flags(Flags::STALE)
        .fast()
        .since("2.6.0", "O(1)")
        .summary("Returns the server time."),
    command("LOLWUT", lolwut, -1)
        .group(Group::Server)
        .readonly()
        .fast()
        .usage("[VERSION version]")
        .since("5.0.0", "")
        .summary("Displays computer art and the Redis version."),
    command("SHUTDOWN", shutdown, -1)
        .group(Group::Server)
        .flags(Flags::ADMIN)
        .flags(Flags::NOSCRIPT)
        .flags(Flags::LOADING)
        .flags(Flags::STALE)
        .flags(Flags::NO_MULTI)
        .flags(Flags::ALLOW_BUSY)
        .usage("[NOSAVE|SAVE] [NOW] [FORCE] [ABORT]")
        .since("1.0.0", "O(N) when saving, where N is the total number of keys in all databases when saving data, otherwise O(1)")
        .summary("Synchronously saves the database(s) to disk and shuts down the Redis server."),
];

fn dbsize(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    let len = cx.keys.len();
    cx.reply.integer(len as i64);
    Ok(())
}

/// Takes ASYNC or SYNC: whether emptied databases end somewhere else.
fn is_async(cx: &Cx<'_>, args: &mut Args<'_>) -> Result<bool, Error> {
    let mode = args.one_of(&["ASYNC", "SYNC"]);
    args.end()?;
    Ok(mode.map_or(cx.keys.rules.settings.lazy.user_flush, |mode| mode == 0))
}

fn flushdb(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let elsewhere = is_async(cx, args)?;
    let parts = cx.keys.flush(cx.keys.database);
    cx.repeat(args.argv(), Audience::All);
    end_databases(cx, parts, elsewhere);
    Ok(())
}

fn flushall(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let elsewhere = is_async(cx, args)?;
    let numbers = 0..cx.keys.rules.settings.databases;
    let parts = numbers.flat_map(|number| cx.keys.flush(number)).collect();
    cx.repeat(args.argv(), Audience::All);
    cx.host.all_flushed();
    end_databases(cx, parts, elsewhere);
    Ok(())
}

fn end_databases(cx: &mut Cx<'_>, parts: Vec<Database>, asked: bool) {
    /// From how many keys on nobody should have to wait for the end.
    const LARGE_KEYS: usize = 1000;
    let keys: usize = parts.iter().map(Database::len).sum();
    // The data is gone either way; only who ends it differs.
    if asked && keys > 0 || keys >= LARGE_KEYS {
        cx.host.discard(parts, asked);
    }
    cx.reply.ok();
}

fn swapdb(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let first = args.integer32().map_err(|_| Error::InvalidFirstDatabase)?;
    let second = args.integer32().map_err(|_| Error::InvalidSecondDatabase)?;
    let databases = cx.keys.rules.settings.databases;
    let number = |index: i32| {
        let number = u32::try_from(index).ok().filter(|number| *number < databases);
        number.ok_or(Error::DatabaseOutOfRange)
    };
    let (first, second) = (number(first)?, number(second)?);
    if first != second {
        cx.keys.swap(first, second);
    }
    cx.repeat(args.argv(), Audience::All);
    cx.reply.ok();
    Ok(())
}

fn time(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    let now_us = cx.host.now_us() as i64;
    cx.reply.array(2);
    cx.reply.bulk_integer(now_us / 1_000_000);
    cx.reply.bulk_integer(now_us % 1_000_000);
    Ok(())
}

fn lolwut(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    if args.left() >= 2 && args.keyword("VERSION") {
        args.integer()?;
    }
    // Sizes of other pictures mean nothing to this one.
    args.skip_rest();
    let mut text = reef(&mut || cx.host.random());
    // Writing to a string cannot fail.
    let _ = writeln!(text, "Reef ver. {}, Redis ver. {REDIS_VERSION}", env!("CARGO_PKG_VERSION"));
    cx.reply.verbatim(text.as_bytes());
    Ok(())
}

const PICTURE_COLUMNS: usize = 64;
const PICTURE_ROWS: usize = 9;

/// A reef as it may look today: corals on the ground, fish above.
fn reef(random: &mut random::Random<'_>) -> String {
    const FISH: [&[u8]; 4] = [b"><>", b"<><", b"><(('>", b"<'))><"];
    const CORAL: &[u8] = b"YyvVwW*#&";
    let mut rows = [[b' '; PICTURE_COLUMNS]; PICTURE_ROWS];
    let mut height = random::below(random, 4);
    for column in 0..PICTURE_COLUMNS {
        height = (height + random::below(random, 3)).saturating_sub(1).min(PICTURE_ROWS - 4);
        for row in rows.iter_mut().rev().take(height) {
            row[column] = CORAL[random::below(random, CORAL.len())];
        }
    }
    for row in &mut rows[..3] {
        let fish = FISH[random::below(random, FISH.len())];
        let at = random::below(random, PICTURE_COLUMNS - fish.len());
        row[at..at + fish.len()].copy_from_slice(fish);
    }
    let mut text = String::new();
    for row in &rows {
        text.push_str(String::from_utf8_lossy(row).trim_end());
        text.push('\n');
    }
    text.push_str(&"~".repeat(PICTURE_COLUMNS));
    text.push('\n');
    text
}

fn shutdown(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let mut how = Shutdown::default();
    let mut abort = false;
    while !args.is_done() {
        match args.one_of(&["NOSAVE", "SAVE", "NOW", "FORCE", "ABORT"]).ok_or(Error::Syntax)? {
            0 if how.save != Some(true) => how.save = Some(false),
            1 if how.save != Some(false) => how.save = Some(true),
            2 => how.now = true,
            3 => how.force = true,
            4 => abort = true,
            _ => return Err(Error::Syntax),
        }
    }
    if abort && how != Shutdown::default() {
        return Err(Error::Syntax);
    }
    if abort {
        return if cx.host.abort_shutdown() {
            cx.reply.ok();
            Ok(())
        } else {
            Err(Error::NoShutdown)
        };
    }
    // Who stops the server hears of it by the end of the connection.
    let status = cx.host.shutdown(how)?;
    cx.answer_by(status);
    Ok(())
}
