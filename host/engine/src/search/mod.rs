//! Full-text search: indexes over hashes and JSON documents, and the queries that use them.
//!
//! Each shard has its own [`Part`] of every index, of the documents whose keys live there; a database
//! tells it of every change in the same step (`keyspace/database.rs`), so a search never sees less, or
//! more, than the keys hold. What the indexes are ([`Schema`], [`Catalogue`]) is shared by all shards
//! and never changes in place. A query is read ([`parsing`]), made ready with what all shards know
//! ([`planning`]), matched shard by shard ([`matching`]) and scored ([`scoring`]).
//!
//! Nothing here knows RESP: the commands are in `commands/search/`.

pub mod catalogue;
mod cursors;
mod dictionary;
mod document;
mod drafting;
pub mod expression;
mod failures;
mod functions;
mod indexes;
pub mod language;
pub mod matching;
mod numbers;
pub mod parsing;
mod part;
pub mod patience;
pub mod phonetic;
pub mod planning;
mod postings;
pub mod query;
pub mod schema;
pub mod scoring;
mod source;
pub mod stemming;
mod stop_words;
pub mod tokens;
mod value;

pub use catalogue::{Catalogue, Options};
pub use cursors::{CURSORS_MAX, Column, Cursor, Cursors, Rows};
pub use document::{Document, Sizes, SortValue};
pub use failures::FieldFailures;
pub use indexes::Indexes;
pub use language::Language;
pub use numbers::{Limit, NumericRange};
pub use part::Part;
pub use schema::Schema;
pub use source::{Path, Source};
pub use stop_words::StopWords;
pub use value::{Value, shown_number};
