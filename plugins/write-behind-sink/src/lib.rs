//! Rows of documents: the sink that every Reef carries.
//!
//! | setting | what it says |
//! |---|---|
//! | `entity` | what the documents are: `sessions` |
//! | `mapping` | `payload` (default), `columns` or `ledger` |
//! | `table` | the table's name; the entity's by default |
//! | `columns` | for `columns`: JSON, a list of `{"name", "path", "type", "nullable"}` |
//!
//! - **payload**: one row per document, `id`, the document as JSON, and when it was inserted.
//! - **columns**: one row per document, `id` and a column per path: see [`mapped`].
//! - **ledger**: one row per event, never changed: `event_id`, `event_type`, `doc_id`, `payload`.
//!
//! Deliberately absent: any decision that is not a function of the event. Order, batches, retries and
//! dead letters are the host's.

mod mapped;
mod path;
mod setting;
mod value;

use reef_sdk::sink::{
    Change, Changes, Column, Configuration, EventKind, Kind, Sink, Table, Verdict,
};

use crate::mapped::Mapped;

/// How rows are made.
pub enum RowSink {
    /// A row per document with the whole of it.
    Payload,
    /// A row per document with parts of it.
    Columns(Mapped),
    /// A row per event.
    Ledger,
}

impl Sink for RowSink {
    fn describe(config: &Configuration) -> Result<(Self, Vec<Table>), String> {
        let entity = config.get("entity").ok_or("the setting `entity` is missing")?;
        let name = config.get("table").unwrap_or(entity);
        let id = || Column::new("id", Kind::Text);
        let (sink, table) = match config.get("mapping").unwrap_or("payload") {
            "payload" => {
                let created_at = Column::new("created_at", Kind::Timestamp).insert_time();
                let payload = Column::new("payload", Kind::Json);
                (Self::Payload, Table::new(name, 1).column(id()).column(payload).column(created_at))
            }
            "columns" => {
                let text = config.get("columns").ok_or("the setting `columns` is missing")?;
                let mapped = Mapped::parse(text)?;
                let table = mapped.columns().fold(Table::new(name, 1).column(id()), Table::column);
                (Self::Columns(mapped), table)
            }
            "ledger" => {
                let columns = ["event_id", "event_type", "doc_id"];
                let columns = columns.map(|name| Column::new(name, Kind::Text));
                let table = columns.into_iter().fold(Table::new(name, 0), Table::column);
                let payload = Column::new("payload", Kind::Json).nullable();
                (Self::Ledger, table.column(payload))
            }
            other => return Err(format!("no mapping is called `{other}`")),
        };
        Ok((sink, vec![table]))
    }

    fn transform(&mut self, change: &Change<'_>, rows: &mut Changes) -> Verdict {
        match (&mut *self, change.image) {
            (Self::Ledger, image) => {
                let (milliseconds, sequence) = change.position;
                rows.upsert(0)
                    .value(format!("{milliseconds}-{sequence}"))
                    .value(word(change.kind))
                    .value(change.id)
                    .optional(image);
                Verdict::Apply
            }
            (_, None) => {
                rows.delete(0).value(change.id);
                Verdict::Apply
            }
            (Self::Payload, Some(image)) => {
                rows.upsert(0).value(change.id).value(image);
                Verdict::Apply
            }
            (Self::Columns(mapped), Some(image)) => mapped.row(change.id, image, rows),
        }
    }
}

/// An event's type, as it stands in the stream.
fn word(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Insert => "insert",
        EventKind::Update => "update",
        EventKind::Delete => "delete",
    }
}

reef_sdk::export_sink!(RowSink);

#[cfg(test)]
mod tests {
    use super::*;

    fn run(settings: &Configuration, change: &Change<'_>) -> (Verdict, String) {
        let (mut sink, _) = RowSink::describe(settings).unwrap();
        let mut rows = Changes::default();
        let verdict = sink.transform(change, &mut rows);
        (verdict, rows.to_string())
    }

    fn update<'a>(id: &'a [u8], image: &'a str) -> Change<'a> {
        let (kind, position) = (EventKind::Update, (5, 1));
        Change { id, image: Some(image.as_bytes()), kind, position, ..Change::default() }
    }

    #[test]
    fn a_document_is_a_row_with_all_of_it() {
        let settings = Configuration::from([("entity", "sessions")]);
        let (_, tables) = RowSink::describe(&settings).unwrap();
        assert_eq!((tables[0].name.as_str(), tables[0].key_columns), ("sessions", 1));
        assert_eq!(
            run(&settings, &update(b"1", "{\"a\": 1e400}")).1,
            "upsert 0 (1, {\"a\": 1e400})"
        );
        let gone = Change { id: b"1", kind: EventKind::Delete, ..Change::default() };
        assert_eq!(run(&settings, &gone).1, "delete 0 (1)");
    }

    #[test]
    fn an_event_is_a_row_of_a_ledger() {
        let settings =
            Configuration::from([("entity", "x"), ("mapping", "ledger"), ("table", "l")]);
        let (_, tables) = RowSink::describe(&settings).unwrap();
        assert_eq!((tables[0].name.as_str(), tables[0].key_columns), ("l", 0));
        assert_eq!(run(&settings, &update(b"1", "{}")).1, "upsert 0 (5-1, update, 1, {})");
        let gone = Change { id: b"1", kind: EventKind::Delete, ..Change::default() };
        assert_eq!(run(&settings, &gone).1, "upsert 0 (0-0, delete, 1, NULL)");
    }

    #[test]
    fn members_become_columns() {
        let columns = r#"[{"name": "n", "path": "$.a.b", "type": "integer"},
                          {"name": "t", "path": "t", "type": "text", "nullable": true}]"#;
        let settings =
            Configuration::from([("entity", "x"), ("mapping", "columns"), ("columns", columns)]);
        let (verdict, rows) = run(&settings, &update(b"1", r#"{"t":"\u00e9","a":{"c":0,"b":7}}"#));
        assert_eq!((verdict, rows.as_str()), (Verdict::Apply, "upsert 0 (1, 7, é)"));
        let (verdict, _) = run(&settings, &update(b"1", r#"{"a":{"b":"seven"}}"#));
        assert_eq!(verdict, Verdict::Reject("column n: \"seven\" is not of type integer".into()));
        let (verdict, _) = run(&settings, &update(b"1", r#"{"t":"x"}"#));
        assert_eq!(verdict, Verdict::Reject("column n: the document has no a.b".into()));
        let (verdict, _) = run(&settings, &update(b"1", "{"));
        assert!(matches!(verdict, Verdict::Reject(reason) if reason.starts_with("not JSON")));
    }

    #[test]
    fn what_cannot_be_understood_is_refused() {
        for (settings, reason) in [
            (Configuration::default(), "`entity` is missing"),
            (Configuration::from([("entity", "x"), ("mapping", "rows")]), "`rows`"),
            (
                Configuration::from([("entity", "x"), ("mapping", "columns")]),
                "`columns` is missing",
            ),
        ] {
            let Err(error) = RowSink::describe(&settings) else { panic!("accepted") };
            assert!(error.contains(reason), "{error}");
        }
    }
}
