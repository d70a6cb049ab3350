//! Tables in PostgreSQL: what makes them, and what is found.

use crate::table::{Column, Kind, Table};

/// What Reef keeps for itself.
pub(super) const OWN: &str = "
CREATE TABLE IF NOT EXISTS reef_offsets (
  pipeline text NOT NULL, part integer NOT NULL, parts integer NOT NULL, holder text NOT NULL,
  epoch bigint NOT NULL, ms bigint NOT NULL, seq bigint NOT NULL, applied bigint NOT NULL,
  skipped bigint NOT NULL, dead bigint NOT NULL, added bigint NOT NULL, changed_at timestamptz,
  PRIMARY KEY (pipeline, part));
CREATE TABLE IF NOT EXISTS reef_dead_letters (
  pipeline text NOT NULL, ms bigint NOT NULL, seq bigint NOT NULL, part integer NOT NULL,
  entity text NOT NULL, document bytea NOT NULL, kind text NOT NULL, at_ms bigint NOT NULL,
  version bigint NOT NULL, image bytea, reason text NOT NULL, failed_ms bigint NOT NULL,
  PRIMARY KEY (pipeline, ms, seq))";

/// A name as part of a statement; names were checked when the table was.
pub(super) fn quoted(name: &str) -> String {
    let parts: Vec<String> = name.split('.').map(|part| format!("\"{part}\"")).collect();
    parts.join(".")
}

/// Names of columns with commas between them.
pub(super) fn list<'a>(columns: impl Iterator<Item = &'a Column>) -> String {
    columns.map(|column| quoted(&column.name)).collect::<Vec<_>>().join(", ")
}

/// The types that take values of a kind; the first is what a new table has. What would shorten a
/// value in silence is not among them.
fn types_of(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Text => &["text", "character varying", "uuid", "citext"],
        Kind::Bytes => &["bytea"],
        Kind::Integer => &["bigint", "integer", "smallint", "numeric"],
        Kind::Double => &["double precision", "real", "numeric"],
        Kind::Boolean => &["boolean"],
        Kind::Json => &["jsonb", "json", "text"],
        Kind::Timestamp => &["timestamp with time zone", "timestamp without time zone"],
    }
}

/// The statement that makes a table.
pub(super) fn creation(table: &Table) -> String {
    let mut lines: Vec<String> = Vec::new();
    for column in &table.columns {
        let null = if column.nullable { "" } else { " NOT NULL" };
        let filled = if column.filled { " DEFAULT now()" } else { "" };
        let kind = types_of(column.kind)[0];
        lines.push(format!("{} {kind}{null}{filled}", quoted(&column.name)));
    }
    if table.key > 0 {
        lines.push(format!("PRIMARY KEY ({})", list(table.key_columns().iter())));
    }
    format!("CREATE TABLE IF NOT EXISTS {} ({})", quoted(&table.name), lines.join(", "))
}

/// Names and types of a table's columns; types without their lengths, because a cast to a length
/// would cut values off in silence.
pub(super) const COLUMNS: &str = "
SELECT attname::text, format_type(atttypid, NULL)
FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped";

/// The types of a table's columns in their order, or what is not as expected.
pub(super) fn types(table: &Table, found: &[(String, String)]) -> Result<Vec<String>, String> {
    if found.is_empty() {
        return Err(format!("there is no table '{}'", table.name));
    }
    let mut types = Vec::new();
    for column in &table.columns {
        let name = &column.name;
        let Some((_, kind)) = found.iter().find(|(found, _)| found == name) else {
            return Err(format!("table '{}' has no column '{name}'", table.name));
        };
        if !types_of(column.kind).contains(&kind.as_str()) {
            let (table, wanted) = (&table.name, column.kind);
            return Err(format!("column '{table}.{name}' is {kind}, which is not {wanted:?}"));
        }
        types.push(kind.clone());
    }
    Ok(types)
}
