//! Writing a sink: a function from what happened to a document to changes of rows.
//!
//! A sink is a type that implements [`Sink`]; [`export_sink!`](crate::export_sink) makes it a
//! component. It sees one event after the other and says what becomes of each. It has no way to
//! reach anything: what it knows beside the event is its configuration.
//!
//! ```
//! use reef_sdk::sink::{Change, Changes, Column, Configuration, Kind, Sink, Table, Verdict};
//!
//! /// Keeps only which documents there are.
//! struct Ids;
//!
//! impl Sink for Ids {
//!     fn describe(config: &Configuration) -> Result<(Self, Vec<Table>), String> {
//!         let name = config.get("entity").ok_or("an entity is missing")?;
//!         Ok((Self, vec![Table::new(name, 1).column(Column::new("id", Kind::Text))]))
//!     }
//!
//!     fn transform(&mut self, change: &Change<'_>, rows: &mut Changes) -> Verdict {
//!         if change.image.is_some() { rows.upsert(0) } else { rows.delete(0) }.value(change.id);
//!         Verdict::Apply
//!     }
//! }
//!
//! reef_sdk::export_sink!(Ids);
//! # fn main() {
//! let config = Configuration::from([("entity", "people")]);
//! let (mut sink, _) = Ids::describe(&config).unwrap();
//! let mut rows = Changes::default();
//! let change = Change { id: b"ada", image: Some(b"{}"), ..Change::default() };
//! sink.transform(&change, &mut rows);
//! assert_eq!(rows.to_string(), "upsert 0 (ada)");
//! # }
//! ```

use std::collections::BTreeMap;
use std::fmt;

pub use crate::sink_bindings::exports::reef::plugin::sink::{
    Column, EventKind, Kind, Operation, Table,
};

use crate::sink_bindings::exports::reef::plugin::sink::{self, Events, Plan};

/// The length that stands for NULL.
const NULL: u32 = u32::MAX;

/// A sink's settings, from the operator's configuration.
#[derive(Clone, Debug, Default)]
pub struct Configuration(BTreeMap<String, String>);

impl Configuration {
    /// One value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Configuration {
    fn from(pairs: [(&str, &str); N]) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// What happened to a document.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// The position of the event in its stream: it grows with each event, and so is the version of
    /// the document after it.
    pub position: (u64, u64),
    /// When, in milliseconds since 1970.
    pub timestamp_ms: u64,
    /// What.
    pub kind: EventKind,
    /// The document's id.
    pub id: &'a [u8],
    /// The document after the change, JSON; none after a delete.
    pub image: Option<&'a [u8]>,
}

impl Default for Change<'_> {
    fn default() -> Self {
        Self { position: (0, 0), timestamp_ms: 0, kind: EventKind::Insert, id: b"", image: None }
    }
}

/// What becomes of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The changes that were said for it.
    Apply,
    /// Nothing.
    Skip,
    /// It cannot be applied, and why.
    Reject(String),
}

/// What makes changes of rows from changes of documents.
pub trait Sink: Sized + 'static {
    /// Reads the configuration: the sink, and the tables it fills. The error refuses the
    /// configuration and is shown to the operator.
    fn describe(config: &Configuration) -> Result<(Self, Vec<Table>), String>;

    /// Says what becomes of one event. Changes that were said before it is rejected or skipped are
    /// forgotten.
    fn transform(&mut self, change: &Change<'_>, rows: &mut Changes) -> Verdict;
}

impl Table {
    /// A table without columns yet; the first `key_columns` of them will be its key.
    pub fn new(name: impl Into<String>, key_columns: u32) -> Self {
        Self { name: name.into(), columns: Vec::new(), key_columns }
    }

    /// Adds a column.
    #[must_use]
    pub fn column(mut self, column: Column) -> Self {
        self.columns.push(column);
        self
    }
}

impl Column {
    /// A column that is never NULL.
    pub fn new(name: impl Into<String>, kind: Kind) -> Self {
        Self { name: name.into(), kind, nullable: false, insert_time: false }
    }

    /// It may be NULL.
    #[must_use]
    pub fn nullable(mut self) -> Self {
        self.nullable = true;
        self
    }

    /// The target fills it with the current time when it inserts a row; no value is said for it.
    #[must_use]
    pub fn insert_time(mut self) -> Self {
        self.insert_time = true;
        self
    }
}

/// Changes of rows, in columns.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    tables: Vec<u32>,
    operations: Vec<Operation>,
    lengths: Vec<u32>,
    data: Vec<u8>,
}

impl Changes {
    /// Adds a row to the table with this index, or replaces the one with its key.
    pub fn upsert(&mut self, table: u32) -> Row<'_> {
        self.row(table, Operation::Upsert)
    }

    /// Removes the row whose key's values follow.
    pub fn delete(&mut self, table: u32) -> Row<'_> {
        self.row(table, Operation::Delete)
    }

    fn row(&mut self, table: u32, operation: Operation) -> Row<'_> {
        self.tables.push(table);
        self.operations.push(operation);
        Row { changes: self }
    }

    /// A place to go back to.
    fn mark(&self) -> (usize, usize, usize) {
        (self.tables.len(), self.lengths.len(), self.data.len())
    }

    fn forget_since(&mut self, (rows, values, bytes): (usize, usize, usize)) {
        self.tables.truncate(rows);
        self.operations.truncate(rows);
        self.lengths.truncate(values);
        self.data.truncate(bytes);
    }
}

/// For tests: the changes one after the other, each with all values that were said up to the last one.
impl fmt::Display for Changes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each = self.lengths.len().checked_div(self.tables.len()).unwrap_or(0);
        let mut rest = self.data.as_slice();
        let mut lengths = self.lengths.iter();
        for (row, (table, operation)) in self.tables.iter().zip(&self.operations).enumerate() {
            let name = match operation {
                Operation::Upsert => "upsert",
                Operation::Delete => "delete",
            };
            let last = row + 1 == self.tables.len();
            let values: Vec<String> = lengths
                .by_ref()
                .take(if last { usize::MAX } else { each })
                .map(|length| match *length {
                    NULL => "NULL".to_owned(),
                    length => {
                        let (value, left) = rest.split_at(length as usize);
                        rest = left;
                        String::from_utf8_lossy(value).into_owned()
                    }
                })
                .collect();
            let separator = if row == 0 { "" } else { "; " };
            write!(out, "{separator}{name} {table} ({})", values.join(", "))?;
        }
        Ok(())
    }
}

/// Takes the values of one row, in the order of the table's columns.
#[derive(Debug)]
pub struct Row<'a> {
    changes: &'a mut Changes,
}

impl Row<'_> {
    /// The next value, as text.
    pub fn value(self, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref();
        let length = u32::try_from(value.len()).expect("a value fits the memory of a component");
        self.changes.lengths.push(length);
        self.changes.data.extend_from_slice(value);
        self
    }

    /// The next value is NULL.
    pub fn null(self) -> Self {
        self.changes.lengths.push(NULL);
        self
    }

    /// The next value, or NULL.
    pub fn optional(self, value: Option<impl AsRef<[u8]>>) -> Self {
        match value {
            Some(value) => self.value(value),
            None => self.null(),
        }
    }
}

/// The export `describe`.
#[doc(hidden)]
pub fn describe<S: Sink>(config: Vec<(String, String)>) -> Result<(S, Vec<Table>), String> {
    S::describe(&Configuration(config.into_iter().collect()))
}

/// The export `transform`.
#[doc(hidden)]
pub fn transform<S: Sink>(sink: &mut S, events: &Events) -> Plan {
    let mut changes = Changes::default();
    changes.data.reserve(events.ids.data.len() + events.images.data.len());
    let mut verdicts = Vec::with_capacity(events.kinds.len());
    let (mut ids, mut images) = (events.ids.data.as_slice(), events.images.data.as_slice());
    for (index, kind) in events.kinds.iter().enumerate() {
        let id = take(&mut ids, events.ids.lengths[index]);
        let image = take(&mut images, events.images.lengths[index]);
        let change = Change {
            position: (events.milliseconds[index], events.sequences[index]),
            timestamp_ms: events.timestamps[index],
            kind: *kind,
            id,
            image: (*kind != EventKind::Delete).then_some(image),
        };
        let mark = changes.mark();
        let verdict = match sink.transform(&change, &mut changes) {
            Verdict::Apply => {
                let rows = changes.tables.len() - mark.0;
                verdicts.push(sink::Verdict::Apply(rows as u32));
                continue;
            }
            Verdict::Skip => sink::Verdict::Skip,
            Verdict::Reject(reason) => sink::Verdict::Reject(reason),
        };
        changes.forget_since(mark);
        verdicts.push(verdict);
    }
    let Changes { tables, operations, lengths, data } = changes;
    Plan { verdicts, tables, operations, lengths, data }
}

/// The next item of a column.
fn take<'a>(rest: &mut &'a [u8], length: u32) -> &'a [u8] {
    let (item, left) = rest.split_at(length as usize);
    *rest = left;
    item
}

/// Makes a type that implements [`Sink`] the sink of this crate's component.
#[macro_export]
macro_rules! export_sink {
    ($sink:ident) => {
        #[cfg(target_arch = "wasm32")]
        mod component_exports {
            use std::cell::RefCell;

            use $crate::sink_bindings::exports::reef::plugin::sink;

            thread_local! {
                static SINK: RefCell<Option<super::$sink>> = const { RefCell::new(None) };
            }

            struct Exports;

            impl sink::Guest for Exports {
                fn describe(config: Vec<(String, String)>) -> Result<Vec<sink::Table>, String> {
                    let (made, tables) = $crate::sink::describe::<super::$sink>(config)?;
                    SINK.set(Some(made));
                    Ok(tables)
                }

                fn transform(events: sink::Events) -> sink::Plan {
                    SINK.with_borrow_mut(|sink| {
                        let sink = sink.as_mut().expect("the host calls describe first");
                        $crate::sink::transform(sink, &events)
                    })
                }
            }

            $crate::sink_bindings::export_sink_component!(
                Exports with_types_in $crate::sink_bindings
            );
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink_bindings::reef::plugin::types::Items;

    struct Odd;

    impl Sink for Odd {
        fn describe(_: &Configuration) -> Result<(Self, Vec<Table>), String> {
            Ok((Self, Vec::new()))
        }

        fn transform(&mut self, change: &Change<'_>, rows: &mut Changes) -> Verdict {
            rows.upsert(0).value(change.id).optional(change.image);
            match change.id {
                b"bad" => Verdict::Reject("bad".into()),
                b"none" => Verdict::Skip,
                _ => Verdict::Apply,
            }
        }
    }

    fn items(texts: &[&str]) -> Items {
        Items {
            lengths: texts.iter().map(|text| text.len() as u32).collect(),
            data: texts.concat().into_bytes(),
        }
    }

    #[test]
    fn what_was_said_for_a_rejected_event_is_forgotten() {
        use EventKind::{Delete, Insert, Update};
        let events = Events {
            milliseconds: vec![1; 4],
            sequences: vec![0, 1, 2, 3],
            timestamps: vec![1; 4],
            kinds: vec![Insert, Update, Insert, Delete],
            ids: items(&["a", "bad", "none", "b"]),
            images: items(&["{}", "{\"x\":1}", "1", ""]),
        };
        let plan = transform(&mut Odd, &events);
        let said: Vec<String> = plan.verdicts.iter().map(|one| format!("{one:?}")).collect();
        assert_eq!(
            said.join(" "),
            "Verdict::Apply(1) Verdict::Reject(\"bad\") Verdict::Skip Verdict::Apply(1)"
        );
        assert_eq!(plan.data, b"a{}b");
        assert_eq!(plan.lengths, [1, 2, 1, NULL]);
        assert_eq!(plan.tables, [0, 0]);
    }
}
