//! CLIENT: what clients tell of themselves, and what operators see of them.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{client_filter, client_tracking, help};
use crate::args::Args;
use crate::client_info::{ClientFilter, Quality};
use crate::clock::Millis;
use crate::command::{Arity, Command, Flags, Group, Handler, command, container};
use crate::error::Error;
use crate::gates::Pause;
use crate::session::ReplyMode;
use crate::step::Cx;
use crate::types::number;

pub(super) const ANYTIME: Flags = Flags::NOSCRIPT.with(Flags::LOADING).with(Flags::STALE);
const ADMIN: Flags = Flags::ADMIN.with(ANYTIME);
const OPERATOR: Flags = ADMIN.with(Flags::OWN);

/// The family's entries.
pub(super) static TABLE: &[Command] = &[container("CLIENT", SUBCOMMANDS)
    .group(Group::Connection)
    .since("2.4.0", "Depends on subcommand.")
    .summary("A container for client connection commands.")];

pub(super) const fn subcommand(name: &'static str, handler: Handler, arity: Arity) -> Command {
    command(name, handler, arity)
        .of("CLIENT")
        .group(Group::Connection)
        .flags(ANYTIME)
        .flags(Flags::KEEPS_CACHING)
}

static SUBCOMMANDS: &[Command] = &[
    subcommand("ID", id, 2)
        .since("5.0.0", "O(1)")
        .summary("Returns the unique client ID of the connection."),
    subcommand("INFO", info, 2)
        .since("6.2.0", "O(1)")
        .summary("Returns information about the connection."),
    subcommand("LIST", list, -2)
        .flags(OPERATOR)
        .usage("[TYPE <NORMAL|MASTER|REPLICA|PUBSUB>] [ID client-id [client-id ...]]")
        .since("2.4.0", "O(N) where N is the number of client connections")
        .summary("Lists open connections."),
    subcommand("SETNAME", set_name, 3)
        .usage("connection-name")
        .since("2.6.9", "O(1)")
        .summary("Sets the connection name."),
    subcommand("GETNAME", get_name, 2)
        .since("2.6.9", "O(1)")
        .summary("Returns the name of the connection."),
    subcommand("SETINFO", set_info, 4)
        .usage("<LIB-NAME libname|LIB-VER libver>")
        .since("7.2.0", "O(1)")
        .summary("Sets information specific to the client or connection."),
    subcommand("NO-EVICT", no_evict, 3)
        .flags(ADMIN)
        .usage("<ON|OFF>")
        .since("7.0.0", "O(1)")
        .summary("Sets the client eviction mode of the connection."),
    subcommand("NO-TOUCH", no_touch, 3)
        .usage("<ON|OFF>")
        .since("7.2.0", "O(1)")
        .summary("Controls whether commands sent by the client affect the LRU/LFU of accessed keys."),
    subcommand("KILL", kill, -3)
        .flags(OPERATOR)
        .usage("<ip:port|<[ID client-id]|[TYPE <NORMAL|MASTER|SLAVE|REPLICA|PUBSUB>]|[USER username]|[ADDR ip:port]|[LADDR ip:port]|[SKIPME <YES|NO>]|[MAXAGE maxage]> ...>")
        .since("2.4.0", "O(N) where N is the number of client connections")
        .summary("Terminates open connections."),
    subcommand("REPLY", reply, 3)
        .usage("<ON|OFF|SKIP>")
        .since("3.2.0", "O(1)")
        .summary("Instructs the server whether to reply to commands."),
    client_tracking::TRACKING,
    client_tracking::CACHING,
    client_tracking::GETREDIR,
    client_tracking::TRACKINGINFO,
    subcommand("UNBLOCK", unblock, -3)
        .flags(OPERATOR)
        .usage("client-id [TIMEOUT|ERROR]")
        .since("5.0.0", "O(log N) where N is the number of client connections")
        .summary("Unblocks a client blocked by a blocking command from a different connection."),
    subcommand("PAUSE", pause, -3)
        .flags(OPERATOR)
        .usage("timeout [WRITE|ALL]")
        .since("2.9.50", "O(1)")
        .summary("Suspends commands processing."),
    subcommand("UNPAUSE", unpause, 2)
        .flags(OPERATOR)
        .since("6.2.0", "O(N) Where N is the number of paused clients")
        .summary("Resumes processing commands from paused clients."),
    help::entry("CLIENT").group(Group::Connection),
];

fn id(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    cx.reply.integer(cx.session.id as i64);
    Ok(())
}

fn info(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    let lines = lines(cx, &ClientFilter::only(cx.session.id), "client|info");
    let text: String = lines.into_values().collect();
    cx.reply.verbatim(text.as_bytes());
    Ok(())
}

fn list(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let mut ahead = *args;
    let ids = ahead.keyword("ID").then(|| ahead.rest());
    let filter = match args.left() {
        1 => return Err(Error::Syntax),
        _ => client_filter::take(cx, args, ClientFilter::default(), client_filter::Of::List)?,
    };
    let lines = lines(cx, &filter, "client|list");
    let id = |word| number::parse_i64(word).map(|id| u64::try_from(id).unwrap_or_default());
    // Who asks for ids alone gets them in that order.
    let text: String = match ids.and_then(|ids| ids.map(id).collect::<Option<Vec<u64>>>()) {
        Some(ids) => ids.iter().filter_map(|id| lines.get(id)).map(String::as_str).collect(),
        None => lines.into_values().collect(),
    };
    cx.reply.verbatim(text.as_bytes());
    Ok(())
}

/// The lines of the clients that pass, by id, the caller's own being up to date.
fn lines(cx: &mut Cx<'_>, filter: &ClientFilter, command: &str) -> BTreeMap<u64, String> {
    let session = &*cx.session;
    let protocol = if cx.reply.is_resp3() { 3 } else { 2 };
    let mut lines = BTreeMap::new();
    cx.host.list_clients(&ClientFilter::default(), &mut |mut client| {
        if client.id == session.id {
            client.refresh(session, command, protocol);
        }
        if filter.matches(&client) {
            lines.insert(client.id, format!("{client}\n"));
        }
    });
    lines
}

fn set_name(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let name = args.bytes()?;
    check_label(name, b"Client names")?;
    cx.session.labels_mut().name = name.into();
    cx.reply.ok();
    Ok(())
}

fn get_name(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    match cx.session.name() {
        [] => cx.reply.nil(),
        name => cx.reply.bulk(name),
    }
    Ok(())
}

fn set_info(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (option, value) = (args.bytes()?, args.bytes()?);
    let is_name = option.eq_ignore_ascii_case(b"LIB-NAME");
    if !is_name && !option.eq_ignore_ascii_case(b"LIB-VER") {
        return Err(Error::unrecognized_option(option));
    }
    check_label(value, option)?;
    let labels = cx.session.labels_mut();
    let label = if is_name { &mut labels.library_name } else { &mut labels.library_version };
    *label = value.into();
    cx.reply.ok();
    Ok(())
}

/// Names and labels of clients are one printable word.
pub(super) fn check_label(label: &[u8], what: &[u8]) -> Result<(), Error> {
    if label.iter().all(|byte| matches!(byte, b'!'..=b'~')) {
        return Ok(());
    }
    Err(Error::not_a_label(what))
}

fn no_evict(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    cx.session.no_evict = on_or_off(args)?;
    cx.reply.ok();
    Ok(())
}

fn no_touch(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    cx.session.no_touch = on_or_off(args)?;
    cx.reply.ok();
    Ok(())
}

fn on_or_off(args: &mut Args<'_>) -> Result<bool, Error> {
    args.one_of(&["ON", "OFF"]).map(|word| word == 0).ok_or(Error::Syntax)
}

fn kill(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    if args.left() == 1 {
        return kill_address(cx, args.bytes()?);
    }
    let mut filter = ClientFilter::default();
    filter.skip_me = Some(cx.session.id);
    let filter = client_filter::take(cx, args, filter, client_filter::Of::Kill)?;
    let killed = cx.host.kill_clients(&filter);
    cx.reply.integer(killed as i64);
    Ok(())
}

/// The old form: one address, the own connection not excepted.
fn kill_address(cx: &mut Cx<'_>, address: &[u8]) -> Result<(), Error> {
    let mut filter = ClientFilter::default();
    filter.require(Quality::Address(address.into()), true);
    if cx.host.kill_clients(&filter) == 0 {
        return Err(Error::NO_SUCH_CLIENT);
    }
    cx.reply.ok();
    Ok(())
}

fn reply(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    match args.one_of(&["ON", "OFF", "SKIP"]).ok_or(Error::Syntax)? {
        0 => {
            cx.session.reply_mode = ReplyMode::On;
            cx.reply.ok();
        }
        1 => cx.session.reply_mode = ReplyMode::Off,
        // Who hears nothing anyway goes on hearing nothing.
        _ if cx.session.reply_mode == ReplyMode::Off => {}
        _ => cx.session.reply_mode = ReplyMode::SkipNext,
    }
    Ok(())
}

fn unblock(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let id = args.integer()?;
    let with_error = match args.is_done() {
        true => false,
        false => {
            let how = args.bytes()?;
            let reasons = [b"TIMEOUT".as_slice(), b"ERROR"];
            let found = reasons.iter().position(|reason| how.eq_ignore_ascii_case(reason));
            found.ok_or(Error::UNBLOCK_REASON)? == 1
        }
    };
    if !args.is_done() {
        return Err(Error::subcommand_syntax(args.argv().get(1), "CLIENT"));
    }
    let unblocked = u64::try_from(id).is_ok_and(|id| cx.host.unblock_client(id, with_error));
    cx.reply.integer(unblocked.into());
    Ok(())
}

fn pause(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    if args.left() > 2 {
        return Err(Error::subcommand_syntax(args.argv().get(1), "CLIENT"));
    }
    let timeout = args.bytes()?;
    let what = match args.is_done() {
        true => Pause::Everything,
        false => match args.one_of(&["WRITE", "ALL"]).ok_or(Error::PAUSE_MODE)? {
            0 => Pause::Writes,
            _ => Pause::Everything,
        },
    };
    let timeout_ms = number::parse_i64(timeout).ok_or(Error::TIMEOUT_NOT_AN_INTEGER)?;
    let timeout_ms = u64::try_from(timeout_ms).map_err(|_| Error::TIMEOUT_NEGATIVE)?;
    let until = cx.keys.now.get().saturating_add(timeout_ms);
    cx.host.pause(Millis::new(until), what);
    cx.reply.ok();
    Ok(())
}

fn unpause(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    cx.host.resume();
    cx.reply.ok();
    Ok(())
}
