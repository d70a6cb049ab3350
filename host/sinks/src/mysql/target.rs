//! One connection to MariaDB or MySQL, driven by the thread that holds it. A commit is one
//! transaction: the position with its fence first, which keeps others out, then the rows.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Opts, OptsBuilder, Params, Row, SslOpts, Value};
use tokio::runtime::{Builder, Runtime};

use super::MySql;
use super::errors::{fault, outcome};
use super::schema::{COLUMNS, Found, OWN, creation, drift, quoted};
use super::statement::{step, text, width};
use crate::dead_letter::DeadLetter;
use crate::event::{Event, EventKind, StreamId};
use crate::moment::Moment;
use crate::plan::{ChangeRef, Verb};
use crate::server::{Tls, trusted};
use crate::status::Counts;
use crate::table::{Kind, Table};
use crate::target::{Batch, Claim, Outcome, Owner, Target, TargetFault};

const CONNECT: Duration = Duration::from_secs(10);
/// The longest that one statement may take.
const STATEMENT: Duration = Duration::from_secs(90);

/// What every connection begins with: what does not fit is an error, times are UTC, and a server that
/// has lost us must not keep locks.
const GREETING: &str = "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,\
ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', SESSION time_zone = '+00:00', \
SESSION innodb_lock_wait_timeout = 20 /*M!100300 , SESSION idle_write_transaction_timeout = 20 */";

/// How many prepared statements a connection keeps.
const STATEMENTS: usize = 64;

pub(super) struct MySqlTarget {
    options: MySql,
    tables: Arc<[Table]>,
    owner: Owner,
    link: Option<Link>,
    texts: HashMap<(usize, Verb, usize), Arc<str>>,
}

struct Link {
    runtime: Runtime,
    conn: Conn,
    /// How text is compared byte by byte here.
    collation: &'static str,
}

impl Link {
    /// Waits for an answer, but not for ever.
    fn ask<'c, R, F>(&'c mut self, question: impl FnOnce(&'c mut Conn) -> F) -> Result<R, Error>
    where
        F: Future<Output = Result<R, Error>> + 'c,
    {
        let (runtime, conn) = (&self.runtime, &mut self.conn);
        let answer = question(conn);
        let timed = async { tokio::time::timeout(STATEMENT, answer).await };
        runtime.block_on(timed).unwrap_or_else(|late| Err(Error::Other(Box::new(late))))
    }

    fn run(&mut self, sql: &str) -> Result<(), Error> {
        self.ask(|conn| conn.query_drop(sql))
    }

    fn exec(&mut self, sql: &str, params: impl Into<Params>) -> Result<u64, Error> {
        let params = params.into();
        self.ask(|conn| conn.exec_drop(sql, params))?;
        Ok(self.conn.affected_rows())
    }

    fn rows(&mut self, sql: &str, params: impl Into<Params>) -> Result<Vec<Row>, Error> {
        let params = params.into();
        self.ask(|conn| conn.exec(sql, params))
    }
}

impl MySqlTarget {
    pub(super) fn new(options: MySql, tables: Arc<[Table]>, owner: Owner) -> Self {
        Self { options, tables, owner, link: None, texts: HashMap::new() }
    }

    /// Does something with the connection, which is made if need be; one that failed is given up.
    fn with<R>(
        &mut self,
        what: impl FnOnce(&mut Link, &Owner) -> Result<R, Error>,
    ) -> Result<R, TargetFault> {
        let mut link = match self.link.take() {
            Some(link) => link,
            None => self.connect()?,
        };
        match what(&mut link, &self.owner) {
            Ok(result) => {
                self.link = Some(link);
                Ok(result)
            }
            Err(error) => Err(fault(&error)),
        }
    }

    fn opts(&self) -> Result<Opts, String> {
        let server = &self.options.server;
        let mut builder = OptsBuilder::default()
            .user(Some(&server.user))
            .pass(server.password.as_ref())
            .db_name(Some(&server.database))
            .prefer_socket(false)
            .client_found_rows(true)
            .stmt_cache_size(STATEMENTS)
            .tcp_keepalive(Some(CONNECT))
            .init(vec![GREETING]);
        builder = if server.host.starts_with('/') {
            builder.socket(Some(&server.host))
        } else {
            builder.ip_or_hostname(server.host.as_str()).tcp_port(server.port)
        };
        builder = match &server.tls {
            Tls::Off => builder,
            Tls::Unverified => builder.ssl_opts(
                SslOpts::default()
                    .with_danger_accept_invalid_certs(true)
                    .with_danger_skip_domain_validation(true),
            ),
            Tls::Verified { ca } => {
                let roots = trusted(ca.as_deref())?;
                let roots = roots.into_iter().map(|root| root.as_ref().to_vec().into()).collect();
                builder.ssl_opts(
                    SslOpts::default().with_disable_built_in_roots(true).with_root_certs(roots),
                )
            }
        };
        Ok(builder.into())
    }

    fn connect(&self) -> Result<Link, TargetFault> {
        let down = |reason: String| TargetFault::Down(reason);
        let opts = self.opts().map_err(down)?;
        let runtime =
            Builder::new_current_thread().enable_all().build().map_err(|e| down(e.to_string()))?;
        let attempt = async { tokio::time::timeout(CONNECT, Conn::new(opts)).await };
        let conn = runtime
            .block_on(attempt)
            .map_err(|_| down(format!("no connection within {CONNECT:?}")))?
            .map_err(|error| fault(&error))?;
        let mut link = Link { runtime, conn, collation: "utf8mb4_nopad_bin" };
        let greeted = || -> Result<Link, Error> {
            let version: Option<String> = link.ask(|conn| conn.query_first("SELECT VERSION()"))?;
            if !version.unwrap_or_default().contains("MariaDB") {
                link.collation = "utf8mb4_0900_bin";
            }
            let there: Option<u64> = link.ask(|conn| {
                conn.query_first(
                    "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() \
                     AND table_name IN ('reef_offsets', 'reef_dead_letters')",
                )
            })?;
            if there != Some(2) {
                for sql in OWN {
                    link.run(sql)?;
                }
            }
            Ok(link)
        };
        greeted().map_err(|error| fault(&error))
    }

    fn text(&mut self, table: usize, verb: Verb, rows: usize) -> Arc<str> {
        let made = || text(&self.tables[table], verb, rows).into();
        Arc::clone(self.texts.entry((table, verb, rows)).or_insert_with(made))
    }

    /// Writes a batch into a transaction that it begins; `false` if the partition is another's.
    fn write(&mut self, link: &mut Link, batch: &Batch<'_>) -> Result<bool, Error> {
        link.run("START TRANSACTION")?;
        if link.exec(FENCE, fence(&self.owner, batch))? != 1 {
            return Ok(false);
        }
        for group in batch.rows.groups() {
            let table = &Arc::clone(&self.tables)[group.table];
            let width = width(table, group.verb);
            let mut changes = group.changes.as_slice();
            while !changes.is_empty() {
                let (now, later) = changes.split_at(step(changes.len(), width));
                changes = later;
                let sql = self.text(group.table, group.verb, now.len());
                link.exec(&sql, values(table, width, now))?;
            }
        }
        for id in batch.settled {
            let sql = "DELETE FROM reef_dead_letters WHERE pipeline = ? AND ms = ? AND seq = ?";
            link.exec(sql, (&self.owner.pipeline, id.ms as i64, id.seq as i64))?;
        }
        for letter in batch.dead_letters {
            link.exec(BURY, burial(&self.owner, letter))?;
        }
        Ok(true)
    }
}

const FENCE: &str = "UPDATE reef_offsets SET ms = ?, seq = ?, applied = ?, skipped = ?, dead = ?, \
added = ? WHERE pipeline = ? AND part = ? AND epoch = ? AND ms = ? AND seq = ?";

fn fence(owner: &Owner, batch: &Batch<'_>) -> Params {
    let number = |number: u64| Value::Int(number as i64);
    Params::Positional(vec![
        number(batch.to.ms),
        number(batch.to.seq),
        number(batch.totals.applied),
        number(batch.totals.skipped),
        number(batch.totals.dead),
        number(batch.added),
        Value::Bytes(owner.pipeline.clone().into_bytes()),
        Value::UInt(u64::from(owner.partition)),
        number(batch.epoch),
        number(batch.from.ms),
        number(batch.from.seq),
    ])
}

const BURY: &str = "INSERT INTO reef_dead_letters (pipeline, ms, seq, part, entity, document, kind, \
at_ms, version, image, reason, failed_ms) VALUES (?,?,?,?,?,?,?,?,?,?,?,?) \
ON DUPLICATE KEY UPDATE pipeline = pipeline";

fn burial(owner: &Owner, letter: &DeadLetter) -> Params {
    let event = &letter.event;
    Params::Positional(vec![
        owner.pipeline.as_str().into(),
        Value::Int(event.id.ms as i64),
        Value::Int(event.id.seq as i64),
        Value::UInt(u64::from(owner.partition)),
        Value::Bytes(event.entity.clone().into_bytes()),
        Value::Bytes(event.document.clone()),
        event.kind.word().into(),
        Value::Int(event.timestamp_ms),
        Value::Int(event.version as i64),
        event.image.clone().map_or(Value::NULL, Value::Bytes),
        letter.reason.as_str().into(),
        Value::Int(letter.failed_ms),
    ])
}

/// All values of some changes.
fn values(table: &Table, width: usize, changes: &[ChangeRef<'_>]) -> Params {
    let kinds: Vec<Kind> = table.valued().map(|column| column.kind).take(width).collect();
    let mut values = Vec::with_capacity(width * changes.len());
    for change in changes {
        for (column, kind) in kinds.iter().enumerate() {
            values.push(change.value(column).map_or(Value::NULL, |bytes| value(*kind, bytes)));
        }
    }
    Params::Positional(values)
}

fn value(kind: Kind, bytes: &[u8]) -> Value {
    match (kind, bytes) {
        (Kind::Boolean, b"true") => Value::Int(1),
        (Kind::Boolean, b"false") => Value::Int(0),
        (Kind::Timestamp, _) => match Moment::parse(bytes) {
            Some(moment) => Value::Bytes(moment.sql().into_bytes()),
            None => Value::Bytes(bytes.to_vec()),
        },
        _ => Value::Bytes(bytes.to_vec()),
    }
}

impl Target for MySqlTarget {
    fn prepare(&mut self) -> Result<(), TargetFault> {
        let (tables, create) = (Arc::clone(&self.tables), self.options.create_tables);
        let found = self.with(|link, _| {
            for table in tables.iter() {
                let (schema, name) = match table.name.split_once('.') {
                    Some((schema, name)) => (Some(schema), name),
                    None => (None, table.name.as_str()),
                };
                let mut found: Vec<Found> = link.ask(|conn| conn.exec(COLUMNS, (schema, name)))?;
                if found.is_empty() && create {
                    let sql = creation(table, link.collation);
                    link.run(&sql)?;
                    found = link.ask(|conn| conn.exec(COLUMNS, (schema, name)))?;
                }
                if let Some(reason) = drift(table, &found) {
                    return Ok(Some(reason));
                }
            }
            Ok(None)
        })?;
        found.map_or(Ok(()), |reason| Err(TargetFault::Drift(reason)))
    }

    fn claim(&mut self, again: bool) -> Result<Claim, TargetFault> {
        let row = self.with(|link, owner| {
            let whose = (&owner.pipeline, owner.partition);
            if again {
                let sql = "UPDATE reef_offsets SET epoch = epoch + 1 WHERE pipeline = ? AND part = ? \
                           AND holder = ?";
                link.exec(sql, (&owner.pipeline, owner.partition, &owner.holder))?;
            } else {
                let sql = "INSERT INTO reef_offsets VALUES (?, ?, ?, ?, 1, 0, 0, 0, 0, 0, 0) \
                           ON DUPLICATE KEY UPDATE epoch = epoch + 1, holder = VALUES(holder)";
                let (pipeline, part) = whose;
                link.exec(sql, (pipeline, part, owner.partitions, &owner.holder))?;
            }
            let sql = "SELECT epoch, ms, seq, applied, skipped, dead, added FROM reef_offsets \
                       WHERE pipeline = ? AND part = ? AND holder = ?";
            link.rows(sql, (&owner.pipeline, owner.partition, &owner.holder))
        })?;
        let row = row.into_iter().next().ok_or(TargetFault::Fenced)?;
        let column = |index: usize| row.get::<i64, _>(index).unwrap_or_default() as u64;
        Ok(Claim {
            epoch: column(0),
            position: StreamId::new(column(1), column(2)),
            totals: Counts { applied: column(3), skipped: column(4), dead: column(5) },
            added: column(6),
        })
    }

    fn commit(&mut self, batch: &Batch<'_>) -> Outcome {
        let mut link = match self.link.take().map_or_else(|| self.connect(), Ok) {
            Ok(link) => link,
            Err(error) => return Outcome::Retry(error.to_string()),
        };
        match self.write(&mut link, batch) {
            Ok(true) => match link.run("COMMIT") {
                Ok(()) => {
                    self.link = Some(link);
                    Outcome::Committed
                }
                // It may have been carried out: only a new claim knows.
                Err(error) => Outcome::Unknown(error.to_string()),
            },
            Ok(false) => {
                self.link = link.run("ROLLBACK").is_ok().then_some(link);
                Outcome::Fenced
            }
            Err(error) => {
                if matches!(error, Error::Server(_)) && link.run("ROLLBACK").is_ok() {
                    self.link = Some(link);
                }
                outcome(&error)
            }
        }
    }

    fn dead_letters(
        &mut self,
        after: StreamId,
        count_max: usize,
    ) -> Result<Vec<DeadLetter>, TargetFault> {
        let rows = self.with(|link, owner| {
            let sql = "SELECT ms, seq, entity, document, kind, at_ms, version, image, reason, failed_ms \
                       FROM reef_dead_letters WHERE pipeline = ? AND part = ? \
                       AND (ms > ? OR (ms = ? AND seq > ?)) ORDER BY ms, seq LIMIT ?";
            let (ms, seq) = (after.ms as i64, after.seq as i64);
            let limit = count_max as u64;
            link.rows(sql, (&owner.pipeline, owner.partition, ms, ms, seq, limit))
        })?;
        Ok(rows.iter().map(letter).collect())
    }

    fn partitions(&mut self) -> Result<Option<u32>, TargetFault> {
        self.with(|link, owner| {
            let sql = "SELECT parts FROM reef_offsets WHERE pipeline = ? ORDER BY part LIMIT 1";
            link.ask(|conn| conn.exec_first(sql, (&owner.pipeline,)))
        })
    }

    fn count_rows(&mut self, table: usize) -> Result<Option<u64>, TargetFault> {
        let Some(table) = self.tables.get(table) else { return Ok(None) };
        let sql = format!("SELECT count(*) FROM {}", quoted(&table.name));
        self.with(|link, _| link.ask(|conn| conn.query_first(&sql)))
    }
}

fn letter(row: &Row) -> DeadLetter {
    let number = |index: usize| row.get::<i64, _>(index).unwrap_or_default();
    let bytes = |index: usize| row.get::<Option<Vec<u8>>, _>(index).flatten();
    let text = |index| String::from_utf8_lossy(&bytes(index).unwrap_or_default()).into_owned();
    DeadLetter {
        event: Event {
            id: StreamId::new(number(0) as u64, number(1) as u64),
            entity: text(2),
            document: bytes(3).unwrap_or_default(),
            kind: EventKind::of(&text(4)),
            timestamp_ms: number(5),
            version: number(6) as u64,
            image: bytes(7),
        },
        reason: text(8),
        failed_ms: number(9),
    }
}
