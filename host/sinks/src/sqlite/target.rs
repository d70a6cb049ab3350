//! One connection to a file of SQLite. A commit is one transaction: the position with its fence
//! first, then row by row with prepared statements.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{CachedStatement, Connection, Error, ErrorCode, OptionalExtension, params};

use super::Sqlite;
use super::schema::{OWN, creation, drift, list, quoted};
use crate::coalesce::Group;
use crate::dead_letter::DeadLetter;
use crate::event::{Event, EventKind, StreamId};
use crate::moment::Moment;
use crate::plan::Verb;
use crate::status::Counts;
use crate::table::{Column, Kind, Table};
use crate::target::{Batch, Claim, Outcome, Owner, Target, TargetFault};

/// How long to wait for somebody else's transaction.
const BUSY: Duration = Duration::from_secs(10);

pub(super) struct SqliteTarget {
    options: Sqlite,
    tables: Arc<[Table]>,
    owner: Owner,
    connection: Option<Connection>,
}

impl SqliteTarget {
    pub(super) fn new(options: Sqlite, tables: Arc<[Table]>, owner: Owner) -> Self {
        Self { options, tables, owner, connection: None }
    }

    fn connected(&mut self) -> Result<&mut Connection, TargetFault> {
        if self.connection.is_none() {
            let connection = self.connect().map_err(|error| fault(&error))?;
            self.connection = Some(connection);
        }
        self.connection.as_mut().ok_or_else(|| TargetFault::Down("no connection".to_owned()))
    }

    fn connect(&self) -> Result<Connection, Error> {
        let connection = Connection::open(&self.options.path)?;
        connection.busy_timeout(BUSY)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.set_prepared_statement_cache_capacity(4 * self.tables.len() + 16);
        connection.execute_batch(OWN)?;
        if self.options.create_tables {
            for table in self.tables.iter() {
                connection.execute_batch(&creation(table))?;
            }
        }
        Ok(connection)
    }

    fn claim_now(&mut self, again: bool) -> Result<Option<Claim>, Error> {
        let owner = self.owner.clone();
        let Some(connection) = self.connection.as_mut() else { return Ok(None) };
        let whose = params![owner.pipeline, owner.partition, owner.partitions, owner.holder];
        if !again {
            connection.execute(
                "INSERT INTO reef_offsets VALUES (?1, ?2, ?3, ?4, 0, 0, 0, 0, 0, 0, 0)
                 ON CONFLICT DO NOTHING",
                whose,
            )?;
        }
        let claimed = connection.query_row(
            "UPDATE reef_offsets SET epoch = epoch + 1, holder = ?3 WHERE pipeline = ?1 AND part = ?2
             AND (?4 OR holder = ?3) RETURNING epoch, ms, seq, applied, skipped, dead, added",
            params![owner.pipeline, owner.partition, owner.holder, !again],
            |row| {
                let column = |index| row.get::<_, i64>(index).map(|value| value as u64);
                Ok(Claim {
                    epoch: column(0)?,
                    position: StreamId::new(column(1)?, column(2)?),
                    totals: Counts {
                        applied: column(3)?,
                        skipped: column(4)?,
                        dead: column(5)?,
                    },
                    added: column(6)?,
                })
            },
        );
        claimed.optional()
    }
}

impl Target for SqliteTarget {
    fn prepare(&mut self) -> Result<(), TargetFault> {
        let tables = Arc::clone(&self.tables);
        let connection = self.connected()?;
        for table in tables.iter() {
            if let Some(reason) = drift(connection, table).map_err(|error| fault(&error))? {
                // Whoever mends it may drop the table: then it is to be made again.
                self.connection = None;
                return Err(TargetFault::Drift(reason));
            }
        }
        Ok(())
    }

    fn claim(&mut self, again: bool) -> Result<Claim, TargetFault> {
        self.connected()?;
        match self.claim_now(again) {
            Ok(Some(claim)) => Ok(claim),
            Ok(None) => Err(TargetFault::Fenced),
            Err(error) => Err(fault(&error)),
        }
    }

    fn commit(&mut self, batch: &Batch<'_>) -> Outcome {
        let (tables, owner) = (Arc::clone(&self.tables), self.owner.clone());
        let connection = match self.connected() {
            Ok(connection) => connection,
            Err(error) => return Outcome::Retry(error.to_string()),
        };
        match write(connection, &tables, &owner, batch) {
            Ok(true) => match connection.execute_batch("COMMIT") {
                Ok(()) => Outcome::Committed,
                Err(error) => {
                    // It may be in the file all the same: only a new connection knows.
                    self.connection = None;
                    Outcome::Unknown(error.to_string())
                }
            },
            Ok(false) => match connection.execute_batch("ROLLBACK") {
                Ok(()) => Outcome::Fenced,
                Err(error) => Outcome::Retry(error.to_string()),
            },
            Err(error) => {
                if !connection.is_autocommit() && connection.execute_batch("ROLLBACK").is_err() {
                    self.connection = None;
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
        let owner = self.owner.clone();
        let connection = self.connected()?;
        letters(connection, &owner, after, count_max).map_err(|error| fault(&error))
    }

    fn partitions(&mut self) -> Result<Option<u32>, TargetFault> {
        let owner = self.owner.clone();
        let connection = self.connected()?;
        connection
            .query_row(
                "SELECT parts FROM reef_offsets WHERE pipeline = ?1 ORDER BY part LIMIT 1",
                [owner.pipeline],
                |row| row.get(0),
            )
            .optional()
            .map_err(|error| fault(&error))
    }

    fn count_rows(&mut self, table: usize) -> Result<Option<u64>, TargetFault> {
        let Some(table) = self.tables.get(table) else { return Ok(None) };
        let sql = format!("SELECT count(*) FROM {}", quoted(&table.name));
        let count = self.connected()?.query_row(&sql, [], |row| row.get::<_, i64>(0));
        count.map(|count| Some(count as u64)).map_err(|error| fault(&error))
    }
}

/// Writes a batch into a transaction that it begins; `false` if the partition is another's.
fn write(
    connection: &Connection,
    tables: &[Table],
    owner: &Owner,
    batch: &Batch<'_>,
) -> Result<bool, Error> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let mut fence = connection.prepare_cached(
        "UPDATE reef_offsets SET ms = ?6, seq = ?7, applied = ?8, skipped = ?9, dead = ?10, added = ?11
         WHERE pipeline = ?1 AND part = ?2 AND epoch = ?3 AND ms = ?4 AND seq = ?5",
    )?;
    let moved = fence.execute(params![
        owner.pipeline,
        owner.partition,
        batch.epoch as i64,
        batch.from.ms as i64,
        batch.from.seq as i64,
        batch.to.ms as i64,
        batch.to.seq as i64,
        batch.totals.applied as i64,
        batch.totals.skipped as i64,
        batch.totals.dead as i64,
        batch.added as i64,
    ])?;
    if moved != 1 {
        return Ok(false);
    }
    for group in batch.rows.groups() {
        write_group(connection, &tables[group.table], group)?;
    }
    for id in batch.settled {
        connection
            .prepare_cached(
                "DELETE FROM reef_dead_letters WHERE pipeline = ?1 AND ms = ?2 AND seq = ?3",
            )?
            .execute(params![owner.pipeline, id.ms as i64, id.seq as i64])?;
    }
    for letter in batch.dead_letters {
        bury(connection, owner, letter)?;
    }
    Ok(true)
}

fn write_group(connection: &Connection, table: &Table, group: &Group<'_>) -> Result<(), Error> {
    let mut statement = connection.prepare_cached(&statement_of(table, group.verb))?;
    let columns: Vec<&Column> = match group.verb {
        Verb::Delete => table.key_columns().iter().collect(),
        Verb::Upsert | Verb::Replace => table.valued().collect(),
    };
    for change in &group.changes {
        for (index, column) in columns.iter().enumerate() {
            bind(&mut statement, index + 1, column.kind, change.value(index))?;
        }
        statement.raw_execute()?;
    }
    Ok(())
}

fn statement_of(table: &Table, verb: Verb) -> String {
    let name = quoted(&table.name);
    if verb == Verb::Delete {
        let keys: Vec<String> = table
            .key_columns()
            .iter()
            .map(|column| format!("{} = ?", quoted(&column.name)))
            .collect();
        return format!("DELETE FROM {name} WHERE {}", keys.join(" AND "));
    }
    let columns = list(table.valued());
    let marks = vec!["?"; table.width()].join(", ");
    let insertion = format!("INSERT INTO {name} ({columns}) VALUES ({marks})");
    if table.key == 0 {
        return insertion;
    }
    let set: Vec<String> = table
        .columns
        .iter()
        .skip(table.key)
        .filter(|column| !column.filled || verb == Verb::Replace)
        .map(|column| format!("{0} = excluded.{0}", quoted(&column.name)))
        .collect();
    let key = list(table.key_columns().iter());
    if set.is_empty() {
        return format!("{insertion} ON CONFLICT ({key}) DO NOTHING");
    }
    format!("{insertion} ON CONFLICT ({key}) DO UPDATE SET {}", set.join(", "))
}

/// A value as its column has it. What cannot be read as one is bound as text, which a strict table
/// refuses.
fn bind(
    statement: &mut CachedStatement<'_>,
    index: usize,
    kind: Kind,
    value: Option<&[u8]>,
) -> Result<(), Error> {
    let Some(bytes) = value else {
        return statement.raw_bind_parameter(index, Option::<i64>::None);
    };
    let text = ToSqlOutput::Borrowed(ValueRef::Text(bytes));
    let number = || str::from_utf8(bytes).unwrap_or_default();
    let bound = match kind {
        Kind::Text | Kind::Json => text,
        Kind::Bytes => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
        Kind::Integer => number().parse().map_or(text, |n| ToSqlOutput::Owned(Value::Integer(n))),
        Kind::Double => number().parse().map_or(text, |n| ToSqlOutput::Owned(Value::Real(n))),
        Kind::Boolean => match bytes {
            b"true" => ToSqlOutput::Owned(Value::Integer(1)),
            b"false" => ToSqlOutput::Owned(Value::Integer(0)),
            _ => text,
        },
        Kind::Timestamp => Moment::parse(bytes)
            .map_or(text, |moment| ToSqlOutput::Owned(Value::Text(moment.sql()))),
    };
    statement.raw_bind_parameter(index, bound)
}

fn bury(connection: &Connection, owner: &Owner, letter: &DeadLetter) -> Result<(), Error> {
    let event = &letter.event;
    connection
        .prepare_cached(
            "INSERT INTO reef_dead_letters VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            owner.pipeline,
            event.id.ms as i64,
            event.id.seq as i64,
            owner.partition,
            event.entity,
            event.document,
            event.kind.word(),
            event.timestamp_ms,
            event.version as i64,
            event.image,
            letter.reason,
            letter.failed_ms,
        ])?;
    Ok(())
}

fn letters(
    connection: &Connection,
    owner: &Owner,
    after: StreamId,
    count_max: usize,
) -> Result<Vec<DeadLetter>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT ms, seq, entity, document, kind, at_ms, version, image, reason, failed_ms
         FROM reef_dead_letters WHERE pipeline = ?1 AND part = ?2 AND (ms, seq) > (?3, ?4)
         ORDER BY ms, seq LIMIT ?5",
    )?;
    let whose = params![
        owner.pipeline,
        owner.partition,
        after.ms as i64,
        after.seq as i64,
        count_max as i64
    ];
    let rows = statement.query_map(whose, |row| {
        Ok(DeadLetter {
            event: Event {
                id: StreamId::new(row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64),
                entity: row.get(2)?,
                document: row.get(3)?,
                kind: EventKind::of(&row.get::<_, String>(4)?),
                timestamp_ms: row.get(5)?,
                version: row.get::<_, i64>(6)? as u64,
                image: row.get(7)?,
            },
            reason: row.get(8)?,
            failed_ms: row.get(9)?,
        })
    })?;
    rows.collect()
}

/// Whose fault an error is.
fn outcome(error: &Error) -> Outcome {
    let text = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig) => {
            Outcome::Poison(text)
        }
        // A statement that does not fit the tables.
        Some(ErrorCode::Unknown | ErrorCode::SchemaChanged) => Outcome::Drift(text),
        _ => Outcome::Retry(text),
    }
}

fn fault(error: &Error) -> TargetFault {
    match outcome(error) {
        Outcome::Drift(text) => TargetFault::Drift(text),
        _ => TargetFault::Down(error.to_string()),
    }
}
