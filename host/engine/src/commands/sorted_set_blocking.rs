//! Sorted sets: commands that wait until there is a member.
//!
//! Each does what its relative in `sorted_set.rs` does, and waits where that one would say nil.

use core::ops::Range;

use super::{float, pop, sorted_set};
use crate::args::Args;
use crate::command::{Command, Flags, Group, command};
use crate::error::Error;
use crate::keyspec::KeySpec;
use crate::step::Cx;
use crate::waiters::{Refusal, Wait};

/// The family's entries.
pub(super) static TABLE: &[Command] = &[
    command("BZPOPMIN", bzpopmin, -3)
        .group(Group::SortedSet)
        .write()
        .flags(Flags::FAST)
        .flags(Flags::BLOCKING)
        .keys(KeySpec::range(1, -2, 1))
        .usage("key [key ...] timeout")
        .since("5.0.0", "O(log(N)) with N being the number of elements in the sorted set.")
        .summary("Removes and returns the member with the lowest score from one or more sorted sets. Blocks until a member is available otherwise. Deletes the sorted set if the last element was popped."),
    command("BZPOPMAX", bzpopmax, -3)
        .group(Group::SortedSet)
        .write()
        .flags(Flags::FAST)
        .flags(Flags::BLOCKING)
        .keys(KeySpec::range(1, -2, 1))
        .usage("key [key ...] timeout")
        .since("5.0.0", "O(log(N)) with N being the number of elements in the sorted set.")
        .summary("Removes and returns the member with the highest score from one or more sorted sets. Blocks until a member available otherwise.  Deletes the sorted set if the last element was popped."),
    command("BZMPOP", bzmpop, -5)
        .group(Group::SortedSet)
        .write()
        .flags(Flags::BLOCKING)
        .keys(KeySpec::Counted { count: 2, destination: 0 })
        .usage("timeout numkeys key [key ...] <MIN|MAX> [COUNT count]")
        .since("7.0.0", "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements in the sorted set, and M being the number of elements popped.")
        .summary("Removes and returns a member by score from one or more sorted sets. Blocks until a member is available otherwise. Deletes the sorted set if the last element was popped."),
];

fn until_added(keys: Range<usize>, timeout_ms: Option<u64>) -> Wait {
    Wait {
        keys,
        timeout_ms,
        refusal: Refusal::NilArray,
        type_name: "zset",
        hears_of_loss: false,
        argv: None,
    }
}

fn bzpopmin(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    pop(cx, args, false)
}

fn bzpopmax(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    pop(cx, args, true)
}

fn pop(cx: &mut Cx<'_>, args: &mut Args<'_>, from_max: bool) -> Result<(), Error> {
    let keys = args.many(args.left() - 1)?;
    let positions = 1..args.position();
    let timeout_ms = args.timeout_s()?;
    for key in keys {
        let popped = sorted_set::pop_from(cx, key, from_max, 1)?;
        if let Some((member, score)) = popped.and_then(|popped| popped.into_iter().next()) {
            cx.rewrite(&[&sorted_set::pop_name(from_max), &key]);
            cx.reply.array(3);
            cx.reply.bulk(key);
            cx.reply.bulk(&member);
            float::say(cx.reply, score);
            return Ok(());
        }
    }
    cx.wait(args.argv(), until_added(positions, timeout_ms))
}

fn bzmpop(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let timeout_ms = args.timeout_s()?;
    let request = pop::take(args, ["MIN", "MAX"])?;
    if sorted_set::pop_first(cx, &request)? {
        return Ok(());
    }
    cx.wait(args.argv(), until_added(request.positions, timeout_ms))
}
