//! redis-rs, synchronous, in both protocols.

use std::collections::BTreeSet;

use redis::{Commands, Connection, RedisResult};
use reef_clients::Served;

/// Runs a check in RESP2 and in RESP3, on an empty database.
fn everywhere(check: impl Fn(&Served, &mut Connection) -> RedisResult<()>) {
    let served = Served::start();
    for protocol in ["resp2", "resp3"] {
        let mut connection = connect(&served, protocol).expect("a connection");
        redis::cmd("FLUSHALL").exec(&mut connection).expect("FLUSHALL");
        check(&served, &mut connection).expect(protocol);
    }
}

fn connect(served: &Served, protocol: &str) -> RedisResult<Connection> {
    let url = format!("redis://127.0.0.1:{}/?protocol={protocol}", served.port());
    redis::Client::open(url)?.get_connection()
}

#[test]
fn pipelines_are_answered_in_order() {
    everywhere(|_, connection| {
        let mut pipe = redis::pipe();
        for index in 0..5_000 {
            pipe.cmd("RPUSH").arg("log").arg(index);
        }
        let lengths: Vec<u64> = pipe.query(connection)?;
        assert_eq!(lengths, (1..=5_000).collect::<Vec<_>>());
        let log: Vec<u64> = connection.lrange("log", 0, -1)?;
        assert_eq!(log, (0..5_000).collect::<Vec<_>>());
        Ok(())
    });
}

#[test]
fn transactions_apply_at_once_and_watches_abort_them() {
    everywhere(|served, connection| {
        let mut pipe = redis::pipe();
        pipe.atomic().cmd("SET").arg("a").arg(1).ignore().cmd("INCR").arg("a");
        assert_eq!(pipe.query::<(i64,)>(connection)?, (2,));
        let mut other = connect(served, "resp2")?;
        let mut rounds = 0;
        let mut round = |connection: &mut Connection, pipe: &mut redis::Pipeline| {
            rounds += 1;
            let before: i64 = connection.get("a")?;
            if rounds == 1 {
                other.incr::<_, _, ()>("a", 10)?;
            }
            pipe.set("a", before * 2).ignore().get("a").query(connection)
        };
        let (after,): (i64,) = redis::transaction(connection, &["a"], &mut round)?;
        assert_eq!((after, rounds), (24, 2));
        Ok(())
    });
}

#[test]
fn plugin_commands_answer_typed() {
    everywhere(|_, connection| {
        let mut pipe = redis::pipe();
        pipe.cmd("TX.CREATE").arg("r").arg(7).arg("0x1").arg(5).arg("ID").arg("t");
        pipe.cmd("TX.UPDATE").arg("t").arg("confirmed").arg("BOTH");
        pipe.cmd("TX.STATS").arg("r");
        let (id, both, stats): (String, Vec<String>, Vec<(String, u64)>) =
            pipe.query(connection)?;
        assert_eq!((id.as_str(), both.len()), ("t", 2));
        assert_eq!(stats[0], ("total".to_owned(), 1));
        let mut again = redis::cmd("TX.CREATE");
        again.arg("r").arg(7).arg("0x1").arg(6);
        let refused = again.query::<String>(connection).expect_err("the nonce is used");
        assert_eq!(refused.code(), Some("NONCEUSED"));
        Ok(())
    });
}

#[test]
fn scans_find_every_key() {
    everywhere(|_, connection| {
        for index in 0..2_000 {
            connection.set::<_, _, ()>(format!("key:{index}"), index)?;
        }
        let keys = connection.scan_match::<_, String>("key:*")?;
        let found = keys.collect::<RedisResult<BTreeSet<String>>>()?;
        assert_eq!(found.len(), 2_000);
        Ok(())
    });
}

#[test]
fn big_values_come_back_as_they_were() {
    everywhere(|_, connection| {
        let value: Vec<u8> = (0..8 << 20).map(|index: u32| (index % 251) as u8).collect();
        connection.set::<_, _, ()>("big", &value)?;
        assert!(connection.get::<_, Vec<u8>>("big")? == value);
        Ok(())
    });
}

#[test]
fn a_connection_that_was_ended_says_so_and_another_goes_on() {
    everywhere(|served, connection| {
        let id: u64 = redis::cmd("CLIENT").arg("ID").query(connection)?;
        let mut other = connect(served, "resp3")?;
        redis::cmd("CLIENT").arg("KILL").arg("ID").arg(id).exec(&mut other)?;
        let ended = connection.get::<_, Option<String>>("a").expect_err("it was ended");
        assert!(ended.is_connection_dropped() || ended.is_io_error(), "{ended}");
        let mut anew = connect(served, "resp3")?;
        anew.set::<_, _, ()>("a", "b")?;
        assert_eq!(anew.get::<_, String>("a")?, "b");
        Ok(())
    });
}
