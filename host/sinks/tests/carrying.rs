//! What arrives: every change, in order for each document, once; where the pipeline goes on after a
//! pause; what its owner is told.

use std::time::{Duration, Instant};

use reef_sinks::{Counts, EventKind, State, StreamId};

use crate::support::database::Database;
use crate::support::stream::Stream;
use crate::support::{LONG, drained, settings, start};

crate::on_each_database!(
    documents_become_rows,
    a_later_run_goes_on_where_the_last_one_stopped,
    partitions_share_the_documents,
    a_row_that_comes_again_is_a_new_one,
    values_of_all_kinds_arrive,
    with_an_interval_everything_that_gathered_goes_at_once,
);

fn documents_become_rows(database: &Database) {
    let stream = Stream::default();
    for n in 0..2_500 {
        stream.insert(&format!("doc:{n}"), &format!("{{\"n\": {n}}}"));
    }
    stream.push(EventKind::Update, b"doc:7", Some(b"{\"n\": \"seven\"}"));
    stream.delete("doc:8");
    stream.insert("skip:1", "{}");
    stream.insert("ledger:1", "{\"a\": 1}");
    let last = stream.insert("ledger:1", "{\"a\": 1}");
    let pipeline = start(settings(), &stream, database);
    drained(&pipeline, last);
    assert_eq!(database.one("SELECT COUNT(*) FROM sessions"), "2499");
    assert_eq!(
        database.one("SELECT payload FROM sessions WHERE id = 'doc:7'"),
        "{\"n\": \"seven\"}"
    );
    assert_eq!(database.one("SELECT COUNT(*) FROM sessions WHERE id = 'doc:8'"), "0");
    assert_eq!(database.one("SELECT COUNT(*) FROM sessions WHERE created_at IS NULL"), "0");
    assert_eq!(database.one("SELECT COUNT(*) FROM ledger"), "2", "a ledger keeps every line");
    let status = pipeline.stop();
    assert_eq!(status.state, State::Stopped);
    assert_eq!(status.totals, Counts { applied: 2_504, skipped: 1, dead: 0 });
    assert!(status.commits <= 10, "{} commits", status.commits);
    let told = stream.told();
    assert_eq!((told.up_to, told.totals), (last, status.totals));
}

fn a_later_run_goes_on_where_the_last_one_stopped(database: &Database) {
    let stream = Stream::default();
    let mut last = StreamId::ZERO;
    for round in 0..5 {
        let pipeline = start(settings(), &stream, database);
        for n in 0..50 {
            last = stream.insert(&format!("ledger:{round}:{n}"), "{}");
        }
        drained(&pipeline, last);
        // What is applied is no longer needed.
        stream.trim(StreamId::new(last.ms - 1, 0));
        assert!(pipeline.wait_for(LONG, |status| status.lag == 0));
    }
    assert_eq!(database.one("SELECT COUNT(*) FROM ledger"), "250");
    assert_eq!(database.one("SELECT COUNT(DISTINCT id) FROM ledger"), "250");
    assert_eq!(stream.told().totals.applied, 250);
}

fn partitions_share_the_documents(database: &Database) {
    let stream = Stream::default();
    let mut settings = settings();
    settings.partitions = 4;
    settings.batch_events_max = 100;
    let mut last = StreamId::ZERO;
    for n in 0..3_000 {
        let document = format!("doc:{}", n % 300);
        last = stream.insert(&document, &format!("{{\"n\": {n}}}"));
        stream.insert(&format!("ledger:{n}"), "{}");
    }
    let pipeline = start(settings.clone(), &stream, database);
    drained(&pipeline, last);
    assert_eq!(pipeline.status().partitions.len(), 4);
    pipeline.stop();
    // Another number is not taken up: positions are those of four.
    settings.partitions = 2;
    let pipeline = start(settings, &stream, database);
    let last = stream.insert("doc:0", "{\"n\": \"last\"}");
    drained(&pipeline, last);
    let status = pipeline.stop();
    assert_eq!(status.partitions.len(), 4);
    assert_eq!(status.totals.applied, 6_001);
    assert_eq!(database.one("SELECT COUNT(*) FROM ledger"), "3000");
    assert_eq!(database.one("SELECT COUNT(DISTINCT id) FROM ledger"), "3000");
    let rows = database.query("SELECT id, payload FROM sessions WHERE id <> 'doc:0' ORDER BY id");
    assert_eq!(rows.len(), 299);
    for row in rows {
        let document: usize = row[0].as_ref().unwrap()[4..].parse().unwrap();
        assert_eq!(row[1], Some(format!("{{\"n\": {}}}", 2_700 + document)), "the last one");
    }
}

fn a_row_that_comes_again_is_a_new_one(database: &Database) {
    let stream = Stream::default();
    let pipeline = start(settings(), &stream, database);
    drained(&pipeline, stream.insert("doc:1", "{}"));
    let first = database.one("SELECT created_at FROM sessions");
    std::thread::sleep(Duration::from_millis(20));
    drained(&pipeline, stream.push(EventKind::Update, b"doc:1", Some(b"[1]")));
    assert_eq!(database.one("SELECT created_at FROM sessions"), first, "an update keeps it");
    // Both in one batch: while the stream is silent nothing is read.
    stream.silence(true);
    stream.delete("doc:1");
    let last = stream.insert("doc:1", "[2]");
    stream.silence(false);
    drained(&pipeline, last);
    let second = database.query("SELECT created_at, payload FROM sessions");
    assert_eq!(second[0][1].as_deref(), Some("[2]"));
    assert!(second[0][0].as_deref() > Some(&first), "{second:?} after {first}");
}

fn values_of_all_kinds_arrive(database: &Database) {
    use reef_sinks::{Column, Event, Kind, Pipeline, Plan, Planner, PlannerFault, Table, Verb};

    struct Mapped;
    impl Planner for Mapped {
        fn plan(&mut self, events: &[Event]) -> Result<Plan, PlannerFault> {
            let mut plan = Plan::default();
            for event in events {
                plan.apply(1);
                let image = event.image.as_deref().unwrap_or_default();
                let rest = image.split(|byte| *byte == b',');
                let rest = rest.map(|value| (value != b"NULL").then_some(value));
                plan.change(0, Verb::Upsert, [Some(&event.document[..])].into_iter().chain(rest));
            }
            Ok(plan)
        }
    }
    let kinds =
        [Kind::Text, Kind::Bytes, Kind::Integer, Kind::Double, Kind::Boolean, Kind::Timestamp];
    let mut columns = vec![Column::new("id", Kind::Text)];
    for (index, kind) in kinds.into_iter().enumerate() {
        columns.push(Column::new(&format!("c{index}"), kind).nullable());
    }
    let table = Table { name: "mapped".to_owned(), columns, key: 1 };
    let stream = Stream::default();
    stream.insert("a", "text,bytes,-9223372036854775808,1.5,true,2024-02-29T12:00:00.25+01:00");
    stream.insert("b", "NULL,NULL,NULL,NULL,NULL,NULL");
    stream.insert("c", ",,12x,0,false,1700000000000");
    stream.insert("d", ",,12,0,maybe,1700000000000");
    stream.insert("e", ",,12,0,true,yesterday-ish");
    stream.insert("f", ",,12,zero,true,0");
    let last = stream.insert("g", ",,-1,1e300,false,1700000000000");
    let source = Box::new(stream.clone());
    let pipeline =
        Pipeline::start(settings(), vec![table], source, Box::new(Mapped), database.destination());
    let pipeline = pipeline.unwrap();
    drained(&pipeline, last);
    let ids = database.query("SELECT id FROM mapped ORDER BY id");
    let ids: Vec<_> = ids.iter().map(|row| row[0].as_deref().unwrap()).collect();
    let mut expected = vec!["a", "b", "g"];
    if matches!(database, Database::Sqlite(_)) {
        // There, a time is text.
        expected.insert(2, "e");
    }
    assert_eq!(ids, expected);
    let a = &database.query("SELECT c0, c1, c2, c3, c4, c5 FROM mapped WHERE id = 'a'")[0];
    let text = |index: usize| a[index].as_deref().unwrap();
    assert_eq!(text(0), "text");
    assert!(["bytes", "\\x6279746573"].contains(&text(1)));
    assert_eq!(text(2), "-9223372036854775808");
    assert_eq!(text(3), "1.5");
    assert!(["1", "t"].contains(&text(4)));
    assert!(text(5).starts_with("2024-02-29 11:00:00.25"), "{}", text(5));
    let b = &database.query("SELECT c0, c1, c2, c3, c4, c5 FROM mapped WHERE id = 'b'")[0];
    assert!(b.iter().all(Option::is_none));
    assert!(
        database.one("SELECT c5 FROM mapped WHERE id = 'g'").starts_with("2023-11-14 22:13:20")
    );
}

fn with_an_interval_everything_that_gathered_goes_at_once(database: &Database) {
    let stream = Stream::default();
    let mut settings = settings();
    settings.interval = Some(Duration::from_millis(500));
    settings.batch_events_max = 5;
    let pipeline = start(settings, &stream, database);
    drained(&pipeline, stream.insert("ledger:first", "{}"));
    let mut last = StreamId::ZERO;
    for n in 0..203 {
        last = stream.insert(&format!("ledger:{n}"), "{}");
    }
    let begun = Instant::now();
    drained(&pipeline, last);
    let took = begun.elapsed();
    // A small batch is no reason to wait: only what is up to date waits.
    assert!(took < Duration::from_secs(8), "{took:?} for 41 batches");
    assert_eq!(database.one("SELECT COUNT(*) FROM ledger"), "204");
}
