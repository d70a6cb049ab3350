//! What nobody wishes for: values that a database will not have, planners that fail, tables that
//! change under one's feet, streams that lose entries. Nothing is skipped in silence, and neighbours
//! are applied.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use reef_sinks::{
    DeadLetter, Event, EventKind, Pipeline, Plan, Planner, PlannerFault, Remedy, Selection, State,
    StreamId,
};

use crate::support::database::Database;
use crate::support::planner::Documents;
use crate::support::stream::Stream;
use crate::support::{LONG, drained, settings, start, tables};

crate::on_each_database!(
    natural_poison_is_isolated,
    much_poison_among_many_neighbours,
    dead_letters_are_told_again_after_a_crash_of_the_mirror,
    dead_letters_are_listed_over_all_partitions,
    dead_letters_are_replayed_and_dropped,
    an_event_the_planner_fails_over_is_a_dead_letter,
    a_broken_planner_stops_everything_until_it_is_mended,
    drift_pauses_until_it_is_mended,
    a_key_is_never_merged_with_another,
    a_lost_tail_is_an_alarm,
    a_lost_tail_under_new_entries_is_an_alarm,
    a_trimmed_gap_is_an_alarm,
    a_silent_stream_is_waited_for,
);

/// A document of so many arrays in one another.
fn nested(depth: usize) -> Vec<u8> {
    [vec![b'['; depth], vec![b']'; depth]].concat()
}

/// Values that are poison by nature somewhere: the document's id, its image, and whether
/// PostgreSQL, MariaDB and SQLite take it.
fn natural_poison_values() -> Vec<(Vec<u8>, Vec<u8>, [bool; 3])> {
    // Of no pattern, because PostgreSQL packs what is in an index.
    let mut random = 1u64;
    let mut letter = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        b'!' + (random % 90) as u8
    };
    let long: Vec<u8> = (0..9_600).map(|_| letter()).collect();
    let huge = [b"1".to_vec(), b"e200000".to_vec()].concat();
    vec![
        (b"nul-in-string".to_vec(), br#"{"s": "\u0000"}"#.to_vec(), [false, true, true]),
        (b"lone-surrogate".to_vec(), br#"{"s": "\ud800"}"#.to_vec(), [false, false, true]),
        (b"nul\0in-id".to_vec(), b"{}".to_vec(), [false, true, true]),
        (b"1e400".to_vec(), b"[1e400]".to_vec(), [true, true, true]),
        (b"1e200000".to_vec(), huge, [false, true, true]),
        (b"nesting-33".to_vec(), nested(33), [true, false, true]),
        (b"nesting-6000".to_vec(), nested(6_000), [true, false, true]),
        (b"nesting-100000".to_vec(), nested(100_000), [false, false, true]),
        (long, b"{}".to_vec(), [false, false, true]),
        (b"A".to_vec(), b"[1]".to_vec(), [true, true, true]),
        (b"a".to_vec(), b"[2]".to_vec(), [true, true, true]),
        (b"x".to_vec(), b"[3]".to_vec(), [true, true, true]),
        (b"x ".to_vec(), b"[4]".to_vec(), [true, true, true]),
        (b"twice".to_vec(), b"[5]".to_vec(), [true, true, true]),
        (b"twice".to_vec(), b"[6]".to_vec(), [true, true, true]),
        (
            b"as-written".to_vec(),
            br#"{"b": 1, "a": 1, "a": 2, "n": 1e2}"#.to_vec(),
            [true, true, true],
        ),
        (b"no-utf8-\xff".to_vec(), b"{}".to_vec(), [false, false, true]),
    ]
}

fn natural_poison_is_isolated(database: &Database) {
    let which = match database {
        Database::Postgres(..) => 0,
        Database::MariaDb(..) => 1,
        Database::Sqlite(_) => 2,
    };
    let stream = Stream::default();
    stream.silence(true);
    let mut dead = Vec::new();
    let mut last = StreamId::ZERO;
    for (n, (document, image, taken)) in natural_poison_values().into_iter().enumerate() {
        stream.insert(&format!("neighbour:{n}"), "{}");
        last = stream.push(EventKind::Insert, &document, Some(&image));
        if !taken[which] {
            dead.push((last, document, image));
        }
    }
    stream.silence(false);
    let pipeline = start(settings(), &stream, database);
    drained(&pipeline, last);
    let status = pipeline.stop();
    let told = stream.told();
    let found: Vec<_> = told
        .dead_letters
        .iter()
        .map(|letter| {
            let event = letter.event.clone();
            (event.id, event.document, event.image.unwrap_or_default())
        })
        .collect();
    let ids = |letters: &[(StreamId, Vec<u8>, Vec<u8>)]| -> Vec<_> {
        letters.iter().map(|letter| letter.0.ms / 2).collect()
    };
    assert_eq!(ids(&found), ids(&dead), "exactly these");
    assert!(found == dead, "and they are as they were");
    assert!(told.dead_letters.iter().all(|letter| !letter.reason.is_empty()));
    assert_eq!(status.totals.dead, dead.len() as u64);
    assert_eq!(database.one("SELECT COUNT(*) FROM reef_dead_letters"), dead.len().to_string());
    let neighbours = "SELECT COUNT(*) FROM sessions WHERE id LIKE 'neighbour:%'";
    assert_eq!(database.one(neighbours), "17");
    // What is not dead is there; two of one key are one row.
    let rows = 17 + 17 - dead.len() - 1;
    assert_eq!(database.one("SELECT COUNT(*) FROM sessions"), rows.to_string());
    let pairs = "SELECT COUNT(*) FROM sessions WHERE id IN ('A', 'a', 'x', 'x ')";
    assert_eq!(database.one(pairs), "4");
    assert_eq!(database.one("SELECT payload FROM sessions WHERE id = 'twice'"), "[6]");
    let kept = r#"{"b": 1, "a": 1, "a": 2, "n": 1e2}"#;
    let reordered = r#"{"a": 2, "b": 1, "n": 100}"#;
    let expected = if which == 0 { reordered } else { kept };
    assert_eq!(database.one("SELECT payload FROM sessions WHERE id = 'as-written'"), expected);
}

fn much_poison_among_many_neighbours(database: &Database) {
    if matches!(database, Database::Sqlite(_)) {
        return; // It takes all of these; the other cases have what it does not.
    }
    let stream = Stream::default();
    stream.silence(true);
    let mut last = StreamId::ZERO;
    for n in 0..3_000 {
        let image = if n % 97 == 0 { r#"["\ud800"]"#.to_owned() } else { format!("[{n}]") };
        last = stream.insert(&format!("ledger:{n}"), &image);
    }
    stream.silence(false);
    let pipeline = start(settings(), &stream, database);
    drained(&pipeline, last);
    assert_eq!(database.one("SELECT COUNT(*) FROM ledger"), "2969");
    assert_eq!(database.one("SELECT COUNT(DISTINCT id) FROM ledger"), "2969");
    assert_eq!(database.one("SELECT COUNT(*) FROM reef_dead_letters"), "31");
    let status = pipeline.status();
    assert_eq!((status.totals.applied, status.totals.dead), (2_969, 31));
}

/// A document that no database of ours takes.
fn poison(database: &Database) -> (EventKind, &'static [u8], &'static [u8]) {
    match database {
        // Nothing is poison for a payload of SQLite, but a planner can say no.
        Database::Sqlite(_) => (EventKind::Unknown, b"poison", b"not an event"),
        _ => (EventKind::Insert, b"poison", br#"["\ud800"]"#),
    }
}

fn dead_letters_are_told_again_after_a_crash_of_the_mirror(database: &Database) {
    let stream = Stream::default();
    let (kind, document, image) = poison(database);
    let pipeline = start(settings(), &stream, database);
    let first = stream.push(kind, document, Some(image));
    drained(&pipeline, first);
    let between = stream.insert("doc:1", "{}");
    let second = stream.push(kind, document, Some(image));
    let last = stream.insert("doc:2", "{}");
    drained(&pipeline, last);
    pipeline.stop();
    let ids = |stream: &Stream| -> Vec<_> {
        stream.told().dead_letters.iter().map(|letter| letter.event.id).collect()
    };
    assert_eq!(ids(&stream), [first, second]);
    stream.forget(between);
    assert_eq!(ids(&stream), [first]);
    let pipeline = start(settings(), &stream, database);
    let last = stream.insert("doc:3", "{}");
    drained(&pipeline, last);
    pipeline.stop();
    assert_eq!(ids(&stream), [first, second], "told once more, and only what was forgotten");
}

fn dead_letters_are_listed_over_all_partitions(database: &Database) {
    let destination = database.destination();
    let list = |after, count_max| {
        let letters = DeadLetter::list(&*destination, "stream:sessions", after, count_max);
        letters.unwrap().iter().map(|letter| letter.event.id).collect::<Vec<_>>()
    };
    assert_eq!(list(StreamId::ZERO, 10), [], "there is no pipeline yet");
    let stream = Stream::default();
    let (kind, _, image) = poison(database);
    let ids: Vec<StreamId> =
        (0..9).map(|n| stream.push(kind, format!("doc:{n}").as_bytes(), Some(image))).collect();
    let mut settings = settings();
    settings.partitions = 3;
    let pipeline = start(settings, &stream, database);
    drained(&pipeline, ids[8]);
    assert_eq!(list(StreamId::ZERO, 100), ids);
    assert_eq!(list(ids[3], 2), ids[4..6]);
    let dropped = pipeline.remedy(Selection::Ids(ids[1..].to_vec()), Remedy::Drop);
    assert_eq!(dropped.iter().map(|count| count.settled).sum::<usize>(), 8);
    assert_eq!(list(StreamId::ZERO, 100), ids[..1]);
}

fn dead_letters_are_replayed_and_dropped(database: &Database) {
    let stream = Stream::default();
    let (kind, _, image) = poison(database);
    let ids: Vec<StreamId> =
        (0..6).map(|n| stream.push(kind, format!("ledger:{n}").as_bytes(), Some(image))).collect();
    let pipeline = start(settings(), &stream, database);
    drained(&pipeline, ids[5]);
    let letters = || database.one("SELECT COUNT(*) FROM reef_dead_letters");
    assert_eq!(letters(), "6");
    let counts = |selection, remedy| {
        let counts = pipeline.remedy(selection, remedy);
        counts.iter().fold((0, 0), |(settled, failed), count| {
            (settled + count.settled, failed + count.failed)
        })
    };
    // As they were, they fail as they did.
    let same = Remedy::Replay(Box::new(|letter| Some(letter.event)));
    assert_eq!(counts(Selection::Ids(ids[..3].to_vec()), same), (0, 3));
    assert_eq!(letters(), "6");
    assert_eq!(counts(Selection::Ids(vec![ids[0], StreamId::new(99, 9)]), Remedy::Drop), (1, 0));
    assert_eq!(letters(), "5");
    // Of the rest, one is mended, one is no longer of interest, and the others fail once more.
    let (mended, left) = (ids[1], ids[2]);
    let some = Remedy::Replay(Box::new(move |letter| {
        let mut event = letter.event;
        if event.id == mended {
            (event.kind, event.image) = (EventKind::Update, Some(b"[1]".to_vec()));
        }
        (event.id != left).then_some(event)
    }));
    assert_eq!(counts(Selection::All, some), (1, 3));
    assert_eq!(letters(), "4");
    assert_eq!(database.one("SELECT payload FROM ledger WHERE id = 'ledger:1'"), "[1]");
    let last = stream.insert("ledger:after", "[]");
    drained(&pipeline, last);
    assert_eq!(database.one("SELECT COUNT(*) FROM ledger"), "2");
    assert_eq!(counts(Selection::All, Remedy::Drop), (4, 0));
    let status = pipeline.stop();
    assert_eq!((status.totals.applied, status.totals.dead), (2, 6));
}

fn an_event_the_planner_fails_over_is_a_dead_letter(database: &Database) {
    let stream = Stream::default();
    for n in 0..500 {
        stream.insert(&format!("doc:{n}"), "{}");
    }
    let trap = stream.insert("trap:1", "{}");
    let junk = stream.push(EventKind::Unknown, b"doc:junk", Some(b"field value"));
    let last = stream.insert("doc:after", "{}");
    let pipeline = start(settings(), &stream, database);
    drained(&pipeline, last);
    pipeline.stop();
    assert_eq!(database.one("SELECT COUNT(*) FROM sessions"), "501");
    let letters = stream.told().dead_letters;
    assert_eq!(letters.iter().map(|letter| letter.event.id).collect::<Vec<_>>(), [trap, junk]);
    assert!(letters[0].reason.contains("wasm trap: unreachable"), "{}", letters[0].reason);
    assert_eq!(letters[1].reason, "the stream's entry is not an event");
}

/// Fails for everything until it is mended.
struct Broken(Arc<AtomicBool>);

impl Planner for Broken {
    fn plan(&mut self, events: &[Event]) -> Result<Plan, PlannerFault> {
        if self.0.load(Ordering::Relaxed) {
            return Documents.plan(events);
        }
        Err(PlannerFault::Trapped("out of memory".to_owned()))
    }
}

fn a_broken_planner_stops_everything_until_it_is_mended(database: &Database) {
    let stream = Stream::default();
    let mut last = StreamId::ZERO;
    for n in 0..500 {
        last = stream.insert(&format!("ledger:{n}"), "{}");
    }
    let mended = Arc::new(AtomicBool::new(false));
    let planner = Box::new(Broken(Arc::clone(&mended)));
    let source = Box::new(stream.clone());
    let pipeline =
        Pipeline::start(settings(), tables(), source, planner, database.destination()).unwrap();
    let paused = pipeline.wait_for(LONG, |status| match &status.state {
        State::Paused { reason } => reason.contains("more than half") && reason.contains("memory"),
        _ => false,
    });
    assert!(paused, "{:?}", pipeline.status());
    assert_eq!(pipeline.status().position, StreamId::ZERO);
    mended.store(true, Ordering::Relaxed);
    pipeline.resume();
    drained(&pipeline, last);
    assert_eq!(database.one("SELECT COUNT(*) FROM ledger"), "500");
    assert_eq!(pipeline.stop().totals.dead, 0);
}

fn drift_pauses_until_it_is_mended(database: &Database) {
    let stream = Stream::default();
    let pipeline = start(settings(), &stream, database);
    drained(&pipeline, stream.insert("doc:1", "{}"));
    database.query("ALTER TABLE sessions RENAME COLUMN payload TO body");
    let last = stream.insert("doc:2", "{}");
    let paused = pipeline.wait_for(
        LONG,
        |status| matches!(&status.state, State::Paused { reason } if reason.contains("payload")),
    );
    assert!(paused, "{:?}", pipeline.status());
    database.query("ALTER TABLE sessions RENAME COLUMN body TO payload");
    drained(&pipeline, last);
    assert_eq!(database.one("SELECT COUNT(*) FROM sessions"), "2");
    let status = pipeline.stop();
    assert_eq!((status.totals.applied, status.totals.dead), (2, 0));
    // Another type, found before anything is written.
    database.query("ALTER TABLE sessions DROP COLUMN payload");
    database.query("ALTER TABLE sessions ADD COLUMN payload INTEGER");
    let pipeline = start(settings(), &stream, database);
    let paused = pipeline.wait_for(
        LONG,
        |status| matches!(&status.state, State::Paused { reason } if reason.contains("not Json")),
    );
    assert!(paused, "{:?}", pipeline.status());
}

fn a_key_is_never_merged_with_another(database: &Database) {
    if !matches!(database, Database::MariaDb(..)) {
        return; // The others compare text byte by byte whatever one does.
    }
    database.query(
        "CREATE TABLE sessions (id VARCHAR(100) PRIMARY KEY, payload JSON, created_at DATETIME)",
    );
    let stream = Stream::default();
    let last = stream.insert("A", "{}");
    let pipeline = start(settings(), &stream, database);
    let paused = pipeline.wait_for(
        LONG,
        |status| matches!(&status.state, State::Paused { reason } if reason.contains("collation")),
    );
    assert!(paused, "{:?}", pipeline.status());
    database.query("ALTER TABLE sessions MODIFY id VARCHAR(100) COLLATE utf8mb4_nopad_bin");
    drained(&pipeline, last);
}

/// Runs until there is an alarm, and gives what it says.
fn alarm(pipeline: &Pipeline) -> String {
    let said = Mutex::new(String::new());
    let up = pipeline.wait_for(LONG, |status| match &status.state {
        State::Alarm { reason } => {
            *said.lock().unwrap() = reason.clone();
            true
        }
        _ => false,
    });
    assert!(up, "{:?}", pipeline.status());
    said.into_inner().unwrap()
}

fn a_lost_tail_is_an_alarm(database: &Database) {
    let stream = Stream::default();
    let kept = stream.insert("ledger:1", "{}");
    let lost = stream.insert("ledger:2", "{}");
    let pipeline = start(settings(), &stream, database);
    drained(&pipeline, lost);
    stream.lose_tail(kept);
    assert!(alarm(&pipeline).contains("lost its tail"), "while it runs");
    pipeline.stop();
    let pipeline = start(settings(), &stream, database);
    assert!(alarm(&pipeline).contains("lost its tail"), "and at the start");
    // Somebody takes responsibility: it goes on with what comes behind the lost entries.
    stream.skip_to(lost.ms + 10);
    let last = stream.insert("ledger:3", "{}");
    pipeline.accept();
    drained(&pipeline, last);
    assert_eq!(database.one("SELECT COUNT(*) FROM ledger"), "3");
}

fn a_lost_tail_under_new_entries_is_an_alarm(database: &Database) {
    let stream = Stream::default();
    let kept = stream.insert("ledger:1", "{}");
    let lost = stream.insert("ledger:2", "{}");
    let pipeline = start(settings(), &stream, database);
    drained(&pipeline, lost);
    pipeline.stop();
    stream.lose_tail(kept);
    stream.skip_to(lost.ms + 10);
    for n in 0..5 {
        stream.insert(&format!("ledger:new:{n}"), "{}");
    }
    let pipeline = start(settings(), &stream, database);
    assert!(alarm(&pipeline).contains("has grown again"));
    assert_eq!(database.one("SELECT COUNT(*) FROM ledger"), "2", "nothing is applied meanwhile");
}

fn a_trimmed_gap_is_an_alarm(database: &Database) {
    let stream = Stream::default();
    let first = stream.insert("ledger:1", "{}");
    let pipeline = start(settings(), &stream, database);
    drained(&pipeline, first);
    pipeline.stop();
    let gone = stream.insert("ledger:2", "{}");
    let last = stream.insert("ledger:3", "{}");
    stream.trim(gone);
    let pipeline = start(settings(), &stream, database);
    assert!(alarm(&pipeline).contains("events are missing"));
    assert_eq!(database.one("SELECT COUNT(*) FROM ledger"), "1");
    pipeline.accept();
    drained(&pipeline, last);
    assert_eq!(database.one("SELECT COUNT(*) FROM ledger"), "2");
}

fn a_silent_stream_is_waited_for(database: &Database) {
    let stream = Stream::default();
    let pipeline = start(settings(), &stream, database);
    drained(&pipeline, stream.insert("doc:1", "{}"));
    stream.silence(true);
    let last = stream.insert("doc:2", "{}");
    let down = pipeline.wait_for(
        LONG,
        |status| matches!(&status.state, State::Down { reason, .. } if reason.contains("silent")),
    );
    assert!(down, "{:?}", pipeline.status());
    stream.silence(false);
    drained(&pipeline, last);
}
