//! One connection to PostgreSQL, driven by the thread that holds it.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, Error, NoTls, Row, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::Postgres;
use super::columns::Values;
use super::errors::{fault, outcome};
use super::schema::{COLUMNS, OWN, creation, quoted, types};
use super::statement::{Shape, text};
use crate::dead_letter::DeadLetter;
use crate::event::{Event, EventKind, StreamId};
use crate::plan::Verb;
use crate::server::{Tls, client_config};
use crate::status::Counts;
use crate::table::Table;
use crate::target::{Batch, Claim, Outcome, Owner, Target, TargetFault};

const CONNECT: Duration = Duration::from_secs(10);
/// The longest that one statement may take.
const STATEMENT: Duration = Duration::from_secs(60);

/// What every connection begins with: commits must be durable, and a server that has lost us must
/// not keep locks.
const GREETING: &str = "
SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off';
SET idle_in_transaction_session_timeout = '30s'; SET client_min_messages = 'warning'";

pub(super) struct PostgresTarget {
    options: Postgres,
    tables: Arc<[Table]>,
    owner: Owner,
    link: Option<Link>,
    types: Vec<Vec<String>>,
}

/// A connection with what was prepared on it.
struct Link {
    runtime: Runtime,
    client: Client,
    statements: HashMap<Shape, Statement>,
}

impl Link {
    /// Waits for an answer, but not for ever.
    fn ask<R>(
        &self,
        answer: impl Future<Output = Result<R, Error>>,
    ) -> Result<Result<R, Error>, String> {
        let timed = async { tokio::time::timeout(STATEMENT, answer).await };
        self.runtime.block_on(timed).map_err(|_| format!("no answer within {STATEMENT:?}"))
    }

    /// The same where nothing is to be committed.
    fn query<R>(&self, answer: impl Future<Output = Result<R, Error>>) -> Result<R, TargetFault> {
        match self.ask(answer) {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(error)) => Err(fault(&error)),
            Err(reason) => Err(TargetFault::Down(reason)),
        }
    }
}

impl PostgresTarget {
    pub(super) fn new(options: Postgres, tables: Arc<[Table]>, owner: Owner) -> Self {
        Self { options, tables, owner, link: None, types: Vec::new() }
    }

    /// Connects, unless there is a connection.
    fn connected(&mut self) -> Result<&mut Link, TargetFault> {
        if self.link.as_ref().is_some_and(|link| link.client.is_closed()) {
            self.link = None;
        }
        if self.link.is_none() {
            let link = self.connect()?;
            link.query(link.client.batch_execute(GREETING))?;
            let there = "SELECT 1 WHERE to_regclass('reef_offsets') IS NOT NULL \
                         AND to_regclass('reef_dead_letters') IS NOT NULL";
            if link.query(link.client.query_opt(there, &[]))?.is_none() {
                link.query(link.client.batch_execute(OWN))?;
            }
            self.link = Some(link);
        }
        self.link.as_mut().ok_or_else(|| TargetFault::Down("no connection".to_owned()))
    }

    fn connect(&self) -> Result<Link, TargetFault> {
        let server = &self.options.server;
        let mut config = Config::new();
        config
            .host(&server.host)
            .port(server.port)
            .dbname(&server.database)
            .user(&server.user)
            .application_name("reef")
            .connect_timeout(CONNECT)
            .tcp_user_timeout(STATEMENT)
            .keepalives_idle(CONNECT);
        if let Some(password) = &server.password {
            config.password(password);
        }
        let down = |reason: String| TargetFault::Down(reason);
        let runtime =
            Builder::new_current_thread().enable_all().build().map_err(|e| down(e.to_string()))?;
        let late = |_| down(format!("no connection within {CONNECT:?}"));
        let client = if server.tls == Tls::Off {
            config.ssl_mode(tokio_postgres::config::SslMode::Disable);
            let attempt = async { tokio::time::timeout(CONNECT, config.connect(NoTls)).await };
            let (client, connection) =
                runtime.block_on(attempt).map_err(late)?.map_err(|e| fault(&e))?;
            runtime.spawn(connection);
            client
        } else {
            config.ssl_mode(tokio_postgres::config::SslMode::Require);
            let tls = MakeRustlsConnect::new(client_config(&server.tls).map_err(down)?);
            let attempt = async { tokio::time::timeout(CONNECT, config.connect(tls)).await };
            let (client, connection) =
                runtime.block_on(attempt).map_err(late)?.map_err(|e| fault(&e))?;
            runtime.spawn(connection);
            client
        };
        Ok(Link { runtime, client, statements: HashMap::new() })
    }

    /// The prepared statement of a shape.
    fn statement(&mut self, shape: &Shape) -> Result<Statement, TargetFault> {
        let tables = Arc::clone(&self.tables);
        if self.types.len() != tables.len() {
            self.prepare()?;
        }
        let types = std::mem::take(&mut self.types);
        let found = self.connected().and_then(|link| {
            if let Some(statement) = link.statements.get(shape) {
                return Ok(statement.clone());
            }
            let text = text(shape, &tables, &types);
            let statement = link.query(link.client.prepare(&text))?;
            link.statements.insert(shape.clone(), statement.clone());
            Ok(statement)
        });
        self.types = types;
        found
    }

    fn execute(&mut self, statement: &Statement, batch: &Batch<'_>) -> Outcome {
        let owner = self.owner.clone();
        let part = owner.partition as i32;
        let numbers = [
            batch.epoch,
            batch.from.ms,
            batch.from.seq,
            batch.to.ms,
            batch.to.seq,
            batch.totals.applied,
            batch.totals.skipped,
            batch.totals.dead,
            batch.added,
        ]
        .map(|number| number as i64);
        let values = values(batch, &self.tables);
        let letters = Letters::of(batch.dead_letters);
        let settled: (Vec<i64>, Vec<i64>) =
            batch.settled.iter().map(|id| (id.ms as i64, id.seq as i64)).unzip();
        let mut params: Vec<&(dyn ToSql + Sync)> = vec![&owner.pipeline, &part];
        params.extend(numbers.iter().map(|number| number as &(dyn ToSql + Sync)));
        params.extend(values.iter().map(|value| value as &(dyn ToSql + Sync)));
        if !batch.dead_letters.is_empty() {
            params.extend(letters.params());
        }
        if !batch.settled.is_empty() {
            params.extend([&settled.0 as &(dyn ToSql + Sync), &settled.1]);
        }
        let Some(link) = &self.link else { return Outcome::Retry("no connection".to_owned()) };
        let outcome = match link.ask(link.client.query_one(statement, &params)) {
            Ok(Ok(row)) if row.get::<_, i64>(0) == 1 => Outcome::Committed,
            Ok(Ok(_)) => Outcome::Fenced,
            Ok(Err(error)) => outcome(&error),
            Err(reason) => Outcome::Unknown(reason),
        };
        if matches!(outcome, Outcome::Unknown(_)) {
            self.link = None;
        }
        outcome
    }
}

/// One parameter for each column of each group.
fn values<'a>(batch: &Batch<'a>, tables: &[Table]) -> Vec<Values<'a>> {
    let mut values = Vec::new();
    for group in batch.rows.groups() {
        let table = &tables[group.table];
        let count = if group.verb == Verb::Delete { table.key } else { table.width() };
        for (column, kind) in table.valued().map(|column| column.kind).take(count).enumerate() {
            values.push(Values { changes: &group.changes, column, kind });
        }
    }
    values
}

impl Target for PostgresTarget {
    fn prepare(&mut self) -> Result<(), TargetFault> {
        let (tables, create) = (Arc::clone(&self.tables), self.options.create_tables);
        let link = self.connected()?;
        let mut all = Vec::new();
        for table in tables.iter() {
            let name = quoted(&table.name);
            let columns = |row: Row| (row.get(0), row.get(1));
            let look = || -> Result<Vec<(String, String)>, TargetFault> {
                let rows = link.query(link.client.query(COLUMNS, &[&name]))?;
                Ok(rows.into_iter().map(columns).collect())
            };
            let mut found = look()?;
            if found.is_empty() && create {
                link.query(link.client.batch_execute(&creation(table)))?;
                found = look()?;
            }
            all.push(types(table, &found).map_err(TargetFault::Drift)?);
        }
        if self.types != all {
            self.connected()?.statements.clear();
            self.types = all;
        }
        Ok(())
    }

    fn claim(&mut self, again: bool) -> Result<Claim, TargetFault> {
        let owner = self.owner.clone();
        let (part, parts) = (owner.partition as i32, owner.partitions as i32);
        let link = self.connected()?;
        if !again {
            let sql = "INSERT INTO reef_offsets VALUES ($1, $2, $3, $4, 0, 0, 0, 0, 0, 0, 0, now()) \
                       ON CONFLICT DO NOTHING";
            let params: [&(dyn ToSql + Sync); 4] = [&owner.pipeline, &part, &parts, &owner.holder];
            link.query(link.client.execute(sql, &params))?;
        }
        let sql = "UPDATE reef_offsets SET epoch = epoch + 1, holder = $3 \
                   WHERE pipeline = $1 AND part = $2 AND ($4 OR holder = $3) \
                   RETURNING epoch, ms, seq, applied, skipped, dead, added";
        let params: [&(dyn ToSql + Sync); 4] = [&owner.pipeline, &part, &owner.holder, &!again];
        let row = link.query(link.client.query_opt(sql, &params))?.ok_or(TargetFault::Fenced)?;
        let column = |index| row.get::<_, i64>(index) as u64;
        Ok(Claim {
            epoch: column(0),
            position: StreamId::new(column(1), column(2)),
            totals: Counts { applied: column(3), skipped: column(4), dead: column(5) },
            added: column(6),
        })
    }

    fn commit(&mut self, batch: &Batch<'_>) -> Outcome {
        let shape = Shape {
            groups: batch.rows.groups().iter().map(|group| (group.table, group.verb)).collect(),
            letters: !batch.dead_letters.is_empty(),
            settled: !batch.settled.is_empty(),
        };
        match self.statement(&shape) {
            Ok(statement) => self.execute(&statement, batch),
            Err(TargetFault::Drift(reason)) => Outcome::Drift(reason),
            Err(error) => Outcome::Retry(error.to_string()),
        }
    }

    fn dead_letters(
        &mut self,
        after: StreamId,
        count_max: usize,
    ) -> Result<Vec<DeadLetter>, TargetFault> {
        let owner = self.owner.clone();
        let part = owner.partition as i32;
        let (ms, seq, limit) = (after.ms as i64, after.seq as i64, count_max as i64);
        let sql = "SELECT ms, seq, entity, document, kind, at_ms, version, image, reason, failed_ms \
                   FROM reef_dead_letters WHERE pipeline = $1 AND part = $2 AND (ms, seq) > ($3, $4) \
                   ORDER BY ms, seq LIMIT $5";
        let link = self.connected()?;
        let params: [&(dyn ToSql + Sync); 5] = [&owner.pipeline, &part, &ms, &seq, &limit];
        let rows = link.query(link.client.query(sql, &params))?;
        Ok(rows.iter().map(letter).collect())
    }

    fn partitions(&mut self) -> Result<Option<u32>, TargetFault> {
        let pipeline = self.owner.pipeline.clone();
        let link = self.connected()?;
        let sql = "SELECT parts FROM reef_offsets WHERE pipeline = $1 ORDER BY part LIMIT 1";
        let row = link.query(link.client.query_opt(sql, &[&pipeline]))?;
        Ok(row.map(|row| row.get::<_, i32>(0) as u32))
    }

    fn count_rows(&mut self, table: usize) -> Result<Option<u64>, TargetFault> {
        let Some(table) = self.tables.get(table) else { return Ok(None) };
        let sql = format!("SELECT count(*) FROM {}", quoted(&table.name));
        let link = self.connected()?;
        let row = link.query(link.client.query_one(&sql, &[]))?;
        Ok(Some(row.get::<_, i64>(0) as u64))
    }
}

fn letter(row: &Row) -> DeadLetter {
    let number = |index| row.get::<_, i64>(index);
    DeadLetter {
        event: Event {
            id: StreamId::new(number(0) as u64, number(1) as u64),
            entity: row.get(2),
            document: row.get(3),
            kind: EventKind::of(row.get(4)),
            timestamp_ms: number(5),
            version: number(6) as u64,
            image: row.get(7),
        },
        reason: row.get(8),
        failed_ms: number(9),
    }
}

/// Dead letters in columns.
#[derive(Default)]
struct Letters<'a> {
    ms: Vec<i64>,
    seq: Vec<i64>,
    entity: Vec<String>,
    document: Vec<&'a [u8]>,
    kind: Vec<&'static str>,
    at_ms: Vec<i64>,
    version: Vec<i64>,
    image: Vec<Option<&'a [u8]>>,
    reason: Vec<String>,
    failed_ms: Vec<i64>,
}

impl<'a> Letters<'a> {
    fn of(letters: &'a [DeadLetter]) -> Self {
        // Text of PostgreSQL holds everything but this.
        let text = |text: &str| text.replace('\0', "\u{fffd}");
        let mut columns = Self::default();
        for letter in letters {
            let event = &letter.event;
            columns.ms.push(event.id.ms as i64);
            columns.seq.push(event.id.seq as i64);
            columns.entity.push(text(&event.entity));
            columns.document.push(&event.document);
            columns.kind.push(event.kind.word());
            columns.at_ms.push(event.timestamp_ms);
            columns.version.push(event.version as i64);
            columns.image.push(event.image.as_deref());
            columns.reason.push(text(&letter.reason));
            columns.failed_ms.push(letter.failed_ms);
        }
        columns
    }

    fn params(&self) -> [&(dyn ToSql + Sync); 10] {
        [
            &self.ms,
            &self.seq,
            &self.entity,
            &self.document,
            &self.kind,
            &self.at_ms,
            &self.version,
            &self.image,
            &self.reason,
            &self.failed_ms,
        ]
    }
}
