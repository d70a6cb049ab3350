//! The ACL categories of a command, derived from its group and flags.
//!
//! One rule per category; what follows from neither group nor flags is listed by name. The same
//! categories serve COMMAND INFO, COMMAND LIST and ACL rules.

use alloc::vec::Vec;

use crate::command::{Command, Flags, Group, Runner};

/// All categories in Redis's order, behind them those of modules.
pub const CATEGORIES: [&str; 23] = [
    "keyspace",
    "read",
    "write",
    "set",
    "sortedset",
    "list",
    "hash",
    "string",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "pubsub",
    "admin",
    "fast",
    "slow",
    "blocking",
    "dangerous",
    "connection",
    "transaction",
    "scripting",
    "json",
    "search",
];

/// Commands of the server group that are about keys.
const KEYSPACE: &[&str] = &["FLUSHALL", "FLUSHDB", "SWAPDB", "DBSIZE"];
/// Commands that can hurt although nothing in their flags says so.
const DANGEROUS: &[&str] =
    &["RESTORE", "MIGRATE", "KEYS", "INFO", "FLUSHALL", "FLUSHDB", "SWAPDB", "SORT", "SORT_RO"];
/// Commands for operators that anybody may run.
const ADMIN: &[&str] = &["LASTSAVE", "ROLE"];
/// Commands of other groups that are about the connection.
const CONNECTION: &[&str] = &["WAIT", "WAITAOF", "ASKING", "READONLY", "READWRITE"];
/// Commands on lists, sets and sorted sets alike.
const SORT: &[&str] = &["SORT", "SORT_RO"];

/// The command's categories in Redis's order.
pub fn categories(command: &Command) -> Vec<&'static str> {
    CATEGORIES.into_iter().filter(|category| is_in(command, category)).collect()
}

/// Whether a command is in a category.
pub fn is_in(command: &Command, category: &str) -> bool {
    let flags = command.flags;
    let group = if has_group(command) { Some(command.group) } else { None };
    // Lists of names are about commands, not about a sub-command that is called the same.
    let named = |names: &[&str]| command.parent.is_empty() && names.contains(&&*command.name);
    let admin = flags.has(Flags::ADMIN) || named(ADMIN);
    match category {
        "keyspace" => {
            let other = named(CONNECTION) || named(SORT);
            group == Some(Group::Generic) && !other || named(KEYSPACE)
        }
        "read" => flags.has(Flags::READONLY) && command.group != Group::Scripting,
        "write" => flags.has(Flags::WRITE),
        "set" => group == Some(Group::Set) || named(SORT),
        "sortedset" => group == Some(Group::SortedSet) || named(SORT),
        "list" => group == Some(Group::List) || named(SORT),
        "hash" => group == Some(Group::Hash),
        "string" => group == Some(Group::String),
        "bitmap" => group == Some(Group::Bitmap),
        "hyperloglog" => group == Some(Group::Hyperloglog),
        "geo" => group == Some(Group::Geo),
        "stream" => group == Some(Group::Stream),
        "pubsub" => flags.has(Flags::PUBSUB),
        "admin" => admin,
        "fast" => flags.has(Flags::FAST),
        // Commands of modules are in the categories that the modules name, and in no others.
        "slow" => !flags.has(Flags::FAST) && !is_json(command) && !is_search(command),
        "blocking" => flags.has(Flags::BLOCKING),
        "dangerous" => admin || named(DANGEROUS),
        "connection" => {
            let is_command = command.parent == "COMMAND" || command.name == "COMMAND";
            group == Some(Group::Connection) || is_command || named(CONNECTION)
        }
        "transaction" => group == Some(Group::Transactions),
        "scripting" => group == Some(Group::Scripting),
        "json" => is_json(command),
        "search" => is_search(command),
        _ => false,
    }
}

/// Whether a command is one of RedisJSON's, or a sub-command of one.
fn is_json(command: &Command) -> bool {
    let name = if command.parent.is_empty() { &*command.name } else { command.parent };
    matches!(command.runner, Runner::Native(_) | Runner::Container(..)) && name.starts_with("JSON.")
}

/// Whether a command is one of RediSearch's.
fn is_search(command: &Command) -> bool {
    matches!(command.runner, Runner::Native(_)) && command.name.starts_with("FT.")
}

/// A container does nothing by itself, so only its sub-commands have the group's category.
fn has_group(command: &Command) -> bool {
    !matches!(command.runner, Runner::Container(..))
}
