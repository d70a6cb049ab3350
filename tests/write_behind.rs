//! Write-behind on a running server: documents by commands, rows by SQL.

#![expect(clippy::unwrap_used, reason = "what fails in a test's tools fails the test")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use redis::Connection;
use tempfile::TempDir;

use crate::served::{Served, is_here, run, sentence, succeeded};

mod databases;

use databases::database::Database;

/// A pipeline into a SQLite file, and what its file says.
struct Pipeline {
    folder: TempDir,
}

impl Pipeline {
    /// With this in the section `write_behind`.
    fn new(carrying: &str) -> Self {
        let pipeline = Self { folder: tempfile::tempdir().unwrap() };
        let database = pipeline.folder.path().join("rows.db");
        pipeline.write(&format!(
            "sqlite: {{path: '{}'}}\nwrite_behind: {{{carrying}}}\n",
            database.display()
        ));
        pipeline
    }

    fn write(&self, text: &str) {
        std::fs::write(self.file(), text).unwrap();
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("pipeline.yaml")
    }

    fn data(&self) -> PathBuf {
        let data = self.folder.path().join("data");
        std::fs::create_dir_all(&data).unwrap();
        data
    }

    fn serve(&self, args: &[&str]) -> Served {
        let file = self.file();
        let ours = ["--write-behind", file.to_str().unwrap(), "--save", ""];
        Served::start_in(&self.data(), &[&ours, args].concat())
    }

    /// The same file with the server's address in it, for those who come from outside.
    fn file_for_strangers(&self, server: &Served) -> String {
        let text = std::fs::read_to_string(self.file()).unwrap();
        let file = self.folder.path().join("outside.yaml");
        std::fs::write(&file, format!("{text}redis: {{port: {}}}\n", server.port())).unwrap();
        file.to_str().unwrap().to_owned()
    }

    fn rows(&self, query: &str) -> Vec<String> {
        rows(&self.folder.path().join("rows.db"), query)
    }
}

/// What a query finds: one text per row. Nothing if there is no such table yet.
fn rows(file: &Path, query: &str) -> Vec<String> {
    let database = rusqlite::Connection::open(file).unwrap();
    database.busy_timeout(Duration::from_secs(5)).unwrap();
    let Ok(mut statement) = database.prepare(query) else { return Vec::new() };
    let found = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    found.map(Result::unwrap).collect()
}

fn ask<T: redis::FromRedisValue>(connection: &mut Connection, words: &[&str]) -> T {
    try_ask(connection, words).unwrap_or_else(|error| panic!("{words:?}: {error}"))
}

fn try_ask<T: redis::FromRedisValue>(
    connection: &mut Connection,
    words: &[&str],
) -> redis::RedisResult<T> {
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]);
    command.query(connection)
}

#[track_caller]
fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

const SESSIONS: &str = "SELECT id || ' ' || payload FROM sessions ORDER BY id";

#[test]
fn documents_become_rows() {
    let pipeline = Pipeline::new("entity: sessions");
    let server = pipeline.serve(&[]);
    let mut connection = server.connect();
    let id: String = ask(&mut connection, &["DOC.INSERT", "sessions", r#"{"n":1}"#, "ID", "a"]);
    assert_eq!(id, "a");
    let made: String = ask(&mut connection, &["DOC.INSERT", "sessions", r#"{"n":2}"#]);
    let patch = r#"{"n":null,"m":[1]}"#;
    assert_eq!(ask::<i64>(&mut connection, &["DOC.UPDATE", "sessions", "a", patch]), 1);
    assert_eq!(ask::<i64>(&mut connection, &["DOC.DELETE", "sessions", &made]), 1);
    let found: Vec<Option<String>> = ask(&mut connection, &["DOC.GET", "sessions", "a", &made]);
    assert_eq!(found, [Some(r#"{"m":[1]}"#.to_owned()), None]);
    wait_until("the rows", || pipeline.rows(SESSIONS) == [r#"a {"m":[1]}"#]);
    wait_until("the metrics", || {
        ask::<Option<u64>>(&mut connection, &["GET", "metrics:sqlite_success"]) == Some(4)
    });
    assert_eq!(ask::<u64>(&mut connection, &["GET", "metrics:redis_success"]), 4);
    // What was carried is trimmed, but for the last entry; the group shows the position.
    assert_eq!(ask::<u64>(&mut connection, &["XLEN", "stream:sessions"]), 1);
    let last: String = ask(&mut connection, &["GET", "stream:lastid:stream:sessions"]);
    let groups: Vec<std::collections::HashMap<String, redis::Value>> =
        ask(&mut connection, &["XINFO", "GROUPS", "stream:sessions"]);
    assert_eq!(groups[0]["last-delivered-id"], redis::Value::BulkString(last.into_bytes()));
    assert_eq!(groups[0]["lag"], redis::Value::Int(0));
}

#[test]
fn bad_calls_change_nothing_and_say_why() {
    let server = Served::start(&[]);
    let mut connection = server.connect();
    ask::<String>(&mut connection, &["DOC.INSERT", "e", "{}", "ID", "a"]);
    ask::<()>(&mut connection, &["SET", "e:text", "x"]);
    for (words, code, text) in [
        (&["DOC.INSERT", "e", "{}", "ID", "a"][..], "EXISTS", "e:a exists already"),
        (&["DOC.INSERT", "e", "{", "ID", "b"], "ERR", ""),
        (&["DOC.INSERT", "", "{}"], "ERR", "at least one byte"),
        (&["DOC.UPDATE", "e", "a", "[]"], "ERR", "a merge patch is a JSON object"),
        (&["DOC.UPDATE", "e", "text", "{}"], "WRONGTYPE", ""),
        (&["DOC.DELETE", "e", "text"], "WRONGTYPE", ""),
        (&["DOC.GET", "e"], "ERR", "wrong number of arguments"),
    ] {
        let error = try_ask::<redis::Value>(&mut connection, words).expect_err("refused");
        let said = (error.code().unwrap_or("ERR"), error.detail().unwrap_or_default());
        assert!(said.0 == code && said.1.contains(text), "{words:?}: {error}");
    }
    assert_eq!(ask::<i64>(&mut connection, &["DOC.UPDATE", "e", "none", "{}"]), 0);
    assert_eq!(ask::<i64>(&mut connection, &["DOC.DELETE", "e", "none"]), 0);
    assert_eq!(ask::<i64>(&mut connection, &["XLEN", "stream:e"]), 1);
    assert_eq!(ask::<i64>(&mut connection, &["EXISTS", "e:b"]), 0);
}

#[test]
fn a_killed_server_goes_on_where_it_was() {
    let pipeline = Pipeline::new("entity: sessions, mapping: ledger, table: ledger");
    let args = ["--appendonly", "yes", "--appendfsync", "always"];
    let mut acknowledged = Vec::new();
    for life in 0..3 {
        let server = pipeline.serve(&args);
        let mut connection = server.connect();
        for number in 0..200 {
            let id = format!("{life}-{number}");
            ask::<String>(&mut connection, &["DOC.INSERT", "sessions", "{}", "ID", &id]);
            acknowledged.push(id);
        }
        server.kill();
    }
    let server = pipeline.serve(&args);
    acknowledged.sort();
    let query = "SELECT doc_id FROM ledger ORDER BY doc_id";
    wait_until("all events", || pipeline.rows(query).len() >= acknowledged.len());
    assert_eq!(pipeline.rows(query), acknowledged, "each once");
    let mut connection = server.connect();
    wait_until("the counter equals the rows", || {
        ask::<Option<usize>>(&mut connection, &["GET", "metrics:sqlite_success"])
            == Some(acknowledged.len())
    });
}

#[test]
fn keys_that_others_change_are_followed() {
    let pipeline = Pipeline::new("entity: people, capture: 'person:'");
    {
        // Before there was a pipeline.
        let server = Served::start_in(&pipeline.data(), &["--appendonly", "yes", "--save", ""]);
        ask::<i64>(&mut server.connect(), &["HSET", "person:0", "city", "Rome"]);
    }
    let server = pipeline.serve(&["--appendonly", "yes"]);
    let mut connection = server.connect();
    ask::<i64>(&mut connection, &["HSET", "person:1", "city", "Oslo"]);
    ask::<()>(&mut connection, &["JSON.SET", "person:2", "$", r#"{"city":"Bern"}"#]);
    ask::<()>(&mut connection, &["JSON.SET", "person:2", "$.city", r#""Basel""#]);
    ask::<()>(&mut connection, &["JSON.SET", "person:3", "$", "{}"]);
    ask::<()>(&mut connection, &["JSON.SET", "person:4", "$", "{}"]);
    ask::<i64>(&mut connection, &["DEL", "person:3"]);
    ask::<i64>(&mut connection, &["PEXPIRE", "person:4", "20"]);
    let query = "SELECT id || ' ' || payload FROM people ORDER BY id";
    let expected = [r#"0 {"city":"Rome"}"#, r#"1 {"city":"Oslo"}"#, r#"2 {"city":"Basel"}"#];
    wait_until("the rows", || pipeline.rows(query) == expected);
}

#[test]
fn the_expiry_of_a_document_is_its_deletion() {
    let pipeline = Pipeline::new("entity: sessions");
    let server = pipeline.serve(&[]);
    let mut connection = server.connect();
    ask::<String>(&mut connection, &["DOC.INSERT", "sessions", "{}", "ID", "a"]);
    wait_until("the row", || pipeline.rows(SESSIONS).len() == 1);
    ask::<i64>(&mut connection, &["PEXPIRE", "sessions:a", "10"]);
    wait_until("no row", || pipeline.rows(SESSIONS).is_empty());
}

#[test]
fn what_the_database_does_not_take_is_kept_and_can_be_replayed() {
    let columns = r#"columns: [{name: n, path: $.n, type: integer}]"#;
    let pipeline = Pipeline::new(&format!("entity: sessions, mapping: columns, {columns}"));
    let server = pipeline.serve(&[]);
    let mut connection = server.connect();
    for (id, json) in [("a", r#"{"n":1}"#), ("b", r#"{"n":"one"}"#), ("c", r#"{"n":3}"#)] {
        ask::<String>(&mut connection, &["DOC.INSERT", "sessions", json, "ID", id]);
    }
    let query = "SELECT id || ' ' || n FROM sessions ORDER BY id";
    wait_until("the neighbours", || pipeline.rows(query) == ["a 1", "c 3"]);
    wait_until("the dead letter", || {
        ask::<usize>(&mut connection, &["XLEN", "dlq:stream:sessions"]) == 1
    });
    let file = pipeline.file_for_strangers(&server);
    let listed = succeeded(run(&["write-behind", "dead-letters", &file]));
    assert!(listed.contains("column n: \"one\" is not of type integer"), "{listed}");
    let again = succeeded(run(&["write-behind", "dead-letters", &file, "replay"]));
    assert!(again.contains("settled 0 failed 1"), "{again}");
    // The document is mended by somebody who makes no event of it.
    ask::<()>(&mut connection, &["JSON.SET", "sessions:b", "$.n", "2"]);
    let again = succeeded(run(&["write-behind", "dead-letters", &file, "replay"]));
    assert!(again.contains("settled 1 failed 0"), "{again}");
    assert_eq!(pipeline.rows(query), ["a 1", "b 2", "c 3"]);
    assert_eq!(ask::<usize>(&mut connection, &["XLEN", "dlq:stream:sessions"]), 0);
    let status = succeeded(run(&["write-behind", "status", &file, "--json"]));
    assert!(status.contains(r#""state":"running""#), "{status}");
}

#[test]
fn a_sink_that_fails_over_a_document_fails_over_it_alone() {
    let sink = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(sink.path(), reef_bundled::hostile::SINK).unwrap();
    let pipeline = Pipeline::new(&format!("entity: docs, sink: '{}'", sink.path().display()));
    let server = pipeline.serve(&[]);
    let mut connection = server.connect();
    let ids = ["a", "trap", "b", "lie-width", "c", "recurse", "d", "skip", "reject", "e"];
    for id in ids {
        ask::<String>(&mut connection, &["DOC.INSERT", "docs", "{}", "ID", id]);
    }
    let query = "SELECT id FROM rows ORDER BY id";
    wait_until("the others", || pipeline.rows(query) == ["a", "b", "c", "d", "e"]);
    wait_until("the dead letters", || {
        ask::<usize>(&mut connection, &["XLEN", "dlq:stream:docs"]) == 4
    });
}

#[test]
fn a_sink_is_replaced_while_events_wait() {
    let sink = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(sink.path(), reef_bundled::hostile::SINK).unwrap();
    let pipeline = Pipeline::new(&format!("entity: docs, sink: '{}'", sink.path().display()));
    let server = pipeline.serve(&[]);
    let mut connection = server.connect();
    ask::<String>(&mut connection, &["DOC.INSERT", "docs", "{}", "ID", "a"]);
    wait_until("the first row", || pipeline.rows("SELECT id FROM rows") == ["a"]);
    // It fails over every version of a document, so something is wrong with it: it is called no more.
    ask::<String>(&mut connection, &["DOC.INSERT", "docs", "{}", "ID", "trap"]);
    for version in 0..30 {
        let patch = format!("{{\"n\": {version}}}");
        ask::<usize>(&mut connection, &["DOC.UPDATE", "docs", "trap", &patch]);
    }
    ask::<String>(&mut connection, &["DOC.INSERT", "docs", "{}", "ID", "b"]);
    let file = pipeline.file_for_strangers(&server);
    let status = || succeeded(run(&["write-behind", "status", &file, "--json"]));
    wait_until("it is called no more", || status().contains("paused"));
    std::fs::write(sink.path(), "no component").unwrap();
    let refused = run(&["write-behind", "replace-sink", &file]);
    assert!(!refused.status.success(), "{refused:?}");
    assert!(status().contains("paused"), "what is refused changes nothing: {}", status());
    std::fs::write(sink.path(), reef_bundled::WRITE_BEHIND_SINK).unwrap();
    succeeded(run(&["write-behind", "replace-sink", &file]));
    let rows = || pipeline.rows("SELECT id || ' ' || payload FROM docs ORDER BY id");
    wait_until("what waited", || rows() == ["b {}", "trap {\"n\":29}"]);
    assert_eq!(pipeline.rows("SELECT id FROM rows"), ["a"]);
    wait_until("it says so", || status().contains(r#""state":"running""#));
}

#[test]
fn writers_wait_or_are_refused_while_the_database_is_too_far_behind() {
    let unreachable = "postgresql: {host: 127.0.0.1, port: 1, database: d, user: u}\n";
    for (policy, is_refused) in [("stop-writes", true), ("block", false)] {
        let pipeline = Pipeline::new("");
        let carrying =
            format!("write_behind: {{entity: e, backlog_max: 100, when_full: {policy}}}\n");
        pipeline.write(&format!("{unreachable}{carrying}"));
        let server = pipeline.serve(&["--appendonly", "yes"]);
        let mut connection = server.connect();
        connection.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        let mut made = 0;
        let error = loop {
            assert!(made < 1_000, "the bound does not hold");
            match try_ask::<String>(&mut connection, &["DOC.INSERT", "e", "{}"]) {
                Ok(_) => made += 1,
                Err(error) => break error,
            }
        };
        assert!(made >= 100, "{made} were made");
        assert_eq!(error.code() == Some("WBFULL"), is_refused, "{error}");
        assert_eq!(error.is_timeout(), !is_refused, "{error}");
        drop(server);
        // The database is there again, another one to be sure.
        let database = pipeline.folder.path().join("rows.db");
        pipeline.write(&format!("sqlite: {{path: '{}'}}\n{carrying}", database.display()));
        let server = pipeline.serve(&["--appendonly", "yes"]);
        let mut connection = server.connect();
        wait_until("there is room", || {
            try_ask::<String>(&mut connection, &["DOC.INSERT", "e", "{}", "ID", "last"]).is_ok()
        });
        wait_until("the last row", || {
            pipeline.rows("SELECT id FROM e WHERE id = 'last'").len() == 1
        });
    }
}

#[test]
fn a_process_of_its_own_carries_as_well() {
    let server = Served::start(&[]);
    let mut connection = server.connect();
    let pipeline = Pipeline::new("entity: sessions");
    let file = pipeline.file_for_strangers(&server);
    let made =
        succeeded(run(&["write-behind", "generate", &file, "--count", "300", "--seed", "7"]));
    let out = succeeded(run(&["write-behind", "run", &file, "--once"]));
    assert!(out.contains("300 events applied, 0 skipped, 0 dead letters"), "{made}{out}");
    let documents: Vec<String> = ask(&mut connection, &["KEYS", "sessions:*"]);
    assert_eq!(pipeline.rows(SESSIONS).len(), documents.len());
    assert_eq!(ask::<u64>(&mut connection, &["GET", "metrics:sqlite_success"]), 300);
}

#[test]
fn what_cannot_work_is_one_sentence() {
    let pipeline = Pipeline::new("entity: sessions, mapping: rows");
    let error = sentence(&run(&["write-behind", "status", pipeline.file().to_str().unwrap()]));
    assert!(error.contains("line 2"), "{error}");
    let pipeline = Pipeline::new("entity: 'a-b'");
    let file = pipeline.file();
    let error = sentence(&run(&["serve", "--port", "0", "--write-behind", file.to_str().unwrap()]));
    assert!(error.contains("'a-b' is not a name for a table"), "{error}");
}

/// A section of a pipeline's file for a database that runs.
fn section(database: &Database) -> String {
    let kind = match database {
        Database::Postgres(..) => "postgresql",
        Database::MariaDb(..) => "mysql",
        Database::Sqlite(_) => unreachable!("SQLite has no server"),
    };
    let it = database.server().expect("it has a server");
    let place = format!("host: '{}', port: {}", it.host, it.port);
    format!("{kind}: {{{place}, database: {}, user: {}}}\n", it.database, it.user)
}

#[test]
fn rows_go_into_servers_as_well() {
    for database in [Database::postgres(), Database::mariadb()].into_iter().flatten() {
        let pipeline = Pipeline::new("");
        let columns = "columns: [{name: city, path: $.city, type: text, nullable: true}]";
        let carrying = format!("write_behind: {{entity: people, mapping: columns, {columns}}}\n");
        pipeline.write(&(section(&database) + &carrying));
        let server = pipeline.serve(&[]);
        let mut connection = server.connect();
        for (id, json) in [("A", r#"{"city":"Oslo"}"#), ("a", "{}"), ("x ", r#"{"city":"'; --"}"#)]
        {
            ask::<String>(&mut connection, &["DOC.INSERT", "people", json, "ID", id]);
        }
        wait_until("the metrics", || {
            let all = ["metrics:postgres_success", "metrics:mysql_success"];
            all.iter().any(|name| ask::<Option<u64>>(&mut connection, &["GET", name]) == Some(3))
        });
        let rows = database.query("SELECT id, city FROM people ORDER BY id, city");
        let some = |text: &str| Some(text.to_owned());
        let mut expected = vec![
            vec![some("A"), some("Oslo")],
            vec![some("a"), None],
            vec![some("x "), some("'; --")],
        ];
        expected.sort();
        let mut rows = rows;
        rows.sort();
        assert_eq!(rows, expected);
    }
}

#[test]
fn the_original_file_does_what_it_promises() {
    let Some(database) = Database::postgres() else { return };
    let pipeline = Pipeline::new("");
    let original = include_str!("write_behind/config.yaml");
    let rest = &original[original.find("\nredis:").expect("the second section")..];
    // Where things are differs on every machine; the rest is as it was.
    let text = section(&database) + rest;
    pipeline.write(&text);
    let server = pipeline.serve(&[]);
    let port = server.port().to_string();
    pipeline.write(&text.replace("6379", &port));
    let mut connection = server.connect();
    let file = pipeline.file();
    let file = file.to_str().unwrap();
    let generate = ["write-behind", "generate", file, "--count", "60", "--seed", "3"];
    let error = sentence(&run(&generate));
    assert!(error.contains("60 changes were not confirmed by as many copies"), "{error}");
    // With a copy, they are.
    let of = format!("127.0.0.1 {port}");
    let _replica = Served::start(&["--replicaof", &of]);
    wait_until("the copy", || ask::<u64>(&mut connection, &["WAIT", "1", "100"]) == 1);
    succeeded(run(&["write-behind", "generate", file, "--count", "60", "--seed", "4"]));
    for query in ["@user_id:user_4554", "@device_type:{android}"] {
        let fields = ["RETURN", "4", "user_id", "session_id", "device_type", "device_model"];
        let words = [&["FT.SEARCH", "idx:sessions", query][..], &fields].concat();
        let found: Vec<redis::Value> = ask(&mut connection, &words);
        let count: u64 = redis::from_redis_value(found[0].clone()).unwrap();
        assert!(count > 0, "{query}: {found:?}");
        let first: std::collections::HashMap<String, String> =
            redis::from_redis_value(found[2].clone()).unwrap();
        assert_eq!(first.len(), 4, "{first:?}");
    }
    // Its interval is ten seconds; deletions are no events in it.
    let success = |connection: &mut Connection, name: &str| -> u64 {
        ask::<Option<u64>>(connection, &["GET", name]).unwrap_or(0)
    };
    let made = success(&mut connection, "metrics:redis_success");
    wait_until("the rows", || success(&mut connection, "metrics:postgres_success") == made);
    let inserted = database.one("SELECT count(*) FROM sessions");
    let documents: Vec<String> = ask(&mut connection, &["KEYS", "sessions:*"]);
    assert!(inserted.parse::<usize>().unwrap() >= documents.len());
}

#[test]
fn the_notebook_runs() {
    if !is_here("python3") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut install = std::process::Command::new("python3");
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"]);
    succeeded(install.arg(folder.path()).arg("redis").output().expect("pip runs"));
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/write-behind");
    let config = std::fs::read_to_string(format!("{example}/config.yaml")).unwrap();
    let pipeline = Pipeline::new("");
    pipeline.write(
        &config
            .replace("sessions.db", &pipeline.folder.path().join("rows.db").display().to_string()),
    );
    let server = pipeline.serve(&[]);
    let cells = "import json, sys\n\
                 for cell in json.load(open(sys.argv[1]))['cells']:\n    \
                 if cell['cell_type'] == 'code': exec(''.join(cell['source']), globals())";
    let mut python = std::process::Command::new("python3");
    python.env("PYTHONPATH", folder.path()).env("REEF_PORT", server.port().to_string());
    python.env("REEF_DATABASE", pipeline.folder.path().join("rows.db"));
    let out = python.args(["-c", cells, &format!("{example}/writebehind.ipynb")]).output();
    let out = succeeded(out.expect("python runs"));
    assert!(out.contains("documents, and as many rows"), "{out}");
}
