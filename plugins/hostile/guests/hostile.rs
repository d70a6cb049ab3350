//! A guest with one command per way of harming its host from inside a call. Its manifest is
//! honest, so it loads; `HOSTILE.OK` tells whether it still works after an attack.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use reef_sdk::bindings::exports::reef::plugin::handler;
use reef_sdk::bindings::reef::plugin::engine::{self, Batch as RawBatch, OnError};
use reef_sdk::bindings::reef::plugin::types::{
    CommandError, Commands, Guards, ItemsParam, ItemsResult,
};
use reef_sdk::{
    Answer, Arguments, Batch, Call, Cause, Command, Component, Error, Level, Node, Park, Plugin,
    Query, Replies, Reply, Result,
};

const COMMANDS: &[Command] = &[
    attack("HOSTILE.OK", ok, "", "Behaves."),
    attack("HOSTILE.LOOP", endless_loop, "", "Never returns."),
    attack("HOSTILE.BURN", burn, "milliseconds", "Takes this much CPU, and succeeds."),
    attack("HOSTILE.NTH", nth, "n", "Traps at the n-th call of its instance."),
    attack("HOSTILE.MARCH", march, "key keys batches", "Applies this many batches; 0: for ever."),
    attack("HOSTILE.BOMB", memory_bomb, "", "Takes memory until refused, and goes on trying."),
    attack("HOSTILE.HOARD", hoard, "bytes", "Takes this much memory and gives it back."),
    attack("HOSTILE.TRAP", trap, "", "Executes an illegal instruction."),
    attack("HOSTILE.PANIC", panics, "", "Panics."),
    attack("HOSTILE.RECURSE", recurse, "", "Calls itself for ever."),
    attack("HOSTILE.REPLY", giant_reply, "bytes", "Replies with this much."),
    attack("HOSTILE.NODES", many_nodes, "count", "Replies with this many empty elements."),
    attack("HOSTILE.NEST", nested_reply, "depth", "Replies with arrays inside arrays."),
    attack("HOSTILE.CALLS", call_storm, "", "Reads for ever."),
    attack("HOSTILE.LOG", log_storm, "bytes", "Logs lines of this length for ever."),
    attack("HOSTILE.COUNTERS", counter_storm, "", "Makes up new counters for ever."),
    attack("HOSTILE.FAIL", failing_batch, "key", "Applies a batch whose last command fails."),
    attack("HOSTILE.ABANDON", abandon, "key", "Applies a batch, then traps."),
    attack("HOSTILE.BATCH", giant_batch, "commands bytes", "Applies a batch of this size."),
    attack("HOSTILE.COPIES", copies, "bytes copies", "Applies a batch that copies a value."),
    attack("HOSTILE.STEAL", steal, "command [argument ...]", "Runs a command it may not run."),
    attack("HOSTILE.PARK", park_everywhere, "keys", "Parks on this many keys for ever.").blocking(),
    attack("HOSTILE.STORM", park_storm, "key KEY|TIME", "Wakes itself for ever.").blocking(),
    attack("HOSTILE.ERROR", forged_error, "", "Fails with a text that is more than one line."),
    attack("HOSTILE.FORGE", forge, "kind", "Sends columns that do not add up."),
];

const fn attack(
    name: &'static str,
    handler: reef_sdk::Handler,
    usage: &'static str,
    summary: &'static str,
) -> Command {
    Command::new(name, handler)
        .usage(usage)
        .summary(summary)
        .complexity("O(1)")
        .since("0.1.0")
        .arity(-1)
        .write()
}

fn ok(_: &mut Call<'_>) -> Result<Answer> {
    Ok(Answer::ok())
}

fn endless_loop(_: &mut Call<'_>) -> Result<Answer> {
    loop {
        black_box(());
    }
}

fn burn(call: &mut Call<'_>) -> Result<Answer> {
    let wanted_us = call.arguments.u64()? * 1_000;
    let before_us = call.host.remaining().cpu_us;
    while before_us - call.host.remaining().cpu_us < wanted_us {
        // Each step waits for the one before.
        let steps = 0..100_000_u64;
        black_box(steps.fold(1, |sum: u64, step| (sum ^ step).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    }
    Ok(Answer::ok())
}

fn nth(call: &mut Call<'_>) -> Result<Answer> {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let number = CALLS.fetch_add(1, Ordering::Relaxed) + 1;
    if number >= call.arguments.u64()? {
        std::process::abort();
    }
    Ok(Answer::integer(number as i64))
}

/// Each batch sets the next number to all keys and appends it to a list: whenever somebody looks,
/// all are equal and the list is whole.
fn march(call: &mut Call<'_>) -> Result<Answer> {
    let key = call.arguments.text()?;
    let keys = call.arguments.u64()?;
    let batches = call.arguments.u64()?;
    let mut query = Query::new();
    query.command("LLEN").arg(format!("{key}:all"));
    let before = call.host.read(&query)?.replies.cursor().integer()?;
    let mut number = before;
    while batches == 0 || number - before < batches as i64 {
        number += 1;
        let mut batch = Batch::new();
        for index in 0..keys {
            batch.set(format!("{key}:{index}"), number);
        }
        batch.command("RPUSH").arg(format!("{key}:all")).arg(number);
        call.host.apply(&batch)?.applied()?;
    }
    Ok(Answer::integer(number))
}

fn memory_bomb(_: &mut Call<'_>) -> Result<Answer> {
    let mut held = Vec::new();
    let mut size = 1_usize << 20;
    loop {
        let mut chunk: Vec<u8> = Vec::new();
        if chunk.try_reserve_exact(size).is_ok() {
            chunk.resize(size, 1);
            held.push(black_box(chunk));
        } else {
            size = (size / 2).max(1);
        }
    }
}

fn hoard(call: &mut Call<'_>) -> Result<Answer> {
    let bytes = call.arguments.u64()? as usize;
    let mut chunk: Vec<u8> = Vec::new();
    chunk.try_reserve_exact(bytes).map_err(|_| Error::fixed("OOM", "the host refused"))?;
    chunk.resize(bytes, 1);
    black_box(&chunk);
    Ok(Answer::ok())
}

fn trap(_: &mut Call<'_>) -> Result<Answer> {
    // `abort` is the `unreachable` instruction in wasm.
    std::process::abort()
}

fn panics(_: &mut Call<'_>) -> Result<Answer> {
    panic!("a guest panicked on purpose")
}

fn recurse(_: &mut Call<'_>) -> Result<Answer> {
    Ok(Answer::integer(deeper(black_box(0))))
}

#[expect(unconditional_recursion, reason = "that is the attack")]
fn deeper(level: i64) -> i64 {
    let frame = black_box([level; 16]);
    deeper(frame[0] + 1) + frame[15]
}

fn giant_reply(call: &mut Call<'_>) -> Result<Answer> {
    let bytes = call.arguments.u64()? as usize;
    Ok(Answer::bulk(vec![b'x'; bytes]))
}

fn many_nodes(call: &mut Call<'_>) -> Result<Answer> {
    let count = call.arguments.u64()? as usize;
    let mut reply = Reply::new();
    reply.array(count);
    (0..count).for_each(|_| {
        reply.nil();
    });
    Ok(reply.into())
}

fn nested_reply(call: &mut Call<'_>) -> Result<Answer> {
    let depth = call.arguments.u64()?;
    let mut reply = Reply::new();
    (0..depth).for_each(|_| {
        reply.array(1);
    });
    reply.nil();
    Ok(reply.into())
}

fn call_storm(call: &mut Call<'_>) -> Result<Answer> {
    let mut query = Query::new();
    query.get("storm");
    loop {
        call.host.read(&query)?;
    }
}

fn log_storm(call: &mut Call<'_>) -> Result<Answer> {
    let line = "x".repeat(call.arguments.u64()? as usize);
    loop {
        call.host.log(Level::Error, &line);
    }
}

fn counter_storm(call: &mut Call<'_>) -> Result<Answer> {
    let mut number = 0_u64;
    loop {
        call.host.count(&format!("counter-{number}"), 1);
        number += 1;
    }
}

/// Three writes would be seen if the fourth command did not undo them: it increments a set.
fn failing_batch(call: &mut Call<'_>) -> Result<Answer> {
    let key = call.arguments.text()?;
    let mut batch = Batch::new();
    batch.set(format!("{key}:text"), "written").sadd(format!("{key}:set"), "member");
    batch.set(key, "written").command("INCR").arg(format!("{key}:set"));
    call.host.apply(&batch)?;
    Ok(Answer::ok())
}

fn abandon(call: &mut Call<'_>) -> Result<Answer> {
    let key = call.arguments.bytes()?;
    let mut batch = Batch::new();
    batch.set(key, "whole").sadd(("set:", key), "whole");
    call.host.apply(&batch)?;
    std::process::abort()
}

fn giant_batch(call: &mut Call<'_>) -> Result<Answer> {
    let commands = call.arguments.u64()?;
    let value = vec![b'x'; call.arguments.u64()? as usize];
    let mut batch = Batch::new();
    for index in 0..commands {
        batch.set(format!("giant:{index}"), &value);
    }
    call.host.apply(&batch)?;
    Ok(Answer::ok())
}

/// Small arguments, and as much data as one likes.
fn copies(call: &mut Call<'_>) -> Result<Answer> {
    let value = vec![b'x'; call.arguments.u64()? as usize];
    let copies = call.arguments.u64()?;
    let mut batch = Batch::new();
    batch.set("copied", &value);
    for index in 0..copies {
        batch.command("COPY").arg("copied").arg(format!("copied:{index}"));
    }
    call.host.apply(&batch)?;
    Ok(Answer::ok())
}

fn steal(call: &mut Call<'_>) -> Result<Answer> {
    let name = call.arguments.text()?;
    let mut batch = Batch::new();
    batch.command(name).args(call.arguments.clone());
    let replies = call.host.apply(&batch)?.applied()?;
    let mut cursor = replies.cursor();
    cursor.skip()?;
    Ok(Answer::ok())
}

fn park_everywhere(call: &mut Call<'_>) -> Result<Answer> {
    let keys = call.arguments.u64()?;
    let park = (0..keys).fold(Park::new(), |park, index| park.on(format!("park:{index}")));
    Ok(park.into())
}

/// Parks again whenever it is called, on a key that it has just written or until a time that is over.
fn park_storm(call: &mut Call<'_>) -> Result<Answer> {
    let key = call.arguments.bytes()?;
    if call.arguments.text()? == "TIME" {
        return Ok(Park::new().until(call.host.invoked_ms()).into());
    }
    let mut batch = Batch::new();
    batch.command("INCR").arg(key);
    call.host.apply(&batch)?;
    Ok(Park::new().on(key).into())
}

fn forged_error(_: &mut Call<'_>) -> Result<Answer> {
    Err(Error::new("OK\r\n+PONG", "first line\r\n$5\r\nhello\r\n".repeat(3)))
}

const NONE: ItemsParam<'static> = ItemsParam { lengths: &[], data: &[] };

/// Kinds that concern the call of the host; those of the reply are handled at the export, because
/// the SDK builds no such reply.
fn forge(call: &mut Call<'_>) -> Result<Answer> {
    let fine = Commands { counts: &[3], lengths: &[3, 5, 1], data: b"SETforge1" };
    let (commands, keys, versions): (_, _, &[u64]) = match call.arguments.text()? {
        "counts-short" => (Commands { counts: &[2], ..fine }, NONE, &[]),
        "counts-long" => (Commands { counts: &[3, 1], ..fine }, NONE, &[]),
        "counts-huge" => (Commands { counts: &[u32::MAX, u32::MAX, 5], ..fine }, NONE, &[]),
        "counts-zero" => (Commands { counts: &[3, 0], ..fine }, NONE, &[]),
        "lengths-short" => (Commands { lengths: &[3, 5, 0], ..fine }, NONE, &[]),
        "lengths-long" => (Commands { lengths: &[3, 5, 2], ..fine }, NONE, &[]),
        "lengths-huge" => (Commands { lengths: &[u32::MAX, u32::MAX, 11], ..fine }, NONE, &[]),
        "guards-without-version" => (fine, ItemsParam { lengths: &[1], data: b"k" }, &[]),
        "guards-without-key" => (fine, NONE, &[1, 2]),
        "guards-lengths" => (fine, ItemsParam { lengths: &[9], data: b"k" }, &[1]),
        _ => return Err(Error::SYNTAX),
    };
    let guards = Guards { keys, versions, absent: NONE };
    let on_error = OnError::RollBack;
    engine::apply(RawBatch { guards, commands, on_error, discard_replies: false })?;
    Ok(Answer::ok())
}

/// Replies whose walk and bytes do not add up.
fn forged_reply(kind: &[u8]) -> Option<Replies> {
    let (nodes, data): (Vec<Node>, &[u8]) = match kind {
        b"reply-empty" => (vec![], b""),
        b"reply-two-trees" => (vec![Node::Nil, Node::Nil], b""),
        b"reply-short-array" => (vec![Node::Array(2), Node::Nil], b""),
        b"reply-huge-array" => (vec![Node::Array(u32::MAX)], b""),
        b"reply-huge-pairs" => (vec![Node::Pairs(u32::MAX), Node::Nil, Node::Nil], b""),
        b"reply-bytes-missing" => (vec![Node::Bulk(9)], b"short"),
        b"reply-bytes-left" => (vec![Node::Bulk(1)], b"long"),
        b"reply-lengths-overflow" => {
            (vec![Node::Array(2), Node::Bulk(u32::MAX), Node::Bulk(2)], b"x")
        }
        b"reply-status-lines" => (vec![Node::Status(7)], b"a\r\n+b\r\n"),
        b"reply-error-lines" => (vec![Node::Error(7)], b"a\r\n+b\r\n"),
        _ => return None,
    };
    Some(Replies { nodes, data: data.to_vec() })
}

/// What this guest is.
pub static PLUGIN: Plugin = Plugin {
    name: "hostile",
    version: "0.1.0",
    summary: "Tries to harm its host.",
    commands: COMMANDS,
    wants: &["GET", "SET", "SADD", "INCR", "LLEN", "RPUSH", "COPY", "~*"],
    subscription: None,
    reaction: None,
};

/// As [`Plugin::call_from_host`], but forged replies go out as they are.
pub fn call_from_host(
    command: u32,
    cause: &handler::Cause,
    arguments: &ItemsResult,
) -> Result<handler::Outcome, CommandError> {
    let cause = match cause {
        handler::Cause::Invoked => Cause::Invoked,
        handler::Cause::Ready(key) => Cause::Ready(key),
        handler::Cause::TimedOut => Cause::TimedOut,
    };
    let list = Arguments::new(&arguments.lengths, &arguments.data);
    let forge = COMMANDS.len() - 1;
    if command as usize == forge
        && let Some(replies) = list.clone().next().and_then(forged_reply)
    {
        return Ok(handler::Outcome::Reply(replies));
    }
    let answer = PLUGIN.call(&mut Component, command as usize, cause, list)?;
    Ok(answer.into_outcome())
}

#[cfg(target_arch = "wasm32")]
mod component_exports {
    use super::{CommandError, ItemsResult, handler};

    struct Exports;

    impl handler::Guest for Exports {
        fn describe() -> Result<handler::Manifest, String> {
            Ok(super::PLUGIN.manifest())
        }

        fn call(
            command: u32,
            cause: handler::Cause,
            arguments: ItemsResult,
        ) -> Result<handler::Outcome, CommandError> {
            super::call_from_host(command, &cause, &arguments)
        }
    }

    reef_sdk::bindings::export_component!(Exports with_types_in reef_sdk::bindings);
}
