//! Tables in MariaDB and MySQL: what makes them, and what is found.

use crate::table::{Column, Kind, Table};

/// What Reef keeps for itself.
pub(super) const OWN: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS reef_offsets (
  pipeline VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL, part INT NOT NULL,
  parts INT NOT NULL, holder VARCHAR(64) NOT NULL, epoch BIGINT NOT NULL, ms BIGINT NOT NULL,
  seq BIGINT NOT NULL, applied BIGINT NOT NULL, skipped BIGINT NOT NULL, dead BIGINT NOT NULL,
  added BIGINT NOT NULL, PRIMARY KEY (pipeline, part)) ENGINE=InnoDB",
    "CREATE TABLE IF NOT EXISTS reef_dead_letters (
  pipeline VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL, ms BIGINT NOT NULL,
  seq BIGINT NOT NULL, part INT NOT NULL, entity LONGBLOB NOT NULL, document LONGBLOB NOT NULL,
  kind VARCHAR(16) NOT NULL, at_ms BIGINT NOT NULL, version BIGINT NOT NULL, image LONGBLOB,
  reason LONGTEXT CHARACTER SET utf8mb4 NOT NULL, failed_ms BIGINT NOT NULL,
  PRIMARY KEY (pipeline, ms, seq)) ENGINE=InnoDB",
];

/// The most bytes that all columns of a key have together in InnoDB.
const KEY_BYTES_MAX: usize = 3_072;

/// A name as part of a statement; names were checked when the table was.
pub(super) fn quoted(name: &str) -> String {
    let parts: Vec<String> = name.split('.').map(|part| format!("`{part}`")).collect();
    parts.join(".")
}

/// Names of columns with commas between them.
pub(super) fn list<'a>(columns: impl Iterator<Item = &'a Column>) -> String {
    columns.map(|column| quoted(&column.name)).collect::<Vec<_>>().join(", ")
}

/// The statement that makes a table, where `collation` compares text byte by byte.
pub(super) fn creation(table: &Table, collation: &str) -> String {
    let text = format!("CHARACTER SET utf8mb4 COLLATE {collation}");
    let mut lines: Vec<String> = Vec::new();
    for (index, column) in table.columns.iter().enumerate() {
        let share = KEY_BYTES_MAX / table.key.max(1);
        let kind = match column.kind {
            Kind::Text if index < table.key => format!("VARCHAR({}) {text}", share / 4),
            Kind::Text => format!("LONGTEXT {text}"),
            Kind::Bytes if index < table.key => format!("VARBINARY({share})"),
            Kind::Bytes => "LONGBLOB".to_owned(),
            Kind::Integer => "BIGINT".to_owned(),
            Kind::Double => "DOUBLE".to_owned(),
            Kind::Boolean => "BOOLEAN".to_owned(),
            Kind::Json => "JSON".to_owned(),
            Kind::Timestamp => "DATETIME(6)".to_owned(),
        };
        let null = if column.nullable { " NULL" } else { " NOT NULL" };
        let filled = if column.filled { " DEFAULT CURRENT_TIMESTAMP(6)" } else { "" };
        lines.push(format!("{} {kind}{null}{filled}", quoted(&column.name)));
    }
    if table.key > 0 {
        lines.push(format!("PRIMARY KEY ({})", list(table.key_columns().iter())));
    }
    let (name, lines) = (quoted(&table.name), lines.join(", "));
    format!("CREATE TABLE IF NOT EXISTS {name} ({lines}) ENGINE=InnoDB")
}

/// Names, types and collations of a table's columns.
pub(super) const COLUMNS: &str = "
SELECT CAST(column_name AS CHAR), CAST(data_type AS CHAR), CAST(collation_name AS CHAR)
FROM information_schema.columns
WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ?";

/// A column as it was found.
pub(super) type Found = (String, String, Option<String>);

/// What is not as expected.
pub(super) fn drift(table: &Table, found: &[Found]) -> Option<String> {
    if found.is_empty() {
        return Some(format!("there is no table '{}'", table.name));
    }
    for (index, column) in table.columns.iter().enumerate() {
        let name = &column.name;
        let same = |(found, ..): &&Found| found.eq_ignore_ascii_case(name);
        let Some((_, kind, collation)) = found.iter().find(same) else {
            return Some(format!("table '{}' has no column '{name}'", table.name));
        };
        if !types_of(column.kind).contains(&kind.to_ascii_lowercase().as_str()) {
            let (table, wanted) = (&table.name, column.kind);
            return Some(format!("column '{table}.{name}' is {kind}, which is not {wanted:?}"));
        }
        if index < table.key
            && let Some(collation) = collation
            && !is_exact(collation)
        {
            let table = &table.name;
            return Some(format!(
                "column '{table}.{name}' is a key with collation {collation}, which takes different \
                 ids for the same: it must be utf8mb4_nopad_bin, utf8mb4_0900_bin or VARBINARY"
            ));
        }
    }
    None
}

/// Whether a collation compares byte by byte, spaces at the end included.
fn is_exact(collation: &str) -> bool {
    collation.ends_with("_nopad_bin") || collation.ends_with("_0900_bin") || collation == "binary"
}

fn types_of(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Text => &[
            "varchar",
            "text",
            "mediumtext",
            "longtext",
            "tinytext",
            "varbinary",
            "blob",
            "mediumblob",
            "longblob",
            "uuid",
        ],
        Kind::Bytes => &["varbinary", "blob", "mediumblob", "longblob", "tinyblob"],
        Kind::Integer => &["bigint", "int", "mediumint", "smallint", "tinyint", "decimal"],
        Kind::Double => &["double", "float", "decimal"],
        Kind::Boolean => &["tinyint", "int", "smallint", "bigint"],
        Kind::Json => &["json", "longtext", "mediumtext", "text", "longblob"],
        Kind::Timestamp => &["datetime", "timestamp"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_merges_different_ids_is_refused() {
        let mut found: Vec<Found> = vec![
            ("id".into(), "varchar".into(), Some("utf8mb4_general_ci".into())),
            ("payload".into(), "longtext".into(), Some("utf8mb4_bin".into())),
            ("created_at".into(), "datetime".into(), None),
        ];
        let table = Table::payload("sessions");
        assert!(drift(&table, &found).unwrap().contains("utf8mb4_general_ci"));
        found[0].2 = Some("utf8mb4_bin".into());
        assert!(drift(&table, &found).is_some(), "it ignores spaces at the end");
        found[0].2 = Some("utf8mb4_nopad_bin".into());
        assert_eq!(drift(&table, &found), None);
        found.remove(2);
        assert!(drift(&table, &found).unwrap().contains("no column 'created_at'"));
    }
}
