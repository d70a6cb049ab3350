//! The kit on real components: the bundled transaction repository, and guests that misbehave.

use std::time::Duration;

use reef_test_kit::{GrantRequest, Kit, LoadRequest, Moment, Race, Source};

fn transactions() -> Kit {
    Kit::of(reef_bundled::TX_REPO).expect("the bundled plugin loads")
}

#[test]
fn plugin_and_native_commands_work_on_the_same_data() {
    let mut kit = transactions();
    assert_eq!(kit.run("TX.CREATE r 1 0x12 5 ID a"), "\"a\"");
    assert_eq!(kit.run("SMEMBERS relayer:r:status:pending"), "1) \"a\"");
    assert_eq!(
        kit.run("TX.CREATE r"),
        "(error) ERR wrong number of arguments for 'tx.create' command"
    );
    assert_eq!(kit.run("GET 'unbalanced"), "Invalid argument(s)");
    assert_eq!(kit.run_args(["ECHO", "two words"]), "\"two words\"");
    assert!(kit.run("PLUGIN LIST").contains("plugin"));
    let other = kit.connect();
    assert_eq!(kit.run_as(other, "BLPOP list 0"), "(no reply)");
    assert_eq!(kit.run("RPUSH list x"), "(integer) 1");
    assert_eq!(kit.receive(other).as_deref(), Some("1) \"list\"\n2) \"x\""));
    assert_eq!(kit.receive(other), None);
}

#[test]
fn time_is_the_tests_own_for_plugins_too() {
    let mut kit = transactions();
    let began = kit.now_ms();
    kit.run("SET k v PX 1000");
    kit.advance(Duration::from_millis(999));
    assert_eq!(kit.run("EXISTS k"), "(integer) 1");
    kit.advance(Duration::from_millis(1));
    assert_eq!(kit.run("EXISTS k"), "(integer) 0");
    assert_eq!(kit.now_ms() - began, 1000);
    kit.run("TX.CREATE r 1 0x12 5 ID a");
    let record = kit.run("TX.GET a");
    assert!(record.contains(&kit.now_ms().to_string()), "{record}");
}

#[test]
fn a_lost_race_is_injected_where_it_hurts() {
    let mut kit = transactions();
    kit.run("TX.CREATE r 1 0x12 5 ID a");
    kit.run("TX.UPDATE a sent");
    let (calm, none) = (kit.host_calls(), kit.lost_races());
    assert_eq!(none, 0);
    // A write that changes nothing but the version: the handler has to read again.
    kit.before_host_call(2, Race::of(["SETRANGE tx:a 0 '{'"]));
    assert!(kit.run("TX.UPDATE a submitted").contains("submitted"));
    assert_eq!(kit.lost_races(), 1);
    assert!(kit.host_calls() > calm);
    assert!(kit.run("TX.UPDATE a mined").contains("mined"), "the race was for one call");
    assert_eq!(kit.lost_races(), 0);
}

#[test]
fn a_killed_call_leaves_whole_batches() {
    let mut kit = transactions();
    let empty = kit.data();
    kit.kill_at_host_call(1, Moment::Before);
    let reply = kit.run("TX.CREATE r 1 0x12 5 ID a");
    assert!(reply.starts_with("(error) KILLED"), "{reply}");
    assert_eq!(kit.data(), empty);
    let mut kills = Vec::new();
    let outcome = kit.kill_at_every_host_call("TX.CREATE r 1 0x12 5 ID a", |kit, kill| {
        kills.push(kill);
        let is_there = kit.run("EXISTS tx:a relayer:r:nonce:1 lookup:a");
        assert_eq!(is_there, if kill.batches == 0 { "(integer) 0" } else { "(integer) 3" });
        assert_eq!(kit.run("TX.VERIFY"), "(empty array)");
    });
    assert_eq!(outcome.reply, "\"a\"");
    assert_eq!(kills.len(), 2 * outcome.host_calls);
    assert_eq!(kills.last().map(|kill| (kill.moment, kill.batches)), Some((Moment::After, 1)));
    // Twenty kills would have paused a plugin that fails by itself.
    for _ in 0..20 {
        kit.kill_at_host_call(1, Moment::After);
        kit.run("TX.GET a");
    }
    assert!(kit.run("TX.GET a").contains("relayer_id"));
}

#[test]
fn limits_and_refusals_are_real() {
    let kit = Kit::new();
    let mut request = LoadRequest::new("tx", Source::Bytes(reef_bundled::TX_REPO.into()));
    request.grants = GrantRequest::Words(vec!["GET".into()]);
    assert!(kit.add(request).unwrap_err().to_string().contains("GRANT"));
    let refused = Kit::of(reef_bundled::hostile::FOREIGN_IMPORT).err().map(|e| e.to_string());
    assert!(refused.is_some_and(|text| text.contains("evil:host/files")));
    let mut hostile = Kit::of(reef_bundled::hostile::HOSTILE).expect("it loads well");
    assert!(hostile.run("HOSTILE.LOOP").starts_with("(error) TIMEOUT"));
}

#[test]
fn transcripts_run_and_are_recorded() {
    let mut kit = transactions();
    let story =
        "# a transaction\n> TX.CREATE r 1 0x12 5 ID a\n\"a\"\n+10ms\n> EXISTS tx:a\n(integer) 1\n";
    assert_eq!(kit.transcript_of("story", story), Ok(Vec::new()));
    let wrong = story.replace("(integer) 1", "(integer) 2");
    assert_eq!(kit.transcript_of("story", &wrong).map(|found| found.len()), Ok(2));
    assert!(kit.transcript_of("story", "no case\n").is_err());
    let blank = story.replace("\"a\"\n", "").replace("(integer) 1\n", "");
    assert_eq!(kit.record("story", &blank).as_deref(), Ok(story));
}

#[test]
fn a_component_is_looked_at_without_being_loaded() {
    let mut kit = Kit::new();
    let look = |component: &[u8]| {
        let source = Source::Bytes(component.to_vec().into());
        kit.plugins()
            .inspect(source, reef_test_kit::Limits::default(), Vec::new())
            .expect("a component")
    };
    let found = look(reef_bundled::TX_REPO);
    assert_eq!(
        found.imports,
        ["reef:plugin/types@0.1.0", "reef:plugin/engine@0.1.0", "reef:plugin/context@0.1.0"]
    );
    assert!(found.refusal.is_none() && found.native_bytes > 10_000);
    let nature = found.nature.expect("it describes itself");
    assert!(nature.memory_bytes >= 1 << 16 && nature.describe_us > 0);
    let create = nature.commands.iter().find(|command| command.name == "TX.CREATE").unwrap();
    assert!(create.arity < 0 && create.flags.contains(&"write"));
    let foreign = look(reef_bundled::hostile::FOREIGN_IMPORT);
    assert!(foreign.refusal.is_some_and(|why| why.contains("evil:host/files")));
    assert!(look(reef_bundled::hostile::DESCRIBE_TRAPS).nature.is_none());
    assert_eq!(kit.run("PLUGIN LIST"), "(empty array)");
}

fn queue() -> Kit {
    Kit::of(reef_bundled::hostile::QUEUE).expect("it loads")
}

#[test]
fn a_parked_call_goes_on_when_its_key_is_written() {
    let mut kit = queue();
    let [first, second, third, idle] = [(); 4].map(|()| kit.connect());
    for client in [first, second] {
        assert_eq!(kit.run_as(client, "QUEUE.TAKE k 0"), "(no reply)");
    }
    assert_eq!(kit.run_as(third, "BLPOP k 0"), "(no reply)");
    // What wakes nobody, or is of no use to who is woken.
    kit.run("SET other 1");
    kit.run("DEL k");
    assert!(kit.is_waiting(first) && !kit.is_waiting(idle));
    // What it sends meanwhile waits with it.
    assert_eq!(kit.run_as(first, "ECHO later"), "(no reply)");
    // In order of arrival, the native command in its place among them.
    kit.run("RPUSH k a b c d");
    assert_eq!(kit.receive(first).as_deref(), Some("\"a\""));
    assert_eq!(kit.receive(first).as_deref(), Some("\"later\""));
    assert_eq!(kit.receive(second).as_deref(), Some("\"b\""));
    assert_eq!(kit.receive(third).as_deref(), Some("1) \"k\"\n2) \"c\""));
    assert_eq!(kit.run("LRANGE k 0 -1"), "1) \"d\"");
    assert_eq!(kit.run_as(first, "QUEUE.TAKE k 0"), "\"d\"");
}

#[test]
fn the_time_of_a_parked_call_is_the_tests_own() {
    let mut kit = queue();
    let clients: Vec<_> = [300, 100, 200].map(|ms| (kit.connect(), ms)).into();
    for (client, ms) in &clients {
        assert_eq!(kit.run_as(*client, &format!("QUEUE.TAKE k {ms}")), "(no reply)");
    }
    kit.advance(Duration::from_millis(99));
    assert!(clients.iter().all(|(client, _)| kit.is_waiting(*client)));
    kit.advance(Duration::from_millis(101));
    let ended: Vec<_> =
        clients.iter().filter(|(client, _)| !kit.is_waiting(*client)).map(|(_, ms)| *ms).collect();
    assert_eq!(ended, [100, 200]);
    assert_eq!(kit.receive(clients[1].0).as_deref(), Some("(nil)"));
    // One that is left over is served, and has no time to run out any more.
    kit.run("RPUSH k x");
    assert_eq!(kit.receive(clients[0].0).as_deref(), Some("\"x\""));
    kit.advance(Duration::from_secs(10));
    assert_eq!(kit.receive(clients[0].0), None);
}

#[test]
fn who_is_woken_in_vain_and_parks_again_waits_for_the_next_write_or_its_time() {
    for clients in [1, 2] {
        let mut kit = queue();
        let clients: Vec<_> = (0..clients).map(|_| kit.connect()).collect();
        for client in &clients {
            assert_eq!(kit.run_as(*client, "QUEUE.NEVER k 1000"), "(no reply)");
        }
        // The key stays: it is no reason to be called again.
        kit.run("RPUSH k x");
        kit.run("RPUSH k y");
        assert!(clients.iter().all(|client| kit.is_waiting(*client)));
        kit.advance(Duration::from_secs(1));
        for client in &clients {
            assert_eq!(kit.receive(*client).as_deref(), Some("(nil)"));
        }
    }
}

#[test]
fn who_goes_or_is_sent_away_gives_its_turn_to_the_next() {
    let mut kit = queue();
    let (first, second) = (kit.connect(), kit.connect());
    let id = kit.run_as(first, "CLIENT ID").replace("(integer) ", "");
    for client in [first, second] {
        kit.run_as(client, "QUEUE.TAKE k 0");
    }
    assert_eq!(kit.run(&format!("CLIENT UNBLOCK {id} ERROR")), "(integer) 1");
    assert!(kit.receive(first).is_some_and(|reply| reply.contains("UNBLOCKED")));
    kit.run_as(first, "QUEUE.TAKE k 0");
    kit.run(&format!("CLIENT KILL ID {id}"));
    kit.run("RPUSH k x");
    assert_eq!(kit.receive(second).as_deref(), Some("\"x\""));
    // When the plugin goes, its waits end.
    kit.run_as(second, "QUEUE.TAKE k 0");
    kit.run("PLUGIN UNLOAD plugin");
    assert!(kit.receive(second).is_some_and(|reply| reply.contains("was unloaded")));
}

#[test]
fn a_parked_call_that_is_killed_when_it_goes_on_ends_its_wait() {
    let mut kit = queue();
    let (first, second) = (kit.connect(), kit.connect());
    for client in [first, second] {
        kit.run_as(client, "QUEUE.TAKE k 0");
    }
    // It dies before it takes the element: the next one has it.
    kit.kill_at_host_call(1, Moment::Before);
    kit.run("RPUSH k x");
    assert!(kit.receive(first).is_some_and(|reply| reply.starts_with("(error)")));
    assert_eq!(kit.receive(second).as_deref(), Some("\"x\""));
    // Somebody else is faster: it goes on waiting.
    kit.run_as(first, "QUEUE.TAKE k 0");
    kit.before_host_call(1, Race::of(["LPOP k"]));
    kit.run("RPUSH k y");
    assert!(kit.is_waiting(first));
    kit.run("RPUSH k z");
    assert_eq!(kit.receive(first).as_deref(), Some("\"z\""));
}

#[test]
fn triggers_have_done_what_they_wanted_when_a_command_has_returned() {
    for shards in [1, 8] {
        let mut kit = Kit::with_shards(shards);
        let source = Source::Bytes(reef_bundled::hostile::LISTENER.into());
        let grants = GrantRequest::AllWanted;
        let request = LoadRequest { grants, ..LoadRequest::new("listener", source) };
        kit.add(request).expect("it loads");
        kit.run("MSET mem:a 1 other 1 mem:b 2");
        assert_eq!(kit.run("LRANGE mem:log 0 -1"), "1) \"set mem:a\"\n2) \"set mem:b\"");
        // What is due is told when the clock is moved, and before time is over.
        kit.run("SET dur:a 1 PX 50");
        kit.advance(Duration::from_millis(50));
        let told = "1) \"set dur:a\"\n2) \"expire dur:a\"\n3) \"expired dur:a\"";
        assert_eq!(kit.run("LRANGE dur:log 0 -1"), told);
        // In the order in which it happens, in one leap of the clock.
        kit.run("SET mem:late 1 PX 20");
        kit.run("SET mem:soon 1 PX 10");
        kit.advance(Duration::from_millis(50));
        let last = "1) \"expired mem:soon\"\n2) \"expired mem:late\"";
        assert_eq!(kit.run("LRANGE mem:log -2 -1"), last);
        // Nothing is left to be told, and what they write has told them nothing.
        assert_eq!(kit.run("XLEN trigger:listener"), "(integer) 0");
        assert_eq!(kit.run("MGET mem:count dur:count"), "1) \"8\"\n2) \"3\"");
        // One that cannot be handled stays on record, and what it wanted is undone.
        kit.run("SET dur:bad 1");
        assert_eq!(kit.run("LLEN dur:log"), "(integer) 3");
        assert!(kit.run("XRANGE trigger:listener:dead - +").contains("dur:bad"));
        kit.run("MULTI");
        kit.run("SELECT 3");
        kit.run("SET mem:c 1");
        kit.run("EXEC");
        assert_eq!(kit.run("LRANGE mem:log 0 -1"), "1) \"set mem:c\"");
    }
}

#[test]
fn who_is_bound_to_a_connection_goes_with_it_and_who_waits_for_that_goes_on() {
    let mut kit = Kit::of(reef_bundled::RENDEZVOUS).expect("it loads");
    kit.run("RDV.OPEN run TTL 600");
    let (first, second) = (kit.connect(), kit.connect());
    assert!(!kit.run_as(first, "RDV.LEAD run role ada CONNECTION").contains("error"));
    assert_eq!(kit.run_as(second, "RDV.LEAD run role bob CONNECTION WAIT 60"), "(no reply)");
    kit.advance(Duration::from_secs(1));
    assert!(kit.is_waiting(second));
    kit.disconnect(first);
    let told = kit.receive(second);
    assert!(told.as_ref().is_some_and(|reply| !reply.contains("error")), "{told:?}");
    // However it goes.
    let third = kit.connect();
    assert_eq!(kit.run_as(third, "RDV.LEAD run role eve CONNECTION WAIT 60"), "(no reply)");
    let id = kit.run_as(second, "CLIENT ID").replace("(integer) ", "");
    kit.run(&format!("CLIENT KILL ID {id}"));
    let told = kit.receive(third);
    assert!(told.as_ref().is_some_and(|reply| !reply.contains("error")), "{told:?}");
    // A time to live ends by a trigger, too.
    kit.run("RDV.REGISTER run ns addr TTL 5");
    kit.advance(Duration::from_secs(5));
    let told = kit.run("RDV.TAKE run ns");
    assert!(told.contains("registered=0 expired=1"), "{told}");
}

#[test]
fn what_triggers_make_of_a_batch_is_not_taken_for_what_a_killed_call_left() {
    let mut kit = queue();
    let source = Source::Bytes(reef_bundled::hostile::LISTENER.into());
    let grants = GrantRequest::AllWanted;
    kit.add(LoadRequest { grants, ..LoadRequest::new("listener", source) }).expect("it loads");
    kit.run("RPUSH mem:q a b");
    let mut told = Vec::new();
    let outcome = kit.kill_at_every_host_call("QUEUE.TAKE mem:q 0", |kit, kill| {
        told.push((kill.batches, kit.run("LINDEX mem:log -1")));
    });
    assert_eq!(outcome.reply, "\"a\"");
    assert_eq!(told.len(), 2 * outcome.host_calls);
    for (batches, last) in told {
        let event = if batches == 0 { "rpush" } else { "lpop" };
        assert_eq!(last, format!("\"{event} mem:q\""));
    }
}

#[test]
#[should_panic(expected = "time stands still")]
fn a_call_that_wakes_itself_for_ever_is_told_of() {
    let mut kit = Kit::of(reef_bundled::hostile::HOSTILE).expect("it loads");
    kit.run("HOSTILE.STORM k KEY");
}
