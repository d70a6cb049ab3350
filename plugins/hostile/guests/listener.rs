//! A guest with triggers: writes down what happens, in a list, and counts it, in one batch.
//!
//! A key whose name ends with `:bad` makes its batch fail, one with `:slow` takes its time. What it
//! writes matches its own triggers.

use reef_sdk::{Answer, Batch, Call, Command, Event, Host, Result, Trigger};

const COMMANDS: &[Command] = &[Command::new("LISTENER.PING", ping)
    .summary("Is there.")
    .complexity("O(1)")
    .since("0.1.0")
    .arity(1)
    .readonly()
    .fast()];

const TRIGGERS: &[Trigger] = &[Trigger::on("mem:*"), Trigger::on("dur:*").durable()];

fn ping(_: &mut Call<'_>) -> Result<Answer> {
    Ok(Answer::ok())
}

fn react(host: &mut dyn Host, event: &Event<'_>) -> Result<Batch> {
    let mut batch = Batch::new();
    let line = [event.name.as_bytes(), b" ", event.key].concat();
    let kind = if event.key.starts_with(b"mem") { "mem" } else { "dur" };
    batch.command("RPUSH").arg((kind, b":log".as_slice())).arg(line);
    batch.command("INCR").arg((kind, b":count".as_slice()));
    if event.key.ends_with(b":bad") {
        batch.command("INCR").arg((kind, b":log".as_slice()));
    }
    if event.key.ends_with(b":slow") {
        let mut sum = 0_u64;
        for _ in 0..200 {
            sum = sum.wrapping_add(host.random());
        }
        std::hint::black_box((0..2_000_000_u64).fold(sum, |a, b| a.wrapping_mul(31) ^ b));
    }
    Ok(batch)
}

reef_sdk::export_plugin! {
    name: "listener",
    version: "0.1.0",
    summary: "Writes down what happens.",
    commands: COMMANDS,
    wants: &["RPUSH", "INCR", "~mem:*", "~dur:*"],
    triggers: TRIGGERS,
    on_event: react,
}
