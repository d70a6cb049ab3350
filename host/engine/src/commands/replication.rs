//! Replication as clients and other servers see it. Who copies whom is the host's business.

use alloc::borrow::ToOwned;
use alloc::string::String;

use crate::args::Args;
use crate::command::{Command, Flags, Group, command};
use crate::error::Error;
use crate::replication::{CopiesWanted, CopyFrom, Failover, Introduction, Replication, Role};
use crate::step::Cx;

const ADMIN: Flags = Flags::ADMIN.with(Flags::NOSCRIPT);
const ANYTIME: Flags = Flags::LOADING.with(Flags::STALE);

/// The family's entries.
pub(super) static TABLE: &[Command] = &[
    command("ROLE", role, 1)
        .group(Group::Server)
        .flags(Flags::OPERATOR)
        .flags(Flags::NOSCRIPT)
        .flags(ANYTIME)
        .fast()
        .since("2.8.12", "O(1)")
        .summary("Returns the replication role."),
    command("REPLICAOF", replicaof, 3)
        .group(Group::Server)
        .flags(ADMIN)
        .flags(Flags::STALE)
        .flags(Flags::NO_ASYNC_LOADING)
        .usage("<host port|NO ONE>")
        .since("5.0.0", "O(1)")
        .summary("Configures a server as replica of another, or promotes it to a master."),
    command("SLAVEOF", replicaof, 3)
        .group(Group::Server)
        .flags(ADMIN)
        .flags(Flags::STALE)
        .flags(Flags::NO_ASYNC_LOADING)
        .usage("<host port|NO ONE>")
        .since("1.0.0", "O(1)")
        .summary("Sets a Redis server as a replica of another, or promotes it to being a master."),
    command("PSYNC", psync, -3)
        .group(Group::Server)
        .flags(ADMIN)
        .flags(Flags::NO_MULTI)
        .flags(Flags::NO_ASYNC_LOADING)
        .usage("replicationid offset")
        .since("2.8.0", "")
        .summary("An internal command used in replication."),
    command("SYNC", sync, 1)
        .group(Group::Server)
        .flags(ADMIN)
        .flags(Flags::NO_MULTI)
        .flags(Flags::NO_ASYNC_LOADING)
        .since("1.0.0", "")
        .summary("An internal command used in replication."),
    command("REPLCONF", replconf, -1)
        .group(Group::Server)
        .flags(ADMIN)
        .flags(ANYTIME)
        .flags(Flags::ALLOW_BUSY)
        .since("3.0.0", "O(1)")
        .summary("An internal command for configuring the replication stream."),
    command("WAIT", wait, 3)
        .group(Group::Generic)
        .usage("numreplicas timeout")
        .since("3.0.0", "O(1)")
        .summary("Blocks until the asynchronous replication of all preceding write commands sent by the connection is completed."),
    command("WAITAOF", waitaof, 4)
        .group(Group::Generic)
        .flags(Flags::NOSCRIPT)
        .usage("numlocal numreplicas timeout")
        .since("7.2.0", "O(1)")
        .summary("Blocks until all of the preceding write commands sent by the connection are written to the append-only file of the master and/or replicas."),
    command("FAILOVER", failover, -1)
        .group(Group::Server)
        .flags(ADMIN)
        .flags(Flags::STALE)
        .usage("[TO host port [FORCE]] [ABORT] [TIMEOUT milliseconds]")
        .since("6.2.0", "O(1)")
        .summary("Starts a coordinated failover from a server to one of its replicas."),
];

fn host<'a>(cx: &'a mut Cx<'_>) -> Result<&'a mut dyn Replication, Error> {
    cx.host.replication().ok_or(Error::NoScriptCommand)
}

fn role(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    let role = host(cx)?.role();
    match role {
        Role::Primary { offset, replicas } => {
            cx.reply.array(3);
            cx.reply.bulk(b"master");
            cx.reply.integer(offset as i64);
            cx.reply.array(replicas.len());
            for (address, port, offset) in replicas {
                cx.reply.array(3);
                cx.reply.bulk(address.as_bytes());
                cx.reply.bulk_integer(port.into());
                cx.reply.bulk_integer(offset as i64);
            }
        }
        Role::Replica { host, port, state, offset } => {
            cx.reply.array(5);
            cx.reply.bulk(b"slave");
            cx.reply.bulk(host.as_bytes());
            cx.reply.integer(port.into());
            cx.reply.bulk(state.as_bytes());
            cx.reply.integer(offset.map_or(-1, |offset| offset as i64));
        }
    }
    Ok(())
}

fn replicaof(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (address, port) = (args.bytes()?, args.bytes()?);
    if address.eq_ignore_ascii_case(b"NO") && port.eq_ignore_ascii_case(b"ONE") {
        host(cx)?.follow(None)?;
        cx.reply.ok();
        return Ok(());
    }
    let port = port_of(port).ok_or(Error::INVALID_PRIMARY_PORT)?;
    match host(cx)?.follow(Some((address, port)))? {
        true => cx.reply.ok(),
        false => cx.reply.status("OK Already connected to specified master"),
    }
    Ok(())
}

/// A port, or 0 for what is none: nobody has that.
fn known_port(number: i64) -> u16 {
    u16::try_from(number).unwrap_or(0)
}

fn port_of(text: &[u8]) -> Option<u16> {
    core::str::from_utf8(text).ok()?.parse().ok()
}

fn psync(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let id = args.bytes()?;
    let offset = args.integer();
    let takes_over = args.keyword("FAILOVER");
    // What else there is means nothing.
    args.skip_rest();
    let host = host(cx)?;
    if takes_over && matches!(host.role(), Role::Primary { .. }) {
        return Err(Error::FAILOVER_TO_PRIMARY);
    }
    let offset = offset?;
    let from = match id {
        b"?" if !takes_over => CopyFrom::Start,
        id => CopyFrom::History { id, offset, takes_over },
    };
    let status = host.synchronise(from)?;
    cx.answer_by(status);
    Ok(())
}

fn sync(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    let status = host(cx)?.synchronise(CopyFrom::Nowhere)?;
    cx.answer_by(status);
    Ok(())
}

fn replconf(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    if !args.left().is_multiple_of(2) {
        return Err(Error::Syntax);
    }
    let mut is_answered = true;
    while let Some(name) = args.maybe() {
        is_answered &= introduce(host(cx)?, name, args)?;
    }
    // In a transaction there is a place to be filled.
    if is_answered || cx.session.executing {
        cx.reply.ok();
    }
    Ok(())
}

/// Takes what a replica says. Whether it is answered.
fn introduce(host: &mut dyn Replication, name: &[u8], args: &mut Args<'_>) -> Result<bool, Error> {
    let is = |word: &str| name.eq_ignore_ascii_case(word.as_bytes());
    let introduction = if is("listening-port") {
        Introduction::Port(known_port(args.integer()?))
    } else if is("ip-address") {
        Introduction::Address(args.bytes()?)
    } else if is("capa") {
        match args.bytes()? {
            capa if capa.eq_ignore_ascii_case(b"eof") => Introduction::EndMark,
            capa if capa.eq_ignore_ascii_case(b"psync2") => Introduction::SecondId,
            capa if capa.eq_ignore_ascii_case(b"reef-tenants") => Introduction::Tenants,
            _ => Introduction::Other,
        }
    } else if is("ack") {
        acknowledge(host, args);
        return Ok(false);
    } else if is("getack") {
        args.skip_rest();
        return Ok(false);
    } else if is("rdb-only") {
        Introduction::SnapshotOnly(args.integer_between(0, 1)? == 1)
    } else if is("rdb-filter-only") {
        check_filter(args.bytes()?)?;
        Introduction::Other
    } else if is("version") {
        args.bytes()?;
        Introduction::Other
    } else {
        return Err(Error::unknown_replconf(name));
    };
    host.introduce(introduction);
    Ok(true)
}

/// Takes how far a replica has come. What makes no sense is passed over: it is never answered.
fn acknowledge(host: &mut dyn Replication, args: &mut Args<'_>) {
    let at = |offset: i64| u64::try_from(offset).unwrap_or(0);
    if let Ok(offset) = args.integer() {
        let logged = args.keyword("FACK").then(|| args.integer().map_or(0, at));
        host.acknowledge(at(offset), logged);
    }
    args.skip_rest();
}

/// Only functions can be wanted alone, of which there are none.
fn check_filter(kinds: &[u8]) -> Result<(), Error> {
    let kinds = kinds.split(u8::is_ascii_whitespace).filter(|kind| !kind.is_empty());
    let mut unknown = kinds.filter(|kind| !kind.eq_ignore_ascii_case(b"functions"));
    unknown.next().map_or(Ok(()), |kind| Err(Error::unknown_filter(kind)))
}

fn wait(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    refuse_on_replica(cx, Error::WAIT_ON_REPLICA)?;
    let replicas = args.integer()?;
    let timeout_ms = args.timeout_ms()?;
    let wanted = CopiesWanted {
        local_log: None,
        replicas: u64::try_from(replicas).unwrap_or(0),
        logged: false,
        timeout_ms,
        may_wait: !cx.session.executing,
    };
    ask_for_copies(cx, wanted)
}

fn waitaof(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let local = args.integer_between(0, 1)?;
    let replicas = args.count()?;
    let timeout_ms = args.timeout_ms()?;
    refuse_on_replica(cx, Error::WAITAOF_ON_REPLICA)?;
    let wanted = CopiesWanted {
        local_log: Some(local == 1),
        replicas: replicas as u64,
        logged: true,
        timeout_ms,
        may_wait: !cx.session.executing,
    };
    ask_for_copies(cx, wanted)
}

fn refuse_on_replica(cx: &mut Cx<'_>, refusal: Error) -> Result<(), Error> {
    match host(cx)?.role() {
        Role::Replica { .. } => Err(refusal),
        Role::Primary { .. } => Ok(()),
    }
}

fn ask_for_copies(cx: &mut Cx<'_>, wanted: CopiesWanted) -> Result<(), Error> {
    let replication = cx.host.replication().ok_or(Error::NoScriptCommand)?;
    let status = replication.wait_for_copies(wanted, cx.reply)?;
    cx.answer_by(status);
    Ok(())
}

fn failover(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (mut how, mut aborts, mut words) = (Failover::default(), false, 0);
    while !args.is_done() {
        words += 1;
        match args.one_of(&["TO", "FORCE", "ABORT", "TIMEOUT"]).ok_or(Error::Syntax)? {
            0 if how.to.is_none() => {
                let address = String::from_utf8_lossy(args.bytes()?).into_owned();
                how.to = Some((address.to_owned(), known_port(args.integer()?)));
            }
            1 if !how.force => how.force = true,
            2 if !aborts => aborts = true,
            3 if how.timeout_ms.is_none() => {
                let timeout = args.integer()?;
                let timeout = u64::try_from(timeout).ok().filter(|timeout| *timeout > 0);
                how.timeout_ms = Some(timeout.ok_or(Error::FAILOVER_TIMEOUT)?);
            }
            _ => return Err(Error::Syntax),
        }
    }
    if aborts && words > 1 {
        return Err(Error::Syntax);
    }
    match aborts {
        true => host(cx)?.abort_failover()?,
        false => host(cx)?.fail_over(how)?,
    }
    cx.reply.ok();
    Ok(())
}
