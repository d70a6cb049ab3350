//! Tables in SQLite: made strict, so that a column holds what it says, and compared with what is
//! expected.

use rusqlite::{Connection, Error};

use crate::table::{Column, Kind, Table};

/// What Reef keeps for itself.
pub(super) const OWN: &str = "
CREATE TABLE IF NOT EXISTS reef_offsets (
  pipeline TEXT NOT NULL, part INTEGER NOT NULL, parts INTEGER NOT NULL, holder TEXT NOT NULL,
  epoch INTEGER NOT NULL, ms INTEGER NOT NULL, seq INTEGER NOT NULL, applied INTEGER NOT NULL,
  skipped INTEGER NOT NULL, dead INTEGER NOT NULL, added INTEGER NOT NULL,
  PRIMARY KEY (pipeline, part)) STRICT;
CREATE TABLE IF NOT EXISTS reef_dead_letters (
  pipeline TEXT NOT NULL, ms INTEGER NOT NULL, seq INTEGER NOT NULL, part INTEGER NOT NULL,
  entity TEXT NOT NULL, document BLOB NOT NULL, kind TEXT NOT NULL, at_ms INTEGER NOT NULL,
  version INTEGER NOT NULL, image BLOB, reason TEXT NOT NULL, failed_ms INTEGER NOT NULL,
  PRIMARY KEY (pipeline, ms, seq)) STRICT;";

/// A name as part of a statement; names were checked when the table was.
pub(super) fn quoted(name: &str) -> String {
    let parts: Vec<String> = name.split('.').map(|part| format!("\"{part}\"")).collect();
    parts.join(".")
}

/// Names of columns with commas between them.
pub(super) fn list<'a>(columns: impl Iterator<Item = &'a Column>) -> String {
    columns.map(|column| quoted(&column.name)).collect::<Vec<_>>().join(", ")
}

fn type_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Text | Kind::Json | Kind::Timestamp => "TEXT",
        Kind::Bytes => "BLOB",
        Kind::Integer | Kind::Boolean => "INTEGER",
        Kind::Double => "REAL",
    }
}

/// The statement that makes a table.
pub(super) fn creation(table: &Table) -> String {
    let mut lines: Vec<String> = Vec::new();
    for column in &table.columns {
        let null = if column.nullable { "" } else { " NOT NULL" };
        let filled =
            if column.filled { " DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now'))" } else { "" };
        lines.push(format!("{} {}{null}{filled}", quoted(&column.name), type_of(column.kind)));
    }
    if table.key > 0 {
        lines.push(format!("PRIMARY KEY ({})", list(table.key_columns().iter())));
    }
    format!("CREATE TABLE IF NOT EXISTS {} ({}) STRICT", quoted(&table.name), lines.join(", "))
}

/// What is not as expected.
pub(super) fn drift(connection: &Connection, table: &Table) -> Result<Option<String>, Error> {
    let (schema, name) = table.name.split_once('.').unwrap_or(("main", &table.name));
    let mut statement =
        connection.prepare_cached("SELECT name, type FROM pragma_table_info(?1, ?2)")?;
    let rows = statement.query_map([name, schema], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let found: Vec<(String, String)> = rows.collect::<Result<_, _>>()?;
    if found.is_empty() {
        return Ok(Some(format!("there is no table '{}'", table.name)));
    }
    for column in &table.columns {
        let name = &column.name;
        let same = |(found, _): &&(String, String)| found.eq_ignore_ascii_case(name);
        let Some((_, declared)) = found.iter().find(same) else {
            return Ok(Some(format!("table '{}' has no column '{name}'", table.name)));
        };
        if !takes(declared, column.kind) {
            let (table, kind) = (&table.name, column.kind);
            return Ok(Some(format!(
                "column '{table}.{name}' is {declared}, which is not {kind:?}"
            )));
        }
    }
    Ok(None)
}

/// Whether a column that was declared like this keeps values of a kind as they are, by SQLite's
/// rules of affinity.
fn takes(declared: &str, kind: Kind) -> bool {
    let declared = declared.to_ascii_uppercase();
    let has = |words: &[&str]| words.iter().any(|word| declared.contains(word));
    if declared.is_empty() || declared == "ANY" || has(&["BLOB"]) {
        return true;
    }
    let text = has(&["CHAR", "CLOB", "TEXT"]);
    match kind {
        Kind::Integer | Kind::Boolean => !text && !has(&["REAL", "FLOA", "DOUB"]),
        Kind::Double => !text && !has(&["INT"]),
        Kind::Text | Kind::Json => text || has(&["JSON"]),
        Kind::Timestamp => text || has(&["DATE", "TIME"]),
        Kind::Bytes => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_is_as_expected() {
        let connection = Connection::open_in_memory().unwrap();
        let table = Table::payload("sessions");
        assert!(drift(&connection, &table).unwrap().unwrap().contains("no table"));
        connection.execute_batch(&creation(&table)).unwrap();
        assert_eq!(drift(&connection, &table).unwrap(), None);
        connection.execute_batch("ALTER TABLE sessions DROP COLUMN payload").unwrap();
        assert!(drift(&connection, &table).unwrap().unwrap().contains("no column 'payload'"));
        connection.execute_batch("ALTER TABLE sessions ADD COLUMN payload INTEGER").unwrap();
        assert!(drift(&connection, &table).unwrap().unwrap().contains("is INTEGER"));
    }
}
