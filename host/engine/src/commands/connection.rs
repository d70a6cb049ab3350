//! The connection itself: greeting, authentication, selected database, liveness.

use reef_resp::Protocol;

use super::module;
use crate::acl::DEFAULT_USER;
use crate::args::Args;
use crate::command::{Command, Flags, Group, command};
use crate::error::Error;
use crate::session::ReplyMode;
use crate::step::Cx;
use crate::types::number;

const ANYTIME: Flags = Flags::LOADING.with(Flags::STALE).with(Flags::FAST);
const STRANGER: Flags = Flags::NOSCRIPT.with(Flags::NO_AUTH).with(Flags::ALLOW_BUSY).with(ANYTIME);

/// The version of Redis whose commands and replies Reef speaks.
pub const REDIS_VERSION: &str = "7.2.4";

/// The family's entries.
pub(super) static TABLE: &[Command] = &[
    command("PING", ping, -1)
        .group(Group::Connection)
        .flags(Flags::FAST)
        .flags(Flags::WHILE_SUBSCRIBED)
        .flags(Flags::TELLS_OF_DISK)
        .usage("[message]")
        .since("1.0.0", "O(1)")
        .summary("Returns the server's liveliness response."),
    command("ECHO", echo, 2)
        .group(Group::Connection)
        .flags(ANYTIME)
        .usage("message")
        .since("1.0.0", "O(1)")
        .summary("Returns the given string."),
    command("SELECT", select, 2)
        .group(Group::Connection)
        .flags(ANYTIME)
        .usage("index")
        .since("1.0.0", "O(1)")
        .summary("Changes the selected database."),
    command("AUTH", auth, -2)
        .group(Group::Connection)
        .flags(STRANGER)
        .usage("[username] password")
        .since("1.0.0", "O(N) where N is the number of passwords defined for the user")
        .summary("Authenticates the connection."),
    command("HELLO", hello, -1)
        .group(Group::Connection)
        .flags(STRANGER)
        .usage("[protover [AUTH username password] [SETNAME clientname]]")
        .since("6.0.0", "O(1)")
        .summary("Handshakes with the Redis server."),
    command("QUIT", quit, -1)
        .group(Group::Connection)
        .flags(Flags::WHILE_SUBSCRIBED)
        .flags(STRANGER)
        .flags(Flags::NOT_QUEUED)
        .since("1.0.0", "O(1)")
        .summary("Closes the connection."),
    command("RESET", reset, 1)
        .group(Group::Connection)
        .flags(Flags::WHILE_SUBSCRIBED)
        .flags(STRANGER)
        .flags(Flags::NOT_QUEUED)
        .flags(Flags::SESSION_SHARDS)
        .since("6.2.0", "O(1)")
        .summary("Resets the connection."),
];

fn ping(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    if args.left() > 1 {
        return Err(Error::WrongArity("ping".into()));
    }
    if cx.session.subscribed.any() && !cx.reply.is_resp3() {
        // In the form of the messages between which it stands.
        cx.reply.array(2);
        cx.reply.bulk(b"pong");
        cx.reply.bulk(args.maybe().unwrap_or_default());
        return Ok(());
    }
    match args.maybe() {
        Some(message) => cx.reply.bulk(message),
        None => cx.reply.status("PONG"),
    }
    Ok(())
}

fn echo(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    cx.reply.bulk(args.bytes()?);
    Ok(())
}

fn select(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let index = super::generic::database(cx, args)?;
    cx.session.database = index;
    cx.keys.database = index;
    cx.reply.ok();
    Ok(())
}

fn auth(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (user, password) = match args.left() {
        1 => {
            if cx.host.users().default_account().user().needs_no_password() {
                return Err(Error::NoPasswordSet);
            }
            (DEFAULT_USER, args.bytes()?)
        }
        2 => (args.bytes()?, args.bytes()?),
        _ => return Err(Error::Syntax),
    };
    cx.authenticate(user, password, args.argv())?;
    cx.reply.ok();
    Ok(())
}

fn hello(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let mut protocol = None;
    if let Some(version) = args.maybe() {
        protocol = match number::parse_i64(version) {
            Some(2) => Some(Protocol::Resp2),
            Some(3) => Some(Protocol::Resp3),
            Some(_) => return Err(Error::NoProto),
            None => return Err(Error::InvalidProto),
        };
    }
    let (mut name, mut credentials) = (None, None);
    while !args.is_done() {
        if args.left() >= 3 && args.keyword("AUTH") {
            credentials = Some((args.bytes()?, args.bytes()?));
        } else if args.left() >= 2 && args.keyword("SETNAME") {
            let given = args.bytes()?;
            super::client::check_label(given, b"Client names")?;
            name = Some(given);
        } else {
            return Err(Error::hello_option(args.bytes()?));
        }
    }
    if let Some((user, password)) = credentials {
        cx.authenticate(user, password, args.argv())?;
    }
    if !cx.session.authenticated {
        return Err(Error::HELLO_NO_AUTH);
    }
    if let Some(name) = name {
        cx.session.labels_mut().name = name.into();
    }
    if let Some(protocol) = protocol {
        cx.reply.set_protocol(protocol);
    }
    say_greeting(cx);
    Ok(())
}

fn say_greeting(cx: &mut Cx<'_>) {
    let reply = &mut *cx.reply;
    reply.map(7);
    reply.bulk(b"server");
    reply.bulk(b"redis");
    reply.bulk(b"version");
    reply.bulk(REDIS_VERSION.as_bytes());
    reply.bulk(b"proto");
    reply.integer(if reply.is_resp3() { 3 } else { 2 });
    reply.bulk(b"id");
    reply.integer(cx.session.id as i64);
    reply.bulk(b"mode");
    reply.bulk(b"standalone");
    reply.bulk(b"role");
    reply.bulk(b"master");
    reply.bulk(b"modules");
    module::say_modules(reply);
}

fn quit(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    args.skip_rest();
    cx.session.closing = true;
    cx.reply.ok();
    Ok(())
}

fn reset(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    cx.session.end();
    cx.unwatch();
    cx.end_subscriptions();
    cx.end_tracking();
    cx.session.monitoring = false;
    cx.session.database = 0;
    cx.session.reply_mode = ReplyMode::On;
    cx.session.no_touch = false;
    cx.session.no_evict = false;
    cx.session.labels_mut().name = [].into();
    let account = cx.host.users().default_account().clone();
    cx.session.authenticated = account.user().is_open();
    cx.session.hold(account);
    cx.reply.set_protocol(Protocol::Resp2);
    cx.reply.status("RESET");
    Ok(())
}
