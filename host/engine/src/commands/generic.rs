//! Keys of any type: existence, expiry, names, and walks over all of them.

use crate::args::Args;
use crate::command::{Command, command};
use crate::error::Error;
use crate::keyspec::KeySpec;
use crate::step::Cx;

/// The family's entries.
pub(super) static TABLE: &[Command] = &[
    command("DEL", del, -2)
        .write()
        .keys(KeySpec::ALL)
        .usage("key [key ...]")
        .since("1.0.0", "O(N) where N is the number of keys.")
        .summary("Deletes one or more keys."),
    command("EXISTS", exists, -2)
        .readonly()
        .fast()
        .keys(KeySpec::ALL)
        .usage("key [key ...]")
        .since("1.0.0", "O(N) where N is the number of keys.")
        .summary("Determines whether one or more keys exist."),
];

fn del(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let removed = args.rest().filter(|key| cx.keys.remove(key)).count();
    cx.reply.integer(removed as i64);
    Ok(())
}

fn exists(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let found = args.rest().filter(|key| cx.keys.read(key).is_some()).count();
    cx.reply.integer(found as i64);
    Ok(())
}
