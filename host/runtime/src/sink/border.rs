//! What crosses between host and sink: `wit/sink.wit` in Rust.
//!
//! Field and case names and their order are those of the WIT file. Nothing here judges values: see
//! [`check`](super::check).

use wasmtime::component::{ComponentType, Lift, Lower};

use crate::border::ItemsOut;

/// Of what type a column is.
#[derive(ComponentType, Lift, Clone, Copy, Debug, PartialEq, Eq)]
#[component(enum)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names say it")]
pub enum SinkKind {
    #[component(name = "text")]
    Text,
    #[component(name = "bytes")]
    Bytes,
    #[component(name = "integer")]
    Integer,
    #[component(name = "double")]
    Double,
    #[component(name = "boolean")]
    Boolean,
    #[component(name = "json")]
    Json,
    #[component(name = "timestamp")]
    Timestamp,
}

/// A column of a table.
#[derive(ComponentType, Lift, Clone, Debug, PartialEq, Eq)]
#[component(record)]
pub struct SinkColumn {
    /// Its name, as the sink says it.
    pub name: String,
    /// Its type.
    pub kind: SinkKind,
    /// Whether it may be NULL.
    pub nullable: bool,
    /// Whether the target fills it when it inserts a row.
    #[component(name = "insert-time")]
    pub insert_time: bool,
}

/// A table that a sink fills.
#[derive(ComponentType, Lift, Clone, Debug, PartialEq, Eq)]
#[component(record)]
pub struct SinkTable {
    /// Its name, as the sink says it.
    pub name: String,
    /// Its columns, those of the key first.
    pub columns: Vec<SinkColumn>,
    /// How many columns make up the key; 0 for a ledger.
    #[component(name = "key-columns")]
    pub key_columns: u32,
}

/// What happened to a document.
#[derive(ComponentType, Lower, Clone, Copy, Debug, PartialEq, Eq)]
#[component(enum)]
#[repr(u8)]
pub enum SinkEventKind {
    /// It is new.
    #[component(name = "insert")]
    Insert,
    /// It has changed.
    #[component(name = "update")]
    Update,
    /// It has gone.
    #[component(name = "delete")]
    Delete,
}

/// `sink.events`.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct EventsOut<'a> {
    pub(super) milliseconds: &'a [u64],
    pub(super) sequences: &'a [u64],
    pub(super) timestamps: &'a [u64],
    pub(super) kinds: &'a [SinkEventKind],
    pub(super) ids: ItemsOut<'a>,
    pub(super) images: ItemsOut<'a>,
}

/// What becomes of one event.
#[derive(ComponentType, Lift, Clone, Debug, PartialEq, Eq)]
#[component(variant)]
pub enum SinkVerdict {
    /// This many changes of the plan.
    #[component(name = "apply")]
    Apply(u32),
    /// Nothing.
    #[component(name = "skip")]
    Skip,
    /// A dead letter, and why.
    #[component(name = "reject")]
    Reject(String),
}

/// What is done to a row.
#[derive(ComponentType, Lift, Clone, Copy, Debug, PartialEq, Eq)]
#[component(enum)]
#[repr(u8)]
pub enum SinkOperation {
    /// There is a row with this key and these values.
    #[component(name = "upsert")]
    Upsert,
    /// There is no row with this key.
    #[component(name = "delete")]
    Delete,
}

/// `sink.plan`: verdicts on all events, and the changes in columns.
#[derive(ComponentType, Lift, Clone, Debug, Default, PartialEq)]
#[component(record)]
pub struct SinkPlan {
    /// One for each event.
    pub verdicts: Vec<SinkVerdict>,
    /// The table of each change.
    pub tables: Vec<u32>,
    /// What each change does.
    pub operations: Vec<SinkOperation>,
    /// The lengths of all values; [`SinkPlan::NULL`] is NULL.
    pub lengths: Vec<u32>,
    /// The bytes of all values.
    pub data: Vec<u8>,
}

impl SinkPlan {
    /// The length that stands for NULL.
    pub const NULL: u32 = u32::MAX;
}

pub(super) type DescribeParameters<'a> = (&'a [(String, String)],);
pub(super) type DescribeResult = (Result<Vec<SinkTable>, String>,);
pub(super) type TransformParameters<'a> = (EventsOut<'a>,);
pub(super) type TransformResult = (SinkPlan,);
