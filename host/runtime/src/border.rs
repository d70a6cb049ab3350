//! The types of `wit/` as they cross the border between host and guest.
//!
//! What the guest sends is borrowed in place ([`WasmList`] is a checked pointer into its memory)
//! wherever it is used during the call; what the host sends is lowered from slices and shared
//! buffers. Field and case names and their order are those of the WIT files: the linker compares
//! them when a component is loaded, so that a slip here is an error at the first load.
//!
//! Nothing here judges values: see [`walk`](crate::walk) and [`manifest`](crate::manifest).

use std::sync::Arc;

use wasmtime::component::{ComponentType, Lift, Lower, WasmList, flags};

// Borrowed columns are read as the guest wrote them: little endian.
const _: () = assert!(cfg!(target_endian = "little"));

/// `types.items` towards the guest.
#[derive(ComponentType, Lower, Clone, Copy, Debug, Default)]
#[component(record)]
pub(crate) struct ItemsOut<'a> {
    pub(crate) lengths: &'a [u32],
    pub(crate) data: &'a [u8],
}

/// `types.items` from the guest, in place.
#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct ItemsIn {
    pub(crate) lengths: WasmList<u32>,
    pub(crate) data: WasmList<u8>,
}

/// `types.commands` from the guest, in place.
#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct CommandsIn {
    pub(crate) counts: WasmList<u32>,
    pub(crate) lengths: WasmList<u32>,
    pub(crate) data: WasmList<u8>,
}

/// `types.node`.
#[derive(ComponentType, Lift, Lower, Clone, Copy, Debug, PartialEq)]
#[component(variant)]
pub(crate) enum Node {
    #[component(name = "nil")]
    Nil,
    #[component(name = "ok")]
    Ok,
    #[component(name = "integer")]
    Integer(i64),
    #[component(name = "double")]
    Double(f64),
    #[component(name = "boolean")]
    Boolean(bool),
    #[component(name = "status")]
    Status(u32),
    #[component(name = "bulk")]
    Bulk(u32),
    #[component(name = "error")]
    Error(u32),
    #[component(name = "array")]
    Array(u32),
    #[component(name = "set")]
    Set(u32),
    #[component(name = "pairs")]
    Pairs(u32),
}

impl From<reef_resp::Node> for Node {
    #[inline]
    fn from(node: reef_resp::Node) -> Self {
        match node {
            reef_resp::Node::Nil => Self::Nil,
            reef_resp::Node::Ok => Self::Ok,
            reef_resp::Node::Integer(value) => Self::Integer(value),
            reef_resp::Node::Double(value) => Self::Double(value),
            reef_resp::Node::Boolean(value) => Self::Boolean(value),
            reef_resp::Node::Status(len) => Self::Status(len),
            reef_resp::Node::Bulk(len) => Self::Bulk(len),
            reef_resp::Node::Error(len) => Self::Error(len),
            reef_resp::Node::Array(len) => Self::Array(len),
            reef_resp::Node::Set(len) => Self::Set(len),
            reef_resp::Node::Pairs(len) => Self::Pairs(len),
        }
    }
}

/// `types.replies`, owned: a handler's reply must outlive the guest's memory, which the guest
/// frees before the call returns.
#[derive(ComponentType, Lift, Lower, Clone, Debug, Default, PartialEq)]
#[component(record)]
pub(crate) struct Replies {
    pub(crate) nodes: Vec<Node>,
    pub(crate) data: Vec<u8>,
}

/// `types.command-error`.
#[derive(ComponentType, Lift, Lower, Clone, Debug, PartialEq, Eq)]
#[component(record)]
pub(crate) struct CommandError {
    pub(crate) code: String,
    pub(crate) message: String,
}

/// `engine.error`.
#[derive(ComponentType, Lower, Clone, Debug, PartialEq, Eq)]
#[component(variant)]
pub(crate) enum EngineError {
    #[component(name = "access-denied")]
    AccessDenied(String),
    #[component(name = "invalid-command")]
    InvalidCommand((u32, CommandError)),
    #[component(name = "rolled-back")]
    RolledBack((u32, CommandError)),
    #[component(name = "batch-too-large")]
    BatchTooLarge,
    #[component(name = "out-of-memory")]
    OutOfMemory,
    #[component(name = "quota-exceeded")]
    QuotaExceeded(String),
    #[component(name = "cross-slot")]
    CrossSlot,
    #[component(name = "read-only")]
    ReadOnly(String),
    #[component(name = "other")]
    Other(String),
}

/// `engine.view`.
#[derive(ComponentType, Lower, Clone, Debug, Default)]
#[component(record)]
pub(crate) struct View {
    pub(crate) replies: Replies,
    pub(crate) versions: Vec<u64>,
}

/// `engine.on-error`.
#[derive(ComponentType, Lift, Clone, Copy, Debug)]
#[component(enum)]
#[repr(u8)]
#[expect(dead_code, reason = "cases come from guests, through derived code")]
pub(crate) enum OnError {
    #[component(name = "roll-back")]
    RollBack,
    #[component(name = "keep-going")]
    KeepGoing,
}

/// `types.guards`, in place.
#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct GuardsIn {
    pub(crate) keys: ItemsIn,
    pub(crate) versions: WasmList<u64>,
    pub(crate) absent: ItemsIn,
}

/// `engine.batch`, in place.
#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct BatchIn {
    pub(crate) guards: GuardsIn,
    pub(crate) commands: CommandsIn,
    #[component(name = "on-error")]
    pub(crate) on_error: OnError,
    #[component(name = "discard-replies")]
    pub(crate) discard_replies: bool,
}

/// `engine.outcome`.
#[derive(ComponentType, Lower, Clone, Debug)]
#[component(variant)]
pub(crate) enum BatchOutcome {
    #[component(name = "applied")]
    Applied(Arc<Replies>),
    #[component(name = "stale")]
    Stale(Vec<u32>),
}

/// `context.level`.
#[derive(ComponentType, Lift, Clone, Copy, Debug, PartialEq, Eq)]
#[component(enum)]
#[repr(u8)]
#[expect(dead_code, reason = "cases come from guests, through derived code")]
pub(crate) enum Level {
    #[component(name = "debug")]
    Debug,
    #[component(name = "info")]
    Info,
    #[component(name = "warning")]
    Warning,
    #[component(name = "error")]
    Error,
}

/// `context.client`.
#[derive(ComponentType, Lower, Clone, Debug)]
#[component(record)]
pub(crate) struct Client {
    pub(crate) id: u64,
    pub(crate) user: Arc<str>,
    pub(crate) database: u32,
}

/// `context.budget`.
#[derive(ComponentType, Lower, Clone, Copy, Debug)]
#[component(record)]
pub(crate) struct Remaining {
    #[component(name = "cpu-us")]
    pub(crate) cpu_us: u64,
    #[component(name = "host-calls")]
    pub(crate) host_calls: u32,
    pub(crate) bytes: u64,
}

flags! {
    CommandFlags {
        #[component(name = "write")]
        const WRITE;
        #[component(name = "readonly")]
        const READONLY;
        #[component(name = "fast")]
        const FAST;
        #[component(name = "blocking")]
        const BLOCKING;
        #[component(name = "denyoom")]
        const DENYOOM;
    }
}

/// `handler.command`, as the guest claims it.
#[derive(ComponentType, Lift, Clone, Debug)]
#[component(record)]
pub(crate) struct CommandClaim {
    pub(crate) name: String,
    pub(crate) usage: String,
    pub(crate) summary: String,
    pub(crate) complexity: String,
    pub(crate) since: String,
    pub(crate) arity: i32,
    pub(crate) flags: CommandFlags,
    #[component(name = "first-key")]
    pub(crate) first_key: i32,
    #[component(name = "last-key")]
    pub(crate) last_key: i32,
    #[component(name = "key-step")]
    pub(crate) key_step: i32,
}

/// `handler.manifest`, as the guest claims it.
#[derive(ComponentType, Lift, Clone, Debug)]
#[component(record)]
pub(crate) struct ManifestClaim {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) summary: String,
    pub(crate) commands: Vec<CommandClaim>,
    pub(crate) wants: Vec<String>,
}

/// `handler.cause`.
#[derive(ComponentType, Lower, Clone, Copy, Debug)]
#[component(variant)]
pub(crate) enum Cause<'a> {
    #[component(name = "invoked")]
    Invoked,
    #[component(name = "ready")]
    Ready(&'a [u8]),
    #[component(name = "timed-out")]
    TimedOut,
}

/// `types.items` from the guest, owned: see [`Replies`].
#[derive(ComponentType, Lift, Clone, Debug, Default)]
#[component(record)]
pub(crate) struct Items {
    pub(crate) lengths: Vec<u32>,
    pub(crate) data: Vec<u8>,
}

/// `handler.park`.
#[derive(ComponentType, Lift, Clone, Debug, Default)]
#[component(record)]
pub(crate) struct ParkClaim {
    pub(crate) keys: Items,
    pub(crate) deadline: u64,
}

/// `handler.outcome`.
#[derive(ComponentType, Lift)]
#[component(variant)]
pub(crate) enum HandlerOutcome {
    #[component(name = "reply")]
    Reply(Replies),
    #[component(name = "park")]
    Park(ParkClaim),
}

/// `triggers.trigger`, as the guest claims it.
#[derive(ComponentType, Lift, Clone, Debug)]
#[component(record)]
pub(crate) struct TriggerClaim {
    pub(crate) pattern: String,
    pub(crate) events: Vec<String>,
    pub(crate) durable: bool,
}

/// `triggers.event`.
#[derive(ComponentType, Lower, Clone, Copy, Debug)]
#[component(record)]
pub(crate) struct EventOut<'a> {
    pub(crate) name: &'a str,
    pub(crate) database: u32,
    pub(crate) key: &'a [u8],
    pub(crate) depth: u32,
}

/// `triggers.effects`, owned: see [`Replies`].
#[derive(ComponentType, Lift, Clone, Debug, Default)]
#[component(record)]
pub(crate) struct EffectsClaim {
    #[component(name = "guarded-lengths")]
    pub(crate) guarded_lengths: Vec<u32>,
    #[component(name = "guarded-data")]
    pub(crate) guarded_data: Vec<u8>,
    pub(crate) versions: Vec<u64>,
    #[component(name = "absent-lengths")]
    pub(crate) absent_lengths: Vec<u32>,
    #[component(name = "absent-data")]
    pub(crate) absent_data: Vec<u8>,
    pub(crate) counts: Vec<u32>,
    pub(crate) lengths: Vec<u32>,
    pub(crate) data: Vec<u8>,
}

/// The result of `triggers.subscribe`.
pub(crate) type SubscribeResult = (Result<Vec<TriggerClaim>, String>,);
/// Arguments and result of `triggers.react`.
pub(crate) type ReactParameters<'a> = (EventOut<'a>,);
/// See [`ReactParameters`].
pub(crate) type ReactResult = (Result<EffectsClaim, CommandError>,);

/// Arguments and result of `handler.call`.
pub(crate) type CallParameters<'a> = (u32, Cause<'a>, ItemsOut<'a>);
/// See [`CallParameters`].
pub(crate) type CallResult = (Result<HandlerOutcome, CommandError>,);
/// The result of `handler.describe`.
pub(crate) type DescribeResult = (Result<ManifestClaim, String>,);
