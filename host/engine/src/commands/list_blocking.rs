//! Lists: commands that wait until there is an element.
//!
//! Each does what its relative in `list.rs` does, and waits where that one would say nil.

use core::ops::Range;

use super::{list, pop};
use crate::args::Args;
use crate::command::{Command, Flags, Group, command};
use crate::error::Error;
use crate::keyspace::{Edit, ListEnd as End};
use crate::keyspec::KeySpec;
use crate::step::Cx;
use crate::types::list::List;
use crate::waiters::{Refusal, Wait};

/// The family's entries.
pub(super) static TABLE: &[Command] = &[
    command("BLPOP", blpop, -3)
        .group(Group::List)
        .write()
        .flags(Flags::BLOCKING)
        .keys(KeySpec::range(1, -2, 1))
        .usage("key [key ...] timeout")
        .since("2.0.0", "O(N) where N is the number of provided keys.")
        .summary("Removes and returns the first element in a list. Blocks until an element is available otherwise. Deletes the list if the last element was popped."),
    command("BRPOP", brpop, -3)
        .group(Group::List)
        .write()
        .flags(Flags::BLOCKING)
        .keys(KeySpec::range(1, -2, 1))
        .usage("key [key ...] timeout")
        .since("2.0.0", "O(N) where N is the number of provided keys.")
        .summary("Removes and returns the last element in a list. Blocks until an element is available otherwise. Deletes the list if the last element was popped."),
    command("BLMOVE", blmove, 6)
        .group(Group::List)
        .write_denyoom()
        .flags(Flags::BLOCKING)
        .keys(KeySpec::FIRST_TWO)
        .usage("source destination <LEFT|RIGHT> <LEFT|RIGHT> timeout")
        .since("6.2.0", "O(1)")
        .summary("Pops an element from a list, pushes it to another list and returns it. Blocks until an element is available otherwise. Deletes the list if the last element was moved."),
    command("BRPOPLPUSH", brpoplpush, 4)
        .group(Group::List)
        .write_denyoom()
        .flags(Flags::BLOCKING)
        .keys(KeySpec::FIRST_TWO)
        .usage("source destination timeout")
        .since("2.2.0", "O(1)")
        .summary("Pops an element from a list, pushes it to another list and returns it. Block until an element is available otherwise. Deletes the list if the last element was popped."),
    command("BLMPOP", blmpop, -5)
        .group(Group::List)
        .write()
        .flags(Flags::BLOCKING)
        .keys(KeySpec::Counted { count: 2, destination: 0 })
        .usage("timeout numkeys key [key ...] <LEFT|RIGHT> [COUNT count]")
        .since("7.0.0", "O(N+M) where N is the number of provided keys and M is the number of elements returned.")
        .summary("Pops the first element from one of multiple lists. Blocks until an element is available otherwise. Deletes the list if the last element was popped."),
];

fn until_pushed(keys: Range<usize>, timeout_ms: Option<u64>, refusal: Refusal) -> Wait {
    Wait { keys, timeout_ms, refusal, type_name: "list", hears_of_loss: false, argv: None }
}

fn blpop(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    pop(cx, args, End::Head)
}

fn brpop(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    pop(cx, args, End::Tail)
}

fn pop(cx: &mut Cx<'_>, args: &mut Args<'_>, end: End) -> Result<(), Error> {
    let keys = args.many(args.left() - 1)?;
    let positions = 1..args.position();
    let timeout_ms = args.timeout_s()?;
    for key in keys {
        let reply = &mut *cx.reply;
        let popped = cx.keys.edit(key, list::pop_event(end), |list: &mut Edit<'_, List>| {
            reply.array(2);
            reply.bulk(key);
            reply.bulk(&list.pop(end).unwrap_or_default());
            Ok(())
        })?;
        if popped.is_some() {
            cx.rewrite(&[&list::pop_name(end), &key]);
            return Ok(());
        }
    }
    cx.wait(args.argv(), until_pushed(positions, timeout_ms, Refusal::NilArray))
}

fn blmove(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (source, destination) = (args.bytes()?, args.bytes()?);
    let mut ends = *args;
    let (from, to) = (list::take_end(args)?, list::take_end(args)?);
    if move_or_wait(cx, args, (source, from), (destination, to))? {
        cx.rewrite_with(&[&"LMOVE", &source, &destination], ends.many(2)?);
    }
    Ok(())
}

fn brpoplpush(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (source, destination) = (args.bytes()?, args.bytes()?);
    if move_or_wait(cx, args, (source, End::Tail), (destination, End::Head))? {
        cx.rewrite(&[&"RPOPLPUSH", &source, &destination]);
    }
    Ok(())
}

/// Whether an element was moved; otherwise the client waits.
fn move_or_wait(
    cx: &mut Cx<'_>,
    args: &mut Args<'_>,
    from: (&[u8], End),
    to: (&[u8], End),
) -> Result<bool, Error> {
    let timeout_ms = args.timeout_s()?;
    if list::move_element(cx, from, to)? {
        return Ok(true);
    }
    cx.wait(args.argv(), until_pushed(1..2, timeout_ms, Refusal::Nil))?;
    Ok(false)
}

fn blmpop(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let timeout_ms = args.timeout_s()?;
    let request = pop::take(args, ["LEFT", "RIGHT"])?;
    if list::pop_first(cx, &request)? {
        return Ok(());
    }
    cx.wait(args.argv(), until_pushed(request.positions, timeout_ms, Refusal::NilArray))
}
