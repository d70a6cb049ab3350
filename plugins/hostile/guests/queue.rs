//! A guest that waits: takes elements of lists as BLPOP does, by parking.

use reef_sdk::{Answer, Batch, Call, Cause, Command, Park, Result};

const COMMANDS: &[Command] = &[
    Command::new("QUEUE.TAKE", take)
        .usage("key milliseconds")
        .summary("Takes the first element of a list, and waits for one if there is none.")
        .complexity("O(1)")
        .since("0.1.0")
        .arity(3)
        .write()
        .blocking()
        .keys(1, 1, 1),
    Command::new("QUEUE.NEVER", never)
        .usage("key milliseconds")
        .summary("Waits for its time to be over, whatever is written meanwhile.")
        .complexity("O(1)")
        .since("0.1.0")
        .arity(3)
        .readonly()
        .blocking()
        .keys(1, 1, 1),
    Command::new("QUEUE.SETTING", setting)
        .usage("name")
        .summary("Tells a value of the configuration.")
        .complexity("O(1)")
        .since("0.1.0")
        .arity(2)
        .readonly()
        .fast(),
];

/// Without a limit when the milliseconds are 0.
fn take(call: &mut Call<'_>) -> Result<Answer> {
    let key = call.arguments.bytes()?;
    let milliseconds = call.arguments.u64()?;
    call.arguments.end()?;
    if call.cause == Cause::TimedOut {
        return Ok(Answer::nil());
    }
    let mut batch = Batch::new();
    batch.command("LPOP").arg(key);
    let replies = call.host.apply(&batch)?.applied()?;
    if let Some(element) = replies.cursor().bulk()? {
        return Ok(Answer::bulk(element));
    }
    let park = Park::new().on(key);
    Ok(match milliseconds {
        0 => park,
        _ => park.until(call.host.invoked_ms() + milliseconds),
    }
    .into())
}

fn never(call: &mut Call<'_>) -> Result<Answer> {
    let key = call.arguments.bytes()?;
    let milliseconds = call.arguments.u64()?;
    call.arguments.end()?;
    match call.cause {
        Cause::TimedOut => return Ok(Answer::nil()),
        Cause::Ready(_) => call.host.count("woken-in-vain", 1),
        Cause::Invoked => {}
    }
    Ok(Park::new().on(key).until(call.host.invoked_ms() + milliseconds).into())
}

fn setting(call: &mut Call<'_>) -> Result<Answer> {
    let name = call.arguments.text()?;
    Ok(call.host.config(name).map_or_else(Answer::nil, Answer::bulk))
}

reef_sdk::export_plugin! {
    name: "queue",
    version: "0.1.0",
    summary: "Waits.",
    commands: COMMANDS,
    wants: &["LPOP", "~*"],
}
