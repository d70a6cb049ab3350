//! A guest whose trigger answers another's: whenever `mem:count` or `dur:count` changes, which the guest
//! `listener` writes, it writes `mem:echo` or `dur:echo`, of which that one hears.

use reef_sdk::{Answer, Batch, Call, Command, Event, Host, Result, Trigger};

const COMMANDS: &[Command] = &[Command::new("ECHO.PING", ping)
    .summary("Is there.")
    .complexity("O(1)")
    .since("0.1.0")
    .arity(1)
    .readonly()
    .fast()];

const TRIGGERS: &[Trigger] = &[Trigger::on("mem:count"), Trigger::on("dur:count").durable()];

fn ping(_: &mut Call<'_>) -> Result<Answer> {
    Ok(Answer::ok())
}

fn react(_: &mut dyn Host, event: &Event<'_>) -> Result<Batch> {
    let mut batch = Batch::new();
    let key: &[u8] = if event.key.starts_with(b"mem") { b"mem:echo" } else { b"dur:echo" };
    batch.command("INCR").arg(key);
    Ok(batch)
}

reef_sdk::export_plugin! {
    name: "echo",
    version: "0.1.0",
    summary: "Answers the triggers of another.",
    commands: COMMANDS,
    wants: &["INCR", "~mem:*", "~dur:*"],
    triggers: TRIGGERS,
    on_event: react,
}
