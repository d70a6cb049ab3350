//! Greets people, counts how often, and keeps a list of whom: two keys that always agree.

use reef_sdk::{Answer, Batch, Call, Command, Result, export_plugin};

const COMMANDS: &[Command] = &[Command::new("HELLO.GREET", greet)
    .usage("name")
    .summary("Greets somebody and says how often that happened.")
    .complexity("O(1)")
    .since("0.1.0")
    .arity(2)
    .write()];

fn greet(call: &mut Call<'_>) -> Result<Answer> {
    let name = call.arguments.text()?;
    call.arguments.end()?;
    // Both or none: if `hello:log` is no list, nobody is counted.
    let mut batch = Batch::new();
    batch.command("INCR").arg(("hello:count:", name.as_bytes()));
    batch.command("RPUSH").arg("hello:log").arg(name);
    let replies = call.host.apply(&batch)?.applied()?;
    let times = replies.cursor().integer()?;
    Ok(Answer::bulk(format!("Hello {name}, for the {times}. time")))
}

export_plugin! {
    name: "hello",
    version: "0.1.0",
    summary: "Greets people.",
    commands: COMMANDS,
    wants: &["INCR", "RPUSH", "~hello:*"],
}

#[cfg(test)]
mod tests {
    use reef_sdk::fake::Server;

    #[test]
    fn a_greeting_is_counted_or_nothing_happens() {
        let mut server = Server::new();
        let reply = server.run(&super::PLUGIN, &["HELLO.GREET", "Ada"]);
        assert_eq!(reply, "\"Hello Ada, for the 1. time\"");
        server.redis(&["SET", "hello:log", "no list"]);
        assert!(server.run(&super::PLUGIN, &["HELLO.GREET", "Ada"]).contains("WRONGTYPE"));
        assert_eq!(server.redis(&["GET", "hello:count:Ada"]), "\"1\"");
    }
}
