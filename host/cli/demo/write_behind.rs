//! `reef demo write-behind`: documents at memory speed, rows exactly once, whatever is killed.
//!
//! The server is a process of its own, so that `kill -9` is one. The database is SQLite, which needs
//! nothing; with `--postgres URL` it is that one, in which the demonstration makes tables
//! `reef_demo_*` and leaves them.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use redis::Value;
use tempfile::TempDir;

use super::process::{Process, within};
use super::stage::Stage;
use crate::cli::Failure;
use crate::cli::client::Client;
use crate::cli::table::grouped;
use crate::cli::write_behind::generate::generate;
use crate::config::pipeline::PipelineFile;
use crate::write_behind::RowCounter;

/// How long rows may take to be there.
const PATIENCE: Duration = Duration::from_secs(60);
/// Changes that the generator makes.
const CHANGES: u64 = 2_000;
/// How often the server is killed.
const KILLS: u32 = 3;
/// Documents between two kills.
const BETWEEN_KILLS: u64 = 300;

/// A server with a pipeline.
struct House {
    server: Process,
    folder: TempDir,
    database: Database,
}

/// Where the rows go.
enum Database {
    Sqlite(PathBuf),
    Postgres(String),
}

/// Shows all of it.
pub(super) fn show(stage: &mut Stage<'_>, postgres: Option<&str>) -> Result<(), Failure> {
    let mut house = House::start(postgres)?;
    changes_become_rows(stage, &house)?;
    killed(stage, &mut house)?;
    poison(stage, &house)?;
    found(stage, &house)
}

impl House {
    fn start(postgres: Option<&str>) -> Result<Self, Failure> {
        let folder = TempDir::with_prefix("reef-demo-")?;
        let database = match postgres {
            None => Database::Sqlite(folder.path().join("rows.db")),
            Some(url) => Database::Postgres(section(url)?),
        };
        let mut house = Self { server: Process::reef(&["--save", ""])?, folder, database };
        let files = house.write_files()?;
        let mut flags = vec!["--save", "", "--appendonly", "yes", "--appendfsync", "always"];
        for file in &files {
            flags.extend(["--write-behind", file]);
        }
        house.server.set_flags(&flags);
        house.server.start_again()?;
        // Those who ask from outside have to know where it listens.
        house.write_files()?;
        Ok(house)
    }

    /// One file for each entity: sessions as documents, orders as columns, a ledger of payments.
    fn write_files(&self) -> Result<Vec<String>, Failure> {
        let index = "search_index:\n  create_index: true\n  fields:\n    \
                     - {name: user_id, type: TEXT}\n    - {name: device_type, type: TAG}\n";
        let columns = "mapping: columns, columns: [{name: total, path: $.total, type: integer}]";
        let files = [
            ("sessions", "mapping: payload", index),
            ("orders", columns, ""),
            ("payments", "mapping: ledger", ""),
        ];
        let mut written = Vec::new();
        for (entity, mapping, more) in files {
            let text = format!(
                "{}\nredis: {{port: {}}}\nwrite_behind:\n  {{entity: {entity}, table: {}, {mapping}}}\n{more}",
                self.database.section(),
                self.server.port(),
                Database::table(entity),
            );
            let path = self.file(entity);
            std::fs::write(&path, text)?;
            written.push(path.display().to_string());
        }
        Ok(written)
    }

    fn file(&self, entity: &str) -> PathBuf {
        self.folder.path().join(format!("{entity}.yaml"))
    }

    fn pipeline(&self, entity: &str) -> Result<PipelineFile, Failure> {
        PipelineFile::load(&self.file(entity)).map_err(Failure::new)
    }
}

impl Database {
    fn table(entity: &str) -> String {
        format!("reef_demo_{entity}")
    }

    fn section(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite: {{path: '{}'}}", path.display()),
            Self::Postgres(section) => section.clone(),
        }
    }
}

/// A `postgres://user[:password]@host[:port]/database` as a section of a file.
fn section(url: &str) -> Result<String, Failure> {
    let refused =
        || Failure::new("the URL is to be postgres://user[:password]@host[:port]/database");
    let rest = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://"));
    let (who, place) = rest.and_then(|rest| rest.split_once('@')).ok_or_else(refused)?;
    let (address, database) = place.split_once('/').ok_or_else(refused)?;
    let (user, password) = who.split_once(':').unwrap_or((who, ""));
    let (host, port) = address.rsplit_once(':').unwrap_or((address, "5432"));
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let port: u16 = port.parse().map_err(|_| refused())?;
    Ok(format!(
        "postgresql: {{host: {}, port: {port}, database: {}, user: {}, password: {}}}",
        quoted(host),
        quoted(database),
        quoted(user),
        quoted(password),
    ))
}

/// Whether a pipeline's table has this many rows in the end.
fn has_rows(file: &PipelineFile, expected: u64) -> Result<bool, Failure> {
    let mut rows = RowCounter::of(file).map_err(Failure::new)?;
    Ok(within(PATIENCE, || rows.count() == Some(expected)))
}

fn number(client: &mut Client, words: &[&str]) -> Result<u64, Failure> {
    Ok(client.call::<Option<u64>>(words)?.unwrap_or(0))
}

fn changes_become_rows(stage: &mut Stage<'_>, house: &House) -> Result<(), Failure> {
    stage.step("Documents in Reef, rows in the database: nobody waits for it")?;
    let file = house.pipeline("sessions")?;
    let mut client = house.server.connect()?;
    let session = r#"{"user_id":"user_1","device_type":"web"}"#;
    stage.ask::<String>(&mut client, &["DOC.INSERT", "sessions", session, "ID", "first"])?;
    stage.ask::<i64>(&mut client, &["DOC.UPDATE", "sessions", "first", r#"{"pages":2}"#])?;
    stage.ask::<String>(&mut client, &["DOC.GET", "sessions", "first"])?;
    let began = Instant::now();
    let made = generate(&file, CHANGES, 1)?;
    let per_second = (CHANGES as f64 / began.elapsed().as_secs_f64()) as u64;
    let documents = made.created - made.deleted + 1;
    let changes = grouped(CHANGES);
    stage.say(&format!("{changes} changes by one client, {} a second", grouped(per_second)))?;
    let sentence = format!("a row for each of the {} documents, and no other", grouped(documents));
    stage.check(has_rows(&file, documents)?, &sentence)?;
    let success =
        format!("metrics:{}_success", if file.sqlite.is_some() { "sqlite" } else { "postgres" });
    let counted = within(PATIENCE, || {
        number(&mut client, &["GET", &success]).is_ok_and(|counted| counted == CHANGES + 2)
    });
    stage.check(counted, "the counter says how many changes the database has")
}

fn killed(stage: &mut Stage<'_>, house: &mut House) -> Result<(), Failure> {
    stage.step("kill -9 under load: each acknowledged change is a row, once")?;
    let file = house.pipeline("payments")?;
    let mut acknowledged = 0;
    for _ in 0..KILLS {
        let mut client = house.server.connect()?;
        for _ in 0..BETWEEN_KILLS {
            client.call::<String>(&["DOC.INSERT", "payments", r#"{"cents":995}"#])?;
            acknowledged += 1;
        }
        house.server.start_again()?;
    }
    let killed = format!("the server was killed {KILLS} times, right behind a change");
    stage.say(&killed)?;
    let sentence = format!(
        "{} changes were acknowledged, and so many rows has a ledger without a key",
        grouped(acknowledged)
    );
    stage.check(has_rows(&file, acknowledged)?, &sentence)
}

fn poison(stage: &mut Stage<'_>, house: &House) -> Result<(), Failure> {
    stage.step("What the database cannot take holds up nobody, and is not lost")?;
    let file = house.pipeline("orders")?;
    let mut client = house.server.connect()?;
    for (id, order) in
        [("1", r#"{"total":10}"#), ("2", r#"{"total":"ten"}"#), ("3", r#"{"total":30}"#)]
    {
        stage.ask::<String>(&mut client, &["DOC.INSERT", "orders", order, "ID", id])?;
    }
    stage.check(has_rows(&file, 2)?, "its neighbours are rows")?;
    let kept = within(PATIENCE, || {
        number(&mut client, &["XLEN", "dlq:stream:orders"]).is_ok_and(|length| length == 1)
    });
    stage.check(kept, "it is kept with the reason, in the database and in a stream")?;
    stage.ask::<Value>(&mut client, &["JSON.SET", "orders:2", "$.total", "20"])?;
    let answer = crate::cli::write_behind::ask(&file, "replay")?;
    stage.say(&format!("reef write-behind dead-letters orders.yaml replay: {answer}"))?;
    stage.check(has_rows(&file, 3)?, "mended and replayed, it is a row")
}

fn found(stage: &mut Stage<'_>, house: &House) -> Result<(), Failure> {
    stage.step("The documents are found at once, by an index that is never behind")?;
    let mut client = house.server.connect()?;
    let search = |query: &'static str| {
        ["FT.SEARCH", "idx:sessions", query, "RETURN", "2", "user_id", "device_type"]
    };
    let user = stage.ask::<Vec<Value>>(&mut client, &search("@user_id:user_1"))?;
    stage.check(user.first() == Some(&Value::Int(1)), "the session of a user")?;
    let android = stage.ask::<Vec<Value>>(&mut client, &search("@device_type:{android}"))?;
    let count = android.first().map(|count| redis::from_redis_value::<u64>(count.clone()));
    let some = count.is_some_and(|count| count.is_ok_and(|count| count > 0));
    stage.check(some, "the sessions of a kind of device")
}
