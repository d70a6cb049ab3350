//! How fast a backlog is drained into each database, beside a raw loader of the same kind in the same
//! run: prepared statements for a thousand rows, no fence, no position, no stream. Fails below the
//! promised share of it, or above the promised CPU per event. `REEF_BENCH_ROWS` is how many rows each
//! round has.

#![expect(clippy::unwrap_used, reason = "what fails in a bench's tools fails the bench")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench is read by people")]
#![allow(dead_code, reason = "the tools are those of the tests, which use all of them")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use reef_sinks::StreamId;
use rustix::time::{ClockId, clock_gettime};

use support::database::Database;
use support::stream::Stream;
use support::{drained, settings, start};

const BATCH: usize = 1_000;
const ROUNDS: usize = 9;
/// What a server still does about the tables of the last round is not to be seen in the next.
const SETTLE: Duration = Duration::from_millis(300);

/// Least share of the raw loader's rate, and most CPU of an event in microseconds, where SQLite's
/// own work is not in the same process.
const PROMISES: [(&str, f64, Option<f64>); 3] =
    [("postgresql", 0.90, Some(1.5)), ("mariadb", 0.85, Some(1.5)), ("sqlite", 0.80, None)];

type Row = (String, String);

fn main() -> ExitCode {
    let rows = std::env::var("REEF_BENCH_ROWS").ok().and_then(|text| text.parse().ok());
    let rows: Vec<Row> = (0..rows.unwrap_or(100_000)).map(row).collect();
    let mut kept = true;
    println!(
        "{:<12}{:>12}{:>12}{:>8}{:>16}{:>14}",
        "", "raw rows/s", "reef", "ratio", "(spread)", "CPU us/event"
    );
    let open = [Database::postgres, Database::mariadb, Database::sqlite];
    for ((name, share, cpu_max), open) in PROMISES.into_iter().zip(open) {
        let Some(database) = open() else { continue };
        let mut ratios = Vec::new();
        let mut rates = (Vec::new(), Vec::new());
        let (mut raw_cpus, mut cpus) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let raw = || raw(&database, &rows);
            let reef = || carried(&database, &rows);
            let ((raw, raw_cpu), (reef, cpu)) = if round % 2 == 0 {
                let first = raw();
                (first, reef())
            } else {
                let second = reef();
                (raw(), second)
            };
            raw_cpus.push(raw_cpu.as_secs_f64() * 1e6 / rows.len() as f64);
            rates.0.push(rows.len() as f64 / raw.as_secs_f64());
            rates.1.push(rows.len() as f64 / reef.as_secs_f64());
            ratios.push(raw.as_secs_f64() / reef.as_secs_f64());
            cpus.push(cpu.as_secs_f64() * 1e6 / rows.len() as f64);
        }
        let (ratio, cpu) = (median(&mut ratios), median(&mut cpus));
        println!(
            "{name:<12}{:>12.0}{:>12.0}{ratio:>8.2}{:>16}{:>8.2}{cpu:>8.2}",
            median(&mut rates.0),
            median(&mut rates.1),
            format!("({:.2}-{:.2})", ratios[0], ratios[ROUNDS - 1]),
            median(&mut raw_cpus),
        );
        let good = ratio >= share && cpu_max.is_none_or(|most| cpu <= most);
        if !good {
            eprintln!("{name}: promised are {share:.2} of the raw loader and {cpu_max:?} us");
        }
        kept &= good;
    }
    if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// An id of 46 bytes and a document of 343.
fn row(n: usize) -> Row {
    let id = format!("app-17:machine-{:04}:{n:026}", n % 10_000);
    let head = format!(
        "{{\"session_id\": \"{id}\", \"user_id\": \"user_{n:08}\", \"device_type\": \"android\", \
         \"device_model\": \"Pixel 9 Pro\", \"pages\": [1, 2, 3, 5, 8, 13], \"note\": \""
    );
    let note = "x".repeat(343 - head.len() - 2);
    (id, format!("{head}{note}\"}}"))
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn cpu() -> Duration {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// By the pipeline, with its CPU time.
fn carried(database: &Database, rows: &[Row]) -> (Duration, Duration) {
    if !matches!(database, Database::Sqlite(_)) {
        database.query("DROP TABLE IF EXISTS sessions");
    }
    let stream = Stream::default();
    let mut settings = settings();
    settings.name = format!("stream:{}", stream_number());
    let mut last = StreamId::ZERO;
    for (id, document) in rows {
        last = stream.insert(id, document);
    }
    if let Database::Sqlite(folder) = database {
        for name in ["rows.db", "rows.db-wal", "rows.db-shm"] {
            let _ = std::fs::remove_file(folder.path().join(name));
        }
    }
    std::thread::sleep(SETTLE);
    let (begun, cpu_begun) = (Instant::now(), cpu());
    let pipeline = start(settings, &stream, database);
    drained(&pipeline, last);
    let (took, cpu) = (begun.elapsed(), cpu() - cpu_begun);
    pipeline.stop();
    assert_eq!(database.one("SELECT COUNT(*) FROM sessions"), rows.len().to_string());
    (took, cpu)
}

fn stream_number() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// By a loader that does nothing else, with its CPU time.
fn raw(database: &Database, rows: &[Row]) -> (Duration, Duration) {
    let begun = cpu();
    let took = match database {
        Database::Sqlite(folder) => raw_sqlite(&folder.path().join("raw.db"), rows),
        Database::Postgres(..) => block_on(raw_postgres(database, rows)),
        Database::MariaDb(..) => block_on(raw_mariadb(database, rows)),
    };
    (took, cpu() - begun)
}

fn block_on<R>(future: impl Future<Output = R>) -> R {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

async fn raw_postgres(database: &Database, rows: &[Row]) -> Duration {
    let server = database.server().unwrap();
    let mut config = tokio_postgres::Config::new();
    config.host(&server.host).port(server.port).user(&server.user).dbname(&server.database);
    let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let table = "DROP TABLE IF EXISTS raw; CREATE TABLE raw (id text PRIMARY KEY, payload jsonb, \
                 created_at timestamptz DEFAULT now())";
    client.batch_execute(table).await.unwrap();
    let sql = "INSERT INTO raw (id, payload) SELECT u.a, u.b::jsonb FROM \
               UNNEST($1::text[], $2::text[]) AS u(a, b) \
               ON CONFLICT (id) DO UPDATE SET payload = EXCLUDED.payload";
    let statement = client.prepare(sql).await.unwrap();
    std::thread::sleep(SETTLE);
    let begun = Instant::now();
    for batch in rows.chunks(BATCH) {
        let ids: Vec<&str> = batch.iter().map(|row| row.0.as_str()).collect();
        let documents: Vec<&str> = batch.iter().map(|row| row.1.as_str()).collect();
        client.execute(&statement, &[&ids, &documents]).await.unwrap();
    }
    begun.elapsed()
}

async fn raw_mariadb(database: &Database, rows: &[Row]) -> Duration {
    let server = database.server().unwrap();
    let options = mysql_async::OptsBuilder::default()
        .ip_or_hostname(server.host)
        .tcp_port(server.port)
        .user(Some(server.user))
        .prefer_socket(false)
        .db_name(Some(server.database));
    let mut connection = mysql_async::Conn::new(options).await.unwrap();
    connection.query_drop("DROP TABLE IF EXISTS raw").await.unwrap();
    let table = "CREATE TABLE raw (id VARCHAR(768) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin \
                 PRIMARY KEY, payload JSON, created_at DATETIME(6) DEFAULT CURRENT_TIMESTAMP(6))";
    connection.query_drop(table).await.unwrap();
    let marks = vec!["(?,?)"; BATCH].join(",");
    let sql = format!(
        "INSERT INTO raw (id, payload) VALUES {marks} ON DUPLICATE KEY UPDATE payload = VALUES(payload)"
    );
    let statement = connection.prep(sql).await.unwrap();
    std::thread::sleep(SETTLE);
    let begun = Instant::now();
    for batch in rows.chunks(BATCH) {
        let values: Vec<mysql_async::Value> =
            batch.iter().flat_map(|row| [row.0.as_str().into(), row.1.as_str().into()]).collect();
        connection.exec_drop(&statement, values).await.unwrap();
    }
    begun.elapsed()
}

fn raw_sqlite(path: &std::path::Path, rows: &[Row]) -> Duration {
    for path in [path.to_owned(), path.with_extension("db-wal"), path.with_extension("db-shm")] {
        let _ = std::fs::remove_file(path);
    }
    let mut connection = rusqlite::Connection::open(path).unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    connection.pragma_update(None, "synchronous", "FULL").unwrap();
    let table = "CREATE TABLE raw (id TEXT NOT NULL PRIMARY KEY, payload TEXT, \
                 created_at TEXT DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now'))) STRICT";
    connection.execute_batch(table).unwrap();
    let sql = "INSERT INTO raw (id, payload) VALUES (?, ?) \
               ON CONFLICT (id) DO UPDATE SET payload = excluded.payload";
    std::thread::sleep(SETTLE);
    let begun = Instant::now();
    for batch in rows.chunks(BATCH) {
        let transaction = connection.transaction().unwrap();
        {
            let mut statement = transaction.prepare_cached(sql).unwrap();
            for row in batch {
                statement.execute((&row.0, &row.1)).unwrap();
            }
        }
        transaction.commit().unwrap();
    }
    begun.elapsed()
}
