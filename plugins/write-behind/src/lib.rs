//! Documents whose every change is an event: what a database behind Reef is filled from.
//!
//! `DOC.INSERT`, `DOC.UPDATE` and `DOC.DELETE` change the JSON document `<entity>:<id>`, add an event to
//! the stream `<prefix>:<entity>` and count it, in one batch: there is no document without its event
//! and no event without its change. An event has the fields `ts` (milliseconds since 1970), `doc_id`,
//! `event_type` (`insert`, `update`, `delete`) and, unless it is a delete, `image`: the document after
//! the change. Its id in the stream is the document's version: it grows with each change.
//!
//! Documents that other commands change are followed by triggers, if the configuration says so: see
//! [`capture`]. All settings: see [`settings`].
//!
//! | key | holds |
//! |---|---|
//! | `<entity>:<id>` | the document, JSON |
//! | `<prefix>:<entity>`, or `<prefix>:<entity>:<part>` | the events, a stream |
//! | `metrics:redis_success`, `_fail`, `_retry` | changes made, refused, tried again |
//! | `<prefix>:full:<entity>`, `<prefix>:room:<entity>` | whether writers have to wait: see [`room`] |
//!
//! Deliberately absent: anything of databases. What reads the streams does not live here.

mod capture;
mod document;
mod event;
mod id;
mod merge;
mod room;
mod settings;
mod snapshot;

use reef_sdk::Command;

const COMMANDS: &[Command] = &[
    Command::new("DOC.INSERT", document::insert)
        .usage("entity json [ID id]")
        .summary("Creates a document with its event and returns its id.")
        .complexity("O(N) where N is the size of the document")
        .since("0.1.0")
        .arity(-3)
        .write()
        .denyoom()
        .blocking(),
    Command::new("DOC.UPDATE", document::update)
        .usage("entity id merge-patch")
        .summary("Merges a patch into a document, with its event; returns 0 if there is none.")
        .complexity("O(N) where N is the size of the document")
        .since("0.1.0")
        .arity(4)
        .write()
        .denyoom()
        .blocking(),
    Command::new("DOC.DELETE", document::delete)
        .usage("entity id")
        .summary("Deletes a document, with its event; returns 0 if there is none.")
        .complexity("O(N) where N is the size of the document")
        .since("0.1.0")
        .arity(3)
        .write()
        .blocking(),
    Command::new("DOC.GET", document::get)
        .usage("entity id [id ...]")
        .summary("Returns a document, or an array of documents.")
        .complexity("O(N) where N is the size of the documents")
        .since("0.1.0")
        .arity(-3)
        .readonly(),
    Command::new("DOC.SNAPSHOT", snapshot::snapshot)
        .usage("entity [CURSOR cursor] [COUNT count]")
        .summary("Adds events for documents that are there already; returns a cursor and how many.")
        .complexity("O(N) where N is the number of keys looked at")
        .since("0.1.0")
        .arity(-2)
        .write()
        .denyoom(),
];

reef_sdk::export_plugin! {
    name: "write-behind",
    version: env!("CARGO_PKG_VERSION"),
    summary: "Documents whose every change is an event in a stream.",
    commands: COMMANDS,
    wants: &[
        "JSON.SET", "JSON.GET", "JSON.DEL", "JSON.TYPE", "HGETALL", "TYPE", "XADD", "XLEN", "INCRBY",
        "SET", "DEL", "SCAN", "~*",
    ],
    subscribe: capture::triggers,
    on_event: capture::follow,
}
