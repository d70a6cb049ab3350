//! A guest that behaves: what a call costs, without anything done in it.

use reef_sdk::{Answer, Batch, Call, Command, Result};

const COMMANDS: &[Command] = &[
    Command::new("NOOP.CALL", call)
        .usage("[argument ...]")
        .summary("Does nothing.")
        .complexity("O(1)")
        .since("0.1.0")
        .arity(-1)
        .readonly()
        .fast(),
    Command::new("NOOP.ECHO", echo)
        .usage("text")
        .summary("Gives its argument back.")
        .complexity("O(1)")
        .since("0.1.0")
        .arity(2)
        .readonly()
        .fast(),
    Command::new("NOOP.BATCH", batch)
        .usage("key count value")
        .summary("Sets count keys in one batch.")
        .complexity("O(N)")
        .since("0.1.0")
        .arity(4)
        .write()
        .denyoom(),
    Command::new("NOOP.WAIT", wait)
        .usage("key milliseconds")
        .summary("Parks until the key is written or the time has passed.")
        .complexity("O(1)")
        .since("0.1.0")
        .arity(3)
        .readonly()
        .blocking()
        .keys(1, 1, 1),
];

fn call(_: &mut Call<'_>) -> Result<Answer> {
    Ok(Answer::ok())
}

fn echo(call: &mut Call<'_>) -> Result<Answer> {
    Ok(Answer::bulk(call.arguments.bytes()?))
}

/// Keys are `<key>:<index>`.
fn batch(call: &mut Call<'_>) -> Result<Answer> {
    let key = call.arguments.text()?;
    let count = call.arguments.u64()?;
    let value = call.arguments.bytes()?;
    let mut batch = Batch::new();
    for index in 0..count {
        batch.set(format!("{key}:{index}"), value);
    }
    batch.discard_replies();
    call.host.apply(&batch)?.applied()?;
    Ok(Answer::ok())
}

/// Answers with what ended the wait.
fn wait(call: &mut Call<'_>) -> Result<Answer> {
    let key = call.arguments.bytes()?;
    let milliseconds = call.arguments.u64()?;
    Ok(match call.cause {
        reef_sdk::Cause::Invoked => {
            let deadline_ms = call.host.now_ms() + milliseconds;
            reef_sdk::Park::new().on(key).until(deadline_ms).into()
        }
        reef_sdk::Cause::Ready(key) => Answer::bulk(key),
        reef_sdk::Cause::TimedOut => Answer::nil(),
    })
}

reef_sdk::export_plugin! {
    name: "noop",
    version: "0.1.0",
    summary: "Does nothing, well.",
    commands: COMMANDS,
    wants: &["SET", "~*"],
}
