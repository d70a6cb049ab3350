//! `reef demo transactions`: the repository's promises, from one transaction to thousands.

mod storm;

use indicatif::ProgressBar;

use super::house::House;
use super::stage::Stage;
use crate::cli::Failure;
use crate::cli::client::Client;
use crate::cli::table::{counted, grouped};
use crate::cli::tx::audit;
use crate::cli::tx::draft::{
    RELAYERS, STATUSES, count_key, lookup_key, nonce_key, status_key, tx_key,
};
use crate::cli::tx::faults;
use crate::cli::tx::race::{Racer, Track};

/// Shows all of it.
pub(super) fn show(stage: &mut Stage<'_>, house: &House) -> Result<(), Failure> {
    let mut client = house.server().connect()?;
    let client = &mut client;
    stage.say(&format!("a Reef of its own listens on {}", house.server().label()))?;
    basics(stage, client)?;
    all_or_nothing(stage, client)?;
    races(stage, house, 20, 50)?;
    races(stage, house, 200, 5)?;
    bulk(stage, client)?;
    storm::show(stage, house)?;
    not_atomic(stage, house, client)
}

fn empty(client: &mut Client) -> Result<(), Failure> {
    Ok(client.call(&["FLUSHALL"])?)
}

/// Whether `TX.VERIFY` and the check by plain commands both find nothing; shown as two checks.
fn check_indexes(stage: &mut Stage<'_>, client: &mut Client) -> Result<(), Failure> {
    let found = faults(client, None)?;
    let first = found.first().map(|fault| format!(": {fault}")).unwrap_or_default();
    let sentence = format!("TX.VERIFY finds {}{first}", counted(found.len() as u64, "fault"));
    stage.check(found.is_empty(), &sentence)?;
    let audit = audit::whole_database(client)?;
    let first = audit.faults.first().map(|fault| format!(": {fault}")).unwrap_or_default();
    let sentence = format!(
        "every index rebuilt from {} by KEYS, GET and SMEMBERS: {} entries, as they are{first}",
        counted(audit.transactions, "record"),
        grouped(audit.entries),
    );
    stage.check(audit.faults.is_empty(), &sentence)
}

fn basics(stage: &mut Stage<'_>, client: &mut Client) -> Result<(), Failure> {
    stage.step("A transaction and its indexes change together")?;
    empty(client)?;
    let relayer = "relayer-1";
    let id: String = stage.ask(
        client,
        &["TX.CREATE", relayer, "42", "0x1234abcd", "1000000000000000000", "GASLIMIT", "21000"],
    )?;
    let mut keys: Vec<String> = stage.ask(client, &["KEYS", "*"])?;
    keys.sort_unstable();
    let mut expected = [
        tx_key(&id),
        lookup_key(&id),
        status_key(relayer, "pending"),
        nonce_key(relayer, 42),
        RELAYERS.to_owned(),
        count_key(relayer),
    ];
    expected.sort_unstable();
    stage.check(keys == expected, "one command made exactly these six keys")?;

    stage.ask::<String>(client, &["GET", &tx_key(&id)])?;
    stage.ask::<String>(client, &["TX.UPDATE", &id, "confirmed", "HASH", "0xdeadbeef"])?;
    let pending = status_key(relayer, "pending");
    let confirmed = status_key(relayer, "confirmed");
    let left: Vec<String> = stage.ask(client, &["SMEMBERS", &pending])?;
    let there: Vec<String> = stage.ask(client, &["SMEMBERS", &confirmed])?;
    let moved = left.is_empty() && there == [id.clone()];
    stage.check(moved, "an update moved it from one status set to the other")?;
    let by_nonce: Option<String> = client.call(&["TX.BYNONCE", relayer, "42"])?;
    let by_id: Option<String> = client.call(&["GET", &tx_key(&id)])?;
    stage.check(by_nonce.is_some() && by_nonce == by_id, "its nonce leads to the same record")?;

    let words = ["TX.CREATE", relayer, "42", "0x1234abcd", "1"];
    let refusal = stage.ask_in_vain(client, &words)?;
    let refused = refusal.is_some_and(|error| error.code() == Some("NONCEUSED"));
    stage.check(refused, "a nonce is used once")?;
    let refusal = stage.ask_in_vain(client, &["TX.UPDATE", &id, "failed"])?;
    let refused = refusal.is_some_and(|error| error.code() == Some("ILLEGALSTATUS"));
    stage.check(refused, "what is finished stays as it is")?;
    let wrong = audit::only_one(client, relayer, &id, 42)?;
    stage.check(wrong.is_empty(), "the refusals changed nothing")
}

fn all_or_nothing(stage: &mut Stage<'_>, client: &mut Client) -> Result<(), Failure> {
    stage.step("A batch that fails in the middle leaves nothing behind")?;
    empty(client)?;
    let relayer = "relayer-1";
    let pending = status_key(relayer, "pending");
    stage.say("the set that the new id must go to is made a list, so one command in six fails")?;
    stage.ask::<i64>(client, &["RPUSH", &pending, "not a set"])?;

    let id = "doomed";
    let words = ["TX.CREATE", relayer, "7", "0x1234abcd", "1", "ID", id];
    let refusal = stage.ask_in_vain(client, &words)?;
    stage.check(refusal.is_some(), "the plugin's batch fails")?;
    let keys: Vec<String> = stage.ask(client, &["KEYS", "*"])?;
    stage.check(keys == [pending.clone()], "and all of it is undone")?;

    stage.say("the same six commands by MULTI/EXEC:")?;
    let mut pipe = redis::pipe();
    pipe.atomic().cmd("SET").arg(tx_key(id)).arg("{}");
    pipe.cmd("SET").arg(lookup_key(id)).arg(relayer).cmd("SADD").arg(&pending).arg(id);
    pipe.cmd("SET").arg(nonce_key(relayer, 7)).arg(id).cmd("SADD").arg(RELAYERS).arg(relayer);
    pipe.cmd("INCR").arg(count_key(relayer));
    let failed = client.pipeline::<redis::Value>(&pipe).is_err();
    let keys: Vec<String> = stage.ask(client, &["KEYS", "*"])?;
    stage.check(
        failed && keys.len() == 6,
        "five of them stay, as they do in Redis: EXEC is all at once, not all or nothing",
    )
}

fn races(stage: &mut Stage<'_>, house: &House, updates: u16, rounds: u16) -> Result<(), Failure> {
    stage.step(&format!("{updates} connections update one transaction at the same moment"))?;
    empty(&mut house.server().connect()?)?;
    let mut track = Track::new(house.server(), updates)?;
    let outcome = track.race(Racer::Plugin, rounds, &ProgressBar::hidden())?;
    let refused: u64 = outcome.refused.values().sum();
    stage.say(&format!(
        "{}: {} applied, {} refused because it was finished by then",
        counted(outcome.rounds, "round"),
        counted(outcome.applied, "update"),
        grouped(refused),
    ))?;
    stage.check(outcome.as_expected(), &outcome.sentence())?;
    let answered = u64::from(updates) * u64::from(rounds);
    let sum = outcome.applied + refused;
    stage.check(sum == answered, "every update was answered, none was lost on the way")
}

fn bulk(stage: &mut Stage<'_>, client: &mut Client) -> Result<(), Failure> {
    stage.step("A hundred at once, or none of them")?;
    empty(client)?;
    let relayer = "relayer-1";
    stage.ask::<String>(client, &["TX.CREATE", relayer, "150", "0x1234abcd", "1"])?;
    let before: u64 = client.call(&["DBSIZE"])?;
    let bulk = |from: u64| {
        let mut words = vec!["TX.BULKCREATE".to_owned(), relayer.to_owned()];
        words.extend(
            (from..from + 100)
                .flat_map(|nonce| [nonce.to_string(), "0x1234abcd".to_owned(), "1".to_owned()]),
        );
        words
    };
    let words = bulk(100);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    stage.say("TX.BULKCREATE of the nonces 100 to 199, of which 150 is used:")?;
    let refused = match client.call::<Vec<String>>(&words) {
        Err(error) if error.code() == Some("NONCEUSED") => {
            stage.say(&format!("(error) {error}"))?;
            true
        }
        Err(error) => return Err(error.into()),
        Ok(_) => false,
    };
    let after: u64 = client.call(&["DBSIZE"])?;
    stage.check(refused && before == after, "one used nonce, and none of the hundred is there")?;

    let words = bulk(200);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut ids: Vec<String> = client.call(&words)?;
    let pending: u64 = stage.ask(client, &["SCARD", &status_key(relayer, "pending")])?;
    stage.check(ids.len() == 100 && pending == 101, "another hundred in one command")?;
    check_indexes(stage, client)?;

    ids.push("nobody".to_owned());
    let mut words = vec!["TX.DELETE"];
    words.extend(ids.iter().map(String::as_str));
    let (deleted, failures): (u64, Vec<(String, String)>) = client.call(&words)?;
    let one = matches!(failures.as_slice(), [(id, _)] if id == "nobody");
    stage.check(deleted == 100 && one, "all deleted in one command; the unknown id is named")?;
    let left: u64 = stage.ask(client, &["DBSIZE"])?;
    stage.check(left == before, "nothing of them is left")
}

fn not_atomic(stage: &mut Stage<'_>, house: &House, client: &mut Client) -> Result<(), Failure> {
    stage.step("The checks can fail: what is not atomic breaks, and is found")?;
    empty(client)?;
    let mut track = Track::new(house.server(), 20)?;
    let outcome = track.race(Racer::ReadThenMulti, 20, &ProgressBar::hidden())?;
    stage
        .say("20 connections, each reads the record and then sends MULTI, SET, SADD, SREM, EXEC")?;
    let sentence = format!(
        "indexes broken in {} of {}: {}",
        outcome.broken,
        counted(outcome.rounds, "round"),
        outcome.example.as_deref().unwrap_or("never"),
    );
    stage.check(outcome.broken > 0, &sentence)?;
    stage.check(outcome.verify_agrees, "TX.VERIFY sees it, too")?;
    let outcome = track.race(Racer::Watch, 20, &ProgressBar::hidden())?;
    stage.check(outcome.as_expected(), &outcome.sentence())?;

    let id: String = client.call(&["TX.CREATE", "relayer-1", "1", "0x1234abcd", "1"])?;
    for status in &STATUSES[1..3] {
        stage.ask::<i64>(client, &["SADD", &status_key("relayer-1", status), &id])?;
    }
    let found = faults(client, None)?;
    let audit = audit::whole_database(client)?;
    for fault in &found {
        stage.say(&format!("TX.VERIFY: {fault}"))?;
    }
    let both = !found.is_empty() && !audit.faults.is_empty();
    stage.check(both, "damage done by hand is found by both checks")?;
    empty(client)
}
