//! An index over the field `city` of the hashes `person:*` that keeps itself: whoever writes such a
//! hash, with plain `HSET`, `DEL` or an expiry, finds it by `IDX.FIND city` a moment later.
//!
//! Two keys serve each person: the set `idx:city:<city>` and, to know what to take back,
//! `idx:of:<key>` with the city under which the person stands in the index. The trigger reads what is
//! there *now*, so an event that is told twice does no harm, and the guard on the hash lets it look
//! again if it changed meanwhile.

use reef_sdk::{
    Answer, Batch, Call, Command, Event, Host, Query, Reply, Result, Trigger, export_plugin,
};

const COMMANDS: &[Command] = &[Command::new("IDX.FIND", find)
    .usage("city")
    .summary("Returns the keys of the people of a city.")
    .complexity("O(N) where N is the number of people found")
    .since("0.1.0")
    .arity(2)
    .readonly()];

/// Durable: what is written is indexed, even if the server is killed in between.
const TRIGGERS: &[Trigger] = &[Trigger::on("person:*").durable()];

fn find(call: &mut Call<'_>) -> Result<Answer> {
    let city = call.arguments.bytes()?;
    call.arguments.end()?;
    let mut query = Query::new();
    query.command("SMEMBERS").arg(("idx:city:", city));
    let view = call.host.read(&query)?;
    let mut people: Vec<&[u8]> = view.cursor().bulks()?.into_iter().flatten().collect();
    people.sort_unstable();
    let mut reply = Reply::new();
    reply.array(people.len());
    for person in people {
        reply.bulk(person);
    }
    Ok(reply.into())
}

fn index(host: &mut dyn Host, event: &Event<'_>) -> Result<Batch> {
    let person = event.key;
    let mut query = Query::new();
    query.command("HGET").arg(person).arg("city");
    query.command("GET").arg(("idx:of:", person));
    query.watch(person);
    let view = host.read(&query)?;
    let mut cursor = view.cursor();
    let (city, indexed) = (cursor.bulk()?, cursor.bulk()?);
    let mut batch = Batch::new();
    if city == indexed {
        return Ok(batch);
    }
    batch.guard(person, view.version(0));
    if let Some(indexed) = indexed {
        batch.command("SREM").arg(("idx:city:", indexed)).arg(person);
    }
    match city {
        Some(city) => {
            batch.command("SADD").arg(("idx:city:", city)).arg(person);
            batch.command("SET").arg(("idx:of:", person)).arg(city);
        }
        None => {
            batch.command("DEL").arg(("idx:of:", person));
        }
    }
    Ok(batch)
}

export_plugin! {
    name: "secondary-index",
    version: "0.1.0",
    summary: "Finds people by their city.",
    commands: COMMANDS,
    wants: &["HGET", "GET", "SMEMBERS", "SADD", "SREM", "SET", "DEL", "~person:*", "~idx:*"],
    triggers: TRIGGERS,
    on_event: index,
}

#[cfg(test)]
mod tests {
    use reef_sdk::fake::Server;

    use super::PLUGIN;

    #[test]
    fn whoever_moves_is_found_in_one_city() {
        let mut server = Server::new();
        let find = |server: &mut Server, city| server.run(&PLUGIN, &["IDX.FIND", city]);
        server.redis(&["HSET", "person:1", "city", "Oslo"]);
        server.event(&PLUGIN, "hset", "person:1").unwrap();
        assert_eq!(find(&mut server, "Oslo"), "[\"person:1\"]");
        server.redis(&["HSET", "person:1", "city", "Rome"]);
        // Told twice, as may happen.
        server.event(&PLUGIN, "hset", "person:1").unwrap();
        server.event(&PLUGIN, "hset", "person:1").unwrap();
        assert_eq!(find(&mut server, "Oslo"), "[]");
        assert_eq!(find(&mut server, "Rome"), "[\"person:1\"]");
        server.redis(&["DEL", "person:1"]);
        server.event(&PLUGIN, "del", "person:1").unwrap();
        assert_eq!(find(&mut server, "Rome"), "[]");
        assert_eq!(server.redis(&["EXISTS", "idx:of:person:1"]), "(integer) 0");
    }
}
