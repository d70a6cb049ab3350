//! The plugin {{name}}: greets people, and counts how often.

use reef_sdk::{Answer, Batch, Call, Command, Error, Query, Result, export_plugin};

const COMMANDS: &[Command] = &[
    Command::new("{{NAME}}.GREET", greet)
        .usage("name")
        .summary("Greets somebody and says how often that happened.")
        .complexity("O(1)")
        .since("0.1.0")
        .arity(2)
        .write()
        .denyoom(),
    Command::new("{{NAME}}.COUNT", count)
        .usage("name")
        .summary("Says how often somebody was greeted.")
        .complexity("O(1)")
        .since("0.1.0")
        .arity(2)
        .readonly()
        .fast(),
];

fn greet(call: &mut Call<'_>) -> Result<Answer> {
    let name: &str = call.arguments.parse()?;
    call.arguments.end()?;
    if name.is_empty() {
        return Err(Error::new("ERR", "nobody has no name"));
    }
    // Both or none: if `{{name}}:log` is no list, nobody is counted.
    let mut batch = Batch::new();
    batch.command("INCR").arg(("{{name}}:count:", name.as_bytes()));
    batch.command("RPUSH").arg("{{name}}:log").arg(name);
    let replies = call.host.apply(&batch)?.applied()?;
    let times: i64 = replies.cursor().value()?;
    Ok(Answer::of(greeting(name, times)))
}

fn count(call: &mut Call<'_>) -> Result<Answer> {
    let name: &[u8] = call.arguments.parse()?;
    call.arguments.end()?;
    let mut query = Query::new();
    query.get(("{{name}}:count:", name));
    let view = call.host.read(&query)?;
    let times: Option<i64> = view.cursor().value()?;
    Ok(Answer::of(times.unwrap_or(0)))
}

/// Logic that knows nothing of Reef.
fn greeting(name: &str, times: i64) -> String {
    format!("Hello {name}, for the {times}. time")
}

export_plugin! {
    name: "{{name}}",
    version: "0.1.0",
    summary: "Greets people.",
    commands: COMMANDS,
    // What it has to be granted when it is loaded: commands it runs, keys it touches.
    wants: &["INCR", "RPUSH", "GET", "~{{name}}:*"],
}

#[cfg(test)]
mod tests {
    use reef_sdk::fake::Server;

    use super::*;

    #[test]
    fn a_greeting_says_how_often() {
        assert_eq!(greeting("Ada", 2), "Hello Ada, for the 2. time");
    }

    #[test]
    fn a_greeting_is_counted_or_nothing_happens() {
        let mut server = Server::new();
        let reply = server.run(&PLUGIN, &["{{NAME}}.GREET", "Ada"]);
        assert_eq!(reply, "\"Hello Ada, for the 1. time\"");
        server.redis(&["SET", "{{name}}:log", "no list"]);
        assert!(server.run(&PLUGIN, &["{{NAME}}.GREET", "Ada"]).contains("WRONGTYPE"));
        assert_eq!(server.run(&PLUGIN, &["{{NAME}}.COUNT", "Ada"]), "(integer) 1");
    }
}
