//! The tables that a planner writes to, fixed before the first event.
//!
//! Names are checked here once and quoted by each driver, so nothing that comes from a document is
//! ever part of a statement.

use std::collections::HashSet;
use std::fmt;

/// A table with its columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name: letters, digits, underscores and, before the last part, the schema with a dot.
    pub name: String,
    /// Its columns; those of the key come first.
    pub columns: Vec<Column>,
    /// How many leading columns are the key. A table without a key is a ledger: every change is a
    /// row of its own, and nothing is deleted.
    pub key: usize,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name: letters, digits and underscores.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// Whether it may hold NULL.
    pub nullable: bool,
    /// The database fills it with the time of the row's insertion: changes have no value for it.
    pub filled: bool,
}

/// What a column holds. All values cross as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Text, compared byte by byte.
    Text,
    /// Any bytes, which cross as they are.
    Bytes,
    /// A whole number of 64 bits.
    Integer,
    /// A floating-point number of 64 bits.
    Double,
    /// `true` or `false`.
    Boolean,
    /// A JSON document.
    Json,
    /// A point in time: RFC 3339, or milliseconds of Unix time in digits.
    Timestamp,
}

/// Why a table cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableError(String);

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TableError {}

impl Column {
    /// A column that may not be NULL.
    pub fn new(name: &str, kind: Kind) -> Self {
        Self { name: name.to_owned(), kind, nullable: false, filled: false }
    }

    /// The same column, which may be NULL.
    pub fn nullable(mut self) -> Self {
        self.nullable = true;
        self
    }

    /// The same column, filled by the database with the time of insertion.
    pub fn filled(mut self) -> Self {
        self.filled = true;
        self.nullable = true;
        self
    }
}

impl Table {
    /// The longest name of a table or column, which all databases take.
    pub const NAME_LEN_MAX: usize = 63;
    /// The most columns of a table.
    pub const COLUMNS_MAX: usize = 500;

    /// The table of documents as they are: `id`, `payload` and `created_at`.
    pub fn payload(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            columns: vec![
                Column::new("id", Kind::Text),
                Column::new("payload", Kind::Json).nullable(),
                Column::new("created_at", Kind::Timestamp).filled(),
            ],
            key: 1,
        }
    }

    /// How many values a change of this table has: one for every column that is not filled by the
    /// database; a deletion has those of the key only.
    pub fn width(&self) -> usize {
        self.columns.iter().filter(|column| !column.filled).count()
    }

    /// The columns that changes have values for, in their order.
    pub fn valued(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| !column.filled)
    }

    /// The columns of the key.
    pub fn key_columns(&self) -> &[Column] {
        &self.columns[..self.key.min(self.columns.len())]
    }

    /// Checks names, numbers and the key.
    pub fn check(&self) -> Result<(), TableError> {
        let refuse = |text: String| Err(TableError(text));
        let parts: Vec<&str> = self.name.split('.').collect();
        if parts.len() > 2 || !parts.iter().all(|part| is_name(part)) {
            return refuse(format!("'{}' is not a name for a table", self.name));
        }
        if self.columns.is_empty() || self.columns.len() > Self::COLUMNS_MAX {
            return refuse(format!("table '{}' has {} columns", self.name, self.columns.len()));
        }
        if self.key > self.columns.len() || self.key_columns().iter().any(|column| column.filled) {
            return refuse(format!("the key of table '{}' has columns without values", self.name));
        }
        if self.key_columns().iter().any(|column| column.nullable) {
            return refuse(format!("the key of table '{}' has columns with NULL", self.name));
        }
        let mut names = HashSet::new();
        for column in &self.columns {
            if !is_name(&column.name) || !names.insert(column.name.to_ascii_lowercase()) {
                return refuse(format!("'{}.{}' cannot be a column", self.name, column.name));
            }
        }
        Ok(())
    }
}

fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && text.len() <= Table::NAME_LEN_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_documents_is_as_documented() {
        let table = Table::payload("sessions");
        assert_eq!(table.check(), Ok(()));
        assert_eq!((table.key, table.width(), table.columns.len()), (1, 2, 3));
    }

    #[test]
    fn names_that_could_be_anything_else_are_refused() {
        for name in ["", "a b", "a\"b", "a;drop", "1a", "a.b.c", "a.", "ä", &"a".repeat(64)] {
            assert!(Table::payload(name).check().is_err(), "{name}");
        }
        assert!(Table::payload("schema.table_1").check().is_ok());
        let mut table = Table::payload("t");
        table.columns[1].name = "ID".to_owned();
        assert!(table.check().is_err(), "the same name twice");
        table.columns[1].name = "p\0".to_owned();
        assert!(table.check().is_err());
    }

    #[test]
    fn a_key_must_have_values() {
        let mut table = Table::payload("t");
        table.key = 4;
        assert!(table.check().is_err());
        table.key = 2;
        assert!(table.check().is_err(), "the payload may be NULL");
        table.key = 0;
        assert!(table.check().is_ok(), "a ledger");
    }
}
