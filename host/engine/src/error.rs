//! Every error text that a client can see, and nothing else.
//!
//! Texts and codes are Redis 7's. Handlers name a variant; only this file knows the words.

use alloc::format;
use alloc::string::String;
use core::fmt;

use crate::acl::{Reason, RuleError};
use crate::command::Command;
use crate::tenancy::{Quota, UsedUp};
use crate::types::json::parse::ParseError;
use crate::types::json::path::{Expected, TooMuch};
use crate::types::json::{Kind, PathError, TooDeep};

/// Why a command was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the texts below say what each means")]
pub enum Error {
    WrongType,
    Syntax,
    NotAnInteger,
    NotAFloat,
    Overflow,
    FloatOverflow,
    /// `DECRBY` with the lowest integer.
    DecrementOverflow,
    OutOfRange(&'static str),
    /// An integer that is not between these.
    NotBetween(i64, i64),
    MustBePositive(&'static str),
    IndexOutOfRange,
    OffsetOutOfRange,
    NoSuchKey,
    /// RESTORE without REPLACE to a key that is there.
    BusyKey,
    StringTooLong,
    LcsWrongType,
    LcsIdxAndLen,
    LcsTooLarge,
    InvalidExpire(String),
    OutOfInt32,
    ExpireNxConflict,
    ExpireGtLtConflict,
    UnsupportedOption(String),
    InvalidCursor,
    InvalidDatabase,
    DatabaseOutOfRange,
    InvalidFirstDatabase,
    InvalidSecondDatabase,
    SameObject,
    /// `OBJECT FREQ` without an LFU policy.
    NoFrequency,
    /// `OBJECT IDLETIME` with an LFU policy.
    NoIdleTime,
    NoShutdown,
    ShutdownFailed,
    NotMinMaxFloat,
    NotMinMaxLex,
    NanScore,
    /// Without any input key: the command's name.
    NoInputKey(String),
    HashNotAnInteger,
    HashNotAFloat,
    UnknownCommand {
        name: String,
        arguments: String,
    },
    UnknownSubcommand {
        name: String,
        container: String,
    },
    WrongArity(String),
    NoAuth,
    WrongPass,
    NoPasswordSet,
    NoProto,
    InvalidProto,
    NestedMulti,
    ExecWithoutMulti,
    DiscardWithoutMulti,
    WatchInsideMulti,
    NotInMulti,
    ExecAbort,
    /// EXEC with arguments.
    ExecRefused,
    OutOfMemory,
    NoScriptCommand,
    DebugDisabled,
    /// An unknown word behind DEBUG, or a known one with other arguments.
    DebugSubcommand(String),
    DebugRefused,
    DebugDatabase,
    DebugThreshold,
    DebugProtocol,
    DebugPush,
    NotAListpack,
    NotAQuicklist,
    NotAHashTable,
    NotASds,
    /// A text that is already complete: `CODE message`.
    Text(&'static str),
    /// The same, made at run time.
    Owned(String),
}

impl Error {
    /// A word of REPLCONF that nobody knows.
    pub fn unknown_replconf(name: &[u8]) -> Self {
        Self::Owned(format!("ERR Unrecognized REPLCONF option: {}", String::from_utf8_lossy(name)))
    }

    /// A kind of data that cannot be wanted alone.
    pub fn unknown_filter(kind: &[u8]) -> Self {
        let kind = String::from_utf8_lossy(kind);
        Self::Owned(format!("ERR Unsupported rdb-filter-only option: {kind}"))
    }

    /// A plugin asked for a command of connections, of the server or one that waits.
    pub fn not_for_plugins(name: &str) -> Self {
        Self::Owned(format!("ERR command '{name}' cannot run inside a plugin"))
    }

    /// A plugin asked for a change where it may only read.
    pub fn write_in_read(name: &str) -> Self {
        Self::Owned(format!(
            "ERR command '{name}' writes: it belongs into a batch, not into a read"
        ))
    }

    /// There is no tenant of this name.
    pub fn unknown_tenant(name: &str) -> Self {
        Self::Owned(format!("ERR there is no tenant '{name}'"))
    }

    /// There is a tenant of this name.
    pub fn tenant_exists(name: &str) -> Self {
        Self::Owned(format!("ERR there is a tenant '{name}' already"))
    }

    /// A user has this name, so that no tenant may.
    pub fn tenant_is_user(name: &str) -> Self {
        Self::Owned(format!("ERR there is a user '{name}', so that no tenant can have this name"))
    }

    /// There are as many tenants as there may be.
    pub fn too_many_tenants(max: usize) -> Self {
        Self::Owned(format!("ERR there are {max} tenants, and there can be no more"))
    }

    /// No quota has this name.
    pub fn unknown_quota(name: &[u8]) -> Self {
        let known = Quota::ALL.map(Quota::name).join(", ");
        let name = String::from_utf8_lossy(name);
        Self::Owned(format!("ERR there is no quota '{name}': there are {known}"))
    }

    /// Not a limit of a quota.
    pub fn bad_quota(name: &str) -> Self {
        Self::Owned(format!("ERR the limit of quota '{name}' must be a number above 0, or 'none'"))
    }

    /// A quota of the tenant is used up.
    pub fn over_quota(used_up: UsedUp) -> Self {
        let code = if used_up.quota == Quota::Memory { "OOM" } else { "QUOTA" };
        Self::Owned(format!("{code} {}", over_quota_text(used_up)))
    }

    /// The arity error of a command.
    pub fn wrong_arity(command: &Command) -> Self {
        Self::WrongArity(command.full_name())
    }
}

/// That a quota of the tenant is used up, without a code.
pub fn over_quota_text(UsedUp { quota, limit }: UsedUp) -> String {
    format!("quota '{}' of this tenant is used up (limit {limit})", quota.name())
}

/// Texts of single options and arguments.
#[expect(missing_docs, reason = "the texts say what each means")]
impl Error {
    pub const NUM_KEYS: Self = Self::Text("ERR numkeys should be greater than 0");
    pub const NUM_KEYS_TOO_LARGE: Self =
        Self::Text("ERR Number of keys can't be greater than number of args");
    pub const COUNT_NOT_POSITIVE: Self = Self::Text("ERR count should be greater than 0");
    pub const COUNT_NEGATIVE: Self = Self::Text("ERR COUNT can't be negative");
    pub const MAXLEN_NEGATIVE: Self = Self::Text("ERR MAXLEN can't be negative");
    pub const LIMIT_NEGATIVE: Self = Self::Text("ERR LIMIT can't be negative");
    pub const VALUE_NOT_NEGATABLE: Self = Self::Text(
        "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
    );
    pub const RANK_ZERO: Self = Self::Text(
        "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list",
    );
    pub const NAN_OR_INFINITY: Self = Self::Text("ERR value is NaN or Infinity");
    pub const SCORE_NOT_A_FLOAT: Self =
        Self::Text("ERR One or more scores can't be converted into double");
    pub const MIGRATE_TWO_KEYS: Self = Self::Text(
        "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string",
    );
    pub const MIGRATE_UNREACHABLE: Self =
        Self::Text("IOERR error or timeout connecting to the client");
    pub const MIGRATE_NOT_SENT: Self =
        Self::Text("IOERR error or timeout writing to target instance");
    pub const MIGRATE_NOT_HEARD: Self =
        Self::Text("IOERR error or timeout reading to target instance");
    pub const MIGRATE_CHANGED: Self = Self::Text(
        "TRYAGAIN a key changed while it was on its way and stays here: the target instance has it as it was",
    );
    pub const MIGRATE_TOO_MANY: Self =
        Self::Text("TRYAGAIN keys are on their way to too many target instances");
    pub const NUMKEYS_INVALID: Self = Self::Text("ERR invalid numkeys value or out of range");
    pub const NUMFIELDS: Self = Self::Text(
        "ERR numfields should be greater than 0 and match the provided number of fields",
    );
    pub const FIELD_EXPIRE_NEGATIVE: Self = Self::Text("ERR invalid expire time, must be >= 0");
    pub const FIELDS_MISSING: Self =
        Self::Text("ERR Mandatory argument FIELDS is missing or not at the right position");
    pub const FIELDS_NOT_POSITIVE: Self =
        Self::Text("ERR Parameter `numFields` should be greater than 0");
    pub const FIELDS_NOT_A_COUNT: Self =
        Self::Text("ERR Number of fields must be a positive integer");
    pub const FIELDS_COUNT: Self =
        Self::Text("ERR The `numfields` parameter must match the number of arguments");
    pub const RESTORE_TTL: Self = Self::Text("ERR Invalid TTL value, must be >= 0");
    pub const RESTORE_IDLETIME: Self = Self::Text("ERR Invalid IDLETIME value, must be >= 0");
    pub const RESTORE_FREQ: Self = Self::Text("ERR Invalid FREQ value, must be >= 0 and <= 255");
    pub const RESTORE_FOOTER: Self = Self::Text("ERR DUMP payload version or checksum are wrong");
    pub const RESTORE_FORMAT: Self = Self::Text("ERR Bad data format");
    pub const WEIGHT_NOT_A_FLOAT: Self = Self::Text("ERR weight value is not a float");
    pub const XX_AND_NX: Self =
        Self::Text("ERR XX and NX options at the same time are not compatible");
    pub const GT_LT_AND_NX: Self =
        Self::Text("ERR GT, LT, and/or NX options at the same time are not compatible");
    pub const INCR_OF_MANY: Self =
        Self::Text("ERR INCR option supports a single increment-element pair");
    pub const LIMIT_OF_RANKS: Self = Self::Text(
        "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
    );
    pub const UNBLOCKED: Self = Self::Text("UNBLOCKED client unblocked via CLIENT UNBLOCK");
    pub const UNBLOCKED_BY_ROLE: Self = Self::Text(
        "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
    );
    pub const INVALID_PRIMARY_PORT: Self = Self::Text("ERR Invalid master port");
    pub const WAIT_ON_REPLICA: Self = Self::Text(
        "ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a replica is configured to be writable (which is not the default) writes to replicas are just local and are not propagated.",
    );
    pub const WAITAOF_ON_REPLICA: Self = Self::Text(
        "ERR WAITAOF cannot be used with replica instances. Please also note that writes to replicas are just local and are not propagated.",
    );
    pub const WAITAOF_WITHOUT_LOG: Self =
        Self::Text("ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.");
    pub const NO_PRIMARY_LINK: Self =
        Self::Text("NOMASTERLINK Can't SYNC while not connected with my master");
    pub const FAILOVER_TIMEOUT: Self = Self::Text("ERR FAILOVER timeout must be greater than 0");
    pub const FAILOVER_FORCE: Self = Self::Text(
        "ERR FAILOVER with force option requires both a timeout and target HOST and IP.",
    );
    pub const FAILOVER_RUNS: Self = Self::Text("ERR FAILOVER already in progress.");
    pub const NO_FAILOVER: Self = Self::Text("ERR No failover in progress.");
    pub const FAILOVER_ON_REPLICA: Self =
        Self::Text("ERR FAILOVER is not valid when server is a replica.");
    pub const FAILOVER_WITHOUT_REPLICAS: Self =
        Self::Text("ERR FAILOVER requires connected replicas.");
    pub const FAILOVER_TARGET: Self =
        Self::Text("ERR FAILOVER target HOST and PORT is not a replica.");
    pub const FAILOVER_TARGET_OFFLINE: Self =
        Self::Text("ERR FAILOVER target replica is not online.");
    pub const FOLLOW_WHILE_FAILOVER: Self =
        Self::Text("ERR REPLICAOF not allowed while failing over.");
    pub const FAILOVER_TO_PRIMARY: Self =
        Self::Text("ERR PSYNC FAILOVER can't be sent to a master.");
    pub const FAILOVER_ID: Self = Self::Text("ERR PSYNC FAILOVER replid must match my replid.");
    pub const NOTHING_KEPT: Self = Self::Text("ERR this server keeps nothing on disk");
    pub const SAVE_RUNS: Self = Self::Text("ERR Background save already in progress");
    pub const OTHER_SAVE_RUNS: Self = Self::Text(
        "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to schedule a BGSAVE whenever possible.",
    );
    pub const LOG_REWRITE_RUNS: Self =
        Self::Text("ERR Background append only file rewriting already in progress");
    pub const DEBUG_RELOAD: Self =
        Self::Text("ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.");
    pub const SAVE_FAILED: Self = Self::Text("ERR saving failed; the server's log says why");
    pub const RELOAD_FAILED: Self =
        Self::Text("ERR Error trying to load the RDB dump, check server logs.");
    pub const LOG_RELOAD_FAILED: Self =
        Self::Text("ERR Error trying to load the AOF files, check server logs.");
    pub const HUNG_UP: Self =
        Self::Text("ERR this connection has hung up, so it cannot wait for anything");
    pub const TIMEOUT_NOT_A_FLOAT: Self = Self::Text("ERR timeout is not a float or out of range");
    pub const TIMEOUT_NOT_AN_INTEGER: Self =
        Self::Text("ERR timeout is not an integer or out of range");
    pub const TIMEOUT_OUT_OF_RANGE: Self = Self::Text("ERR timeout is out of range");
    pub const TIMEOUT_NEGATIVE: Self = Self::Text("ERR timeout is negative");
    pub const SCORES_OF_LEX: Self =
        Self::Text("ERR syntax error, WITHSCORES not supported in combination with BYLEX");
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfRange(what) => write!(f, "ERR {what} is out of range"),
            Self::NotBetween(low, high) => {
                write!(f, "ERR value is out of range, value must between {low} and {high}")
            }
            Self::MustBePositive(what) => write!(f, "ERR {what} is out of range, must be positive"),
            Self::InvalidExpire(command) => {
                write!(f, "ERR invalid expire time in '{command}' command")
            }
            Self::UnsupportedOption(option) => write!(f, "ERR Unsupported option {option}"),
            Self::DebugSubcommand(word) => write!(
                f,
                "ERR unknown subcommand or wrong number of arguments for '{word}'. Try DEBUG HELP."
            ),
            Self::UnknownCommand { name, arguments } => {
                write!(f, "ERR unknown command '{name}', with args beginning with: {arguments}")
            }
            Self::UnknownSubcommand { name, container } => {
                write!(f, "ERR unknown subcommand '{name}'. Try {container} HELP.")
            }
            Self::NoInputKey(name) => {
                write!(f, "ERR at least 1 input key is needed for '{name}' command")
            }
            Self::WrongArity(name) => {
                write!(f, "ERR wrong number of arguments for '{name}' command")
            }
            Self::Text(text) => f.write_str(text),
            Self::Owned(text) => f.write_str(text),
            other => f.write_str(other.text()),
        }
    }
}

impl Error {
    /// The text of the variants that have only one.
    fn text(&self) -> &'static str {
        match self {
            Self::WrongType => "WRONGTYPE Operation against a key holding the wrong kind of value",
            Self::Syntax => "ERR syntax error",
            Self::NotAnInteger => "ERR value is not an integer or out of range",
            Self::NotAFloat => "ERR value is not a valid float",
            Self::Overflow => "ERR increment or decrement would overflow",
            Self::FloatOverflow => "ERR increment would produce NaN or Infinity",
            Self::DecrementOverflow => "ERR decrement would overflow",
            Self::IndexOutOfRange => "ERR index out of range",
            Self::OffsetOutOfRange => "ERR offset is out of range",
            Self::NoSuchKey => "ERR no such key",
            Self::BusyKey => "BUSYKEY Target key name already exists.",
            Self::StringTooLong => "ERR string exceeds maximum allowed size (proto-max-bulk-len)",
            Self::LcsWrongType => "ERR The specified keys must contain string values",
            Self::LcsIdxAndLen => {
                "ERR If you want both the length and indexes, please just use IDX."
            }
            Self::LcsTooLarge => {
                "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"
            }
            other => other.key_text(),
        }
    }

    /// The texts about keys, databases and collections.
    fn key_text(&self) -> &'static str {
        match self {
            Self::InvalidCursor => "ERR invalid cursor",
            Self::InvalidDatabase => "ERR invalid DB index",
            Self::DatabaseOutOfRange => "ERR DB index is out of range",
            Self::OutOfInt32 => {
                "ERR value is out of range, value must between -2147483648 and 2147483647"
            }
            Self::ExpireNxConflict => {
                "ERR NX and XX, GT or LT options at the same time are not compatible"
            }
            Self::ExpireGtLtConflict => "ERR GT and LT options at the same time are not compatible",
            Self::InvalidFirstDatabase => "ERR invalid first DB index",
            Self::InvalidSecondDatabase => "ERR invalid second DB index",
            Self::NoFrequency => {
                "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust."
            }
            Self::NoIdleTime => {
                "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust."
            }
            Self::NoShutdown => "ERR No shutdown in progress.",
            Self::ShutdownFailed => "ERR Errors trying to SHUTDOWN. Check logs.",
            Self::SameObject => "ERR source and destination objects are the same",
            Self::NotMinMaxFloat => "ERR min or max is not a float",
            Self::NotMinMaxLex => "ERR min or max not valid string range item",
            Self::NanScore => "ERR resulting score is not a number (NaN)",
            Self::HashNotAnInteger => "ERR hash value is not an integer",
            Self::HashNotAFloat => "ERR hash value is not a float",
            other => other.refusal_text(),
        }
    }

    /// The texts of the gates, of authentication and of transactions.
    fn refusal_text(&self) -> &'static str {
        match self {
            Self::NoAuth => "NOAUTH Authentication required.",
            Self::WrongPass => "WRONGPASS invalid username-password pair or user is disabled.",
            Self::NoPasswordSet => {
                "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?"
            }
            Self::NoProto => "NOPROTO unsupported protocol version",
            Self::InvalidProto => "ERR Protocol version is not an integer or out of range",
            Self::NestedMulti => "ERR MULTI calls can not be nested",
            Self::ExecWithoutMulti => "ERR EXEC without MULTI",
            Self::DiscardWithoutMulti => "ERR DISCARD without MULTI",
            Self::WatchInsideMulti => "ERR WATCH inside MULTI is not allowed",
            Self::NotInMulti => "ERR Command not allowed inside a transaction",
            Self::ExecAbort => "EXECABORT Transaction discarded because of previous errors.",
            Self::ExecRefused => {
                "EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command"
            }
            Self::OutOfMemory => "OOM command not allowed when used memory > 'maxmemory'.",
            Self::NoScriptCommand => "ERR This Redis command is not allowed from script",
            Self::DebugDisabled => {
                "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it from a local connection, otherwise you need to set this option in the configuration file, and then restart the server."
            }
            other => other.debug_text(),
        }
    }

    /// The texts of DEBUG.
    fn debug_text(&self) -> &'static str {
        match self {
            Self::DebugRefused => "ERR this server does not harm itself on request",
            Self::DebugDatabase => "ERR Out of range database",
            Self::DebugThreshold => {
                "ERR argument must be a memory value bigger than 1 and smaller than 4gb"
            }
            Self::DebugProtocol => {
                "ERR Wrong protocol type name. Please use one of the following: string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false"
            }
            Self::DebugPush => "ERR RESP2 is not supported by this command",
            Self::NotAListpack => "ERR Not a listpack encoded object.",
            Self::NotAQuicklist => "ERR Not a quicklist encoded object.",
            Self::NotAHashTable => {
                "ERR The value stored at the specified key is not represented using an hash table"
            }
            Self::NotASds => "ERR Not an sds encoded string.",
            _ => "ERR",
        }
    }
}

impl core::error::Error for Error {}

/// Texts of the streams' commands.
#[expect(missing_docs, reason = "the texts say what each means")]
impl Error {
    pub const INVALID_STREAM_ID: Self =
        Self::Text("ERR Invalid stream ID specified as stream command argument");
    pub const INVALID_RANGE_START: Self = Self::Text("ERR invalid start ID for the interval");
    pub const INVALID_RANGE_END: Self = Self::Text("ERR invalid end ID for the interval");
    pub const TRIM_TWICE: Self = Self::Text(
        "ERR syntax error, MAXLEN and MINID options at the same time are not compatible",
    );
    pub const TRIM_MAXLEN_NEGATIVE: Self = Self::Text("ERR The MAXLEN argument must be >= 0.");
    pub const TRIM_LIMIT_NEGATIVE: Self = Self::Text("ERR The LIMIT argument must be >= 0.");
    pub const TRIM_LIMIT_ALONE: Self =
        Self::Text("ERR syntax error, LIMIT cannot be used without specifying a trimming strategy");
    pub const TRIM_LIMIT_EXACT: Self =
        Self::Text("ERR syntax error, LIMIT cannot be used without the special ~ option");
    pub const TRIM_MISSING: Self =
        Self::Text("ERR syntax error, XTRIM must be called with a trimming strategy");
    pub const STREAM_ID_ZERO: Self =
        Self::Text("ERR The ID specified in XADD must be greater than 0-0");
    pub const STREAM_ID_NOT_ABOVE: Self = Self::Text(
        "ERR The ID specified in XADD is equal or smaller than the target stream top item",
    );
    pub const STREAM_EXHAUSTED: Self =
        Self::Text("ERR The stream has exhausted the last possible ID, unable to add more items");
    pub const STREAM_ENTRY_TOO_LARGE: Self = Self::Text("ERR Elements are too large to be stored");
    pub const ENTRIES_ADDED_NEGATIVE: Self = Self::Text("ERR entries_added must be positive");
    pub const SET_ID_BELOW_GIVEN_DELETED: Self = Self::Text(
        "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
    );
    pub const SET_ID_BELOW_DELETED: Self =
        Self::Text("ERR The ID specified in XSETID is smaller than current max_deleted_entry_id");
    pub const SET_ID_BELOW_LAST: Self =
        Self::Text("ERR The ID specified in XSETID is smaller than the target stream top item");
    pub const ENTRIES_ADDED_BELOW_LEN: Self = Self::Text(
        "ERR The entries_added specified in XSETID is smaller than the target stream length",
    );
    pub const GROUP_OPTION_OF_XREAD: Self = Self::Text(
        "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.",
    );
    pub const NOACK_OPTION_OF_XREAD: Self = Self::Text(
        "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.",
    );
    pub const GROUP_OPTION_MISSING: Self = Self::Text("ERR Missing GROUP option for XREADGROUP");
    pub const NEW_ID_OF_XREAD: Self = Self::Text(
        "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.",
    );
    pub const LAST_ENTRY_OF_XREADGROUP: Self = Self::Text(
        "ERR The + ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a proper ID, or use the > ID to get new messages. The + ID would just return an empty result set.",
    );
    pub const LAST_ID_OF_XREADGROUP: Self = Self::Text(
        "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty result set.",
    );
    pub const ENTRIES_READ_NEGATIVE: Self =
        Self::Text("ERR value for ENTRIESREAD must be positive or -1");
    pub const GROUP_NEEDS_KEY: Self = Self::Text(
        "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.",
    );
    pub const GROUP_EXISTS: Self = Self::Text("BUSYGROUP Consumer Group name already exists");
    pub const MIN_IDLE_OF_XCLAIM: Self =
        Self::Text("ERR Invalid min-idle-time argument for XCLAIM");
    pub const MIN_IDLE_OF_XAUTOCLAIM: Self =
        Self::Text("ERR Invalid min-idle-time argument for XAUTOCLAIM");
    pub const IDLE_OF_XCLAIM: Self = Self::Text("ERR Invalid IDLE option argument for XCLAIM");
    pub const TIME_OF_XCLAIM: Self = Self::Text("ERR Invalid TIME option argument for XCLAIM");
    pub const RETRYCOUNT_OF_XCLAIM: Self =
        Self::Text("ERR Invalid RETRYCOUNT option argument for XCLAIM");
    pub const COUNT_OF_XAUTOCLAIM: Self = Self::Text("ERR COUNT must be > 0");

    /// `symbol` is the word that may stand for an id.
    pub fn unbalanced_streams(command: &str, symbol: char) -> Self {
        Self::Owned(alloc::format!(
            "ERR Unbalanced '{command}' list of streams: for each stream key an ID or '{symbol}' must be specified."
        ))
    }

    pub fn no_key_or_group(key: &[u8], group: &[u8]) -> Self {
        let (key, group) = (shown(key), shown(group));
        Self::Owned(alloc::format!("NOGROUP No such key '{key}' or consumer group '{group}'"))
    }

    pub fn no_key_or_group_to_read(key: &[u8], group: &[u8]) -> Self {
        Self::Owned(alloc::format!(
            "{} in XREADGROUP with GROUP option",
            Self::no_key_or_group(key, group)
        ))
    }

    pub fn no_group(key: &[u8], group: &[u8]) -> Self {
        let (key, group) = (shown(key), shown(group));
        Self::Owned(alloc::format!("NOGROUP No such consumer group '{group}' for key name '{key}'"))
    }

    pub fn unrecognized_claim_option(option: &[u8]) -> Self {
        Self::with("ERR Unrecognized XCLAIM option '", option, "'")
    }
}

/// What a client sent, as a text shows it: at most the first 128 bytes of it.
fn shown(sent: &[u8]) -> alloc::borrow::Cow<'_, str> {
    const SHOWN_BYTES_MAX: usize = 128;
    String::from_utf8_lossy(&sent[..sent.len().min(SHOWN_BYTES_MAX)])
}

/// Texts of CLIENT, COMMAND and the commands that Reef leaves to plugins.
#[expect(missing_docs, reason = "the texts say what each means")]
impl Error {
    pub const NO_REPLICAS: Self = Self::Text("NOREPLICAS Not enough good replicas to write.");
    pub const TRIGGERS_BEHIND: Self =
        Self::Text("BUSY A plugin that is triggered by changes is too far behind.");
    pub const READONLY_REPLICA: Self =
        Self::Text("READONLY You can't write against a read only replica.");
    pub const MASTER_DOWN: Self = Self::Text(
        "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    );
    pub const LOADING: Self = Self::Text("LOADING Redis is loading the dataset in memory");
    pub const SNAPSHOTS_FAIL: Self = Self::Text(
        "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that may modify the data set are disabled, because this instance is configured to report errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB error.",
    );
    pub const NO_CONFIG_FILE: Self = Self::Text("ERR The server is running without a config file");
    pub const EXEC_NO_AUTH: Self =
        Self::Text("EXECABORT Transaction discarded because of: NOAUTH Authentication required.");
    pub const MONITOR_IN_TRANSACTION: Self =
        Self::Text("ERR MONITOR isn't allowed for DENY BLOCKING client");
    pub const INVALID_CLIENT_ID: Self = Self::Text("ERR Invalid client ID");
    pub const CLIENT_ID_NOT_POSITIVE: Self = Self::Text("ERR client-id should be greater than 0");
    pub const NO_SUCH_CLIENT: Self = Self::Text("ERR No such client");
    pub const MAXAGE_NOT_AN_INTEGER: Self =
        Self::Text("ERR maxage is not an integer or out of range");
    pub const NOVALUES_OF_OTHERS: Self =
        Self::Text("ERR NOVALUES option can only be used in HSCAN");
    pub const NOSCORES_OF_OTHERS: Self =
        Self::Text("ERR NOSCORES option can only be used in ZSCAN");
    pub const COMMANDLOG_TYPE: Self =
        Self::Text("ERR type should be one of the following: slow, large-request, large-reply");
    pub const IDLE_NOT_POSITIVE: Self = Self::Text("ERR idle should be greater than 0");
    pub const IDLE_NOT_AN_INTEGER: Self = Self::Text("ERR idle is not an integer or out of range");
    pub const DB_NOT_AN_INTEGER: Self = Self::Text("ERR DB is not an integer or out of range");
    pub const NOT_DB_NOT_AN_INTEGER: Self =
        Self::Text("ERR NOT-DB is not an integer or out of range");
    pub const MAXAGE_NOT_POSITIVE: Self = Self::Text("ERR maxage should be greater than 0");
    pub const UNBLOCK_REASON: Self =
        Self::Text("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
    pub const HELLO_NO_AUTH: Self = Self::Text(
        "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time",
    );
    pub const ONE_REDIRECTION: Self =
        Self::Text("ERR A client can only redirect to a single other client");
    pub const NO_REDIRECTION_TARGET: Self =
        Self::Text("ERR The client ID you want redirect to does not exist");
    pub const PREFIX_WITHOUT_BROADCAST: Self =
        Self::Text("ERR PREFIX option requires BCAST mode to be enabled");
    pub const BROADCAST_SWITCHED: Self = Self::Text(
        "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it with a different mode.",
    );
    pub const OPTIONS_OF_BROADCAST: Self =
        Self::Text("ERR OPTIN and OPTOUT are not compatible with BCAST");
    pub const OPT_IN_AND_OUT: Self =
        Self::Text("ERR You can't specify both OPTIN mode and OPTOUT mode");
    pub const OPTION_SWITCHED: Self = Self::Text(
        "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it with a different mode.",
    );
    pub const CACHING_WITHOUT_OPTION: Self = Self::Text(
        "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled",
    );
    pub const CACHING_YES: Self =
        Self::Text("ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.");
    pub const CACHING_NO: Self =
        Self::Text("ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.");
    pub const EVENT_CLASS: &'static str = "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.";
    pub const PAUSE_MODE: Self = Self::Text("ERR CLIENT PAUSE mode must be WRITE or ALL");
    pub const SLOWLOG_COUNT: Self = Self::Text("ERR count should be greater than or equal to -1");
    pub const INVALID_COMMAND: Self = Self::Text("ERR Invalid command specified");
    pub const NO_KEY_ARGUMENTS: Self = Self::Text("ERR The command has no key arguments");
    pub const INVALID_ARGUMENT_COUNT: Self =
        Self::Text("ERR Invalid number of arguments specified for command");
    pub const INVALID_ARGUMENTS: Self = Self::Text("ERR Invalid arguments specified for command");
    pub const NO_SCRIPTING: Self =
        Self::Text("ERR Lua scripting is not available: write a plugin instead (PLUGIN HELP)");
    pub const NO_MODULES: Self =
        Self::Text("ERR native modules are not available: load a plugin instead (PLUGIN HELP)");
    pub const NO_CLUSTER: Self = Self::Text("ERR This instance has cluster support disabled");
    pub const SCRIPT_FLUSH_MODE: Self =
        Self::Text("ERR SCRIPT FLUSH only support SYNC|ASYNC option");
    pub const FUNCTION_FLUSH_MODE: Self =
        Self::Text("ERR FUNCTION FLUSH only supports SYNC|ASYNC option");
    pub const PORT_TAKEN: Self = Self::Text(
        "ERR CONFIG SET failed (possibly related to argument 'port') - Unable to listen on this port. Check server logs.",
    );
    pub const ADDRESS_TAKEN: Self = Self::Text(
        "ERR CONFIG SET failed (possibly related to argument 'bind') - Failed to bind to specified addresses.",
    );
    pub const NOT_BUSY: Self = Self::Text("NOTBUSY No scripts in execution right now.");
    pub const NO_LIBRARY_NAME: Self = Self::Text("ERR library name argument was not given");

    pub fn unknown_argument(word: &[u8]) -> Self {
        Self::with("ERR Unknown argument ", word, "")
    }

    pub fn unknown_directive(name: &[u8]) -> Self {
        Self::with("ERR Unknown option or number of arguments for CONFIG SET - '", name, "'")
    }

    pub fn directive_refused(name: &[u8], reason: &str) -> Self {
        let tail = alloc::format!("') - {reason}");
        Self::with("ERR CONFIG SET failed (possibly related to argument '", name, &tail)
    }

    pub fn target_replied(text: &[u8]) -> Self {
        Self::with("ERR Target instance replied with error: ", text, "")
    }

    pub fn configuration_refused(reason: impl fmt::Display) -> Self {
        Self::Owned(alloc::format!("ERR CONFIG SET failed - {reason}"))
    }

    pub fn unknown_flags(letters: &[u8], wanted: bool) -> Self {
        let place = if wanted { "provided" } else { "NOT-FLAGS" };
        Self::with(&alloc::format!("ERR Unknown flags found in the {place} filter: "), letters, "")
    }

    pub fn no_such_number(what: &str, databases: u32) -> Self {
        let last = databases - 1;
        Self::Owned(alloc::format!("ERR {what} number should be between 0 and {last}"))
    }

    pub fn unknown_client_type(word: &[u8]) -> Self {
        Self::with("ERR Unknown client type '", word, "'")
    }

    pub fn no_latency_samples(event: &[u8]) -> Self {
        Self::with("ERR No samples available for event '", event, "'")
    }

    pub fn no_such_user(name: &[u8]) -> Self {
        Self::with("ERR No such user '", name, "'")
    }

    pub fn unrecognized_option(option: &[u8]) -> Self {
        Self::with("ERR Unrecognized option '", option, "'")
    }

    pub fn hello_option(option: &[u8]) -> Self {
        Self::with("ERR Syntax error in HELLO option '", option, "'")
    }

    /// `what` is the name of a label that is not one printable word.
    pub fn not_a_label(what: &[u8]) -> Self {
        Self::with("ERR ", what, " cannot contain spaces, newlines or special characters.")
    }

    /// A command that would mix its reply into the messages of subscriptions.
    pub fn subscribed_only(command: &Command) -> Self {
        Self::Owned(alloc::format!(
            "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
            command.full_name()
        ))
    }

    /// Two prefixes of which one begins with the other.
    pub fn prefix_overlap(prefix: &[u8], other: &[u8], exists: bool) -> Self {
        let text = String::from_utf8_lossy;
        let which = if exists { "an existing" } else { "another provided" };
        Self::Owned(alloc::format!(
            "ERR Prefix '{}' overlaps with {which} prefix '{}'. Prefixes for a single client must not overlap.",
            text(prefix),
            text(other)
        ))
    }

    /// A sub-command with arguments that it does not take.
    pub fn subcommand_syntax(subcommand: &[u8], container: &str) -> Self {
        let tail = alloc::format!("'. Try {container} HELP.");
        Self::with("ERR unknown subcommand or wrong number of arguments for '", subcommand, &tail)
    }

    /// What a client sent, between two texts.
    fn with(before: &str, sent: &[u8], behind: &str) -> Self {
        let sent = shown(sent);
        Self::Owned(alloc::format!("{before}{sent}{behind}"))
    }
}

/// Texts of bits, HyperLogLogs and places.
#[expect(missing_docs, reason = "the texts say what each means")]
impl Error {
    pub const BIT_OFFSET: Self = Self::Text("ERR bit offset is not an integer or out of range");
    pub const BIT_VALUE: Self = Self::Text("ERR bit is not an integer or out of range");
    pub const BIT_ARGUMENT: Self = Self::Text("ERR The bit argument must be 1 or 0.");
    pub const BITOP_NOT: Self =
        Self::Text("ERR BITOP NOT must be called with a single source key.");
    pub const OVERFLOW_TYPE: Self = Self::Text("ERR Invalid OVERFLOW type specified");
    pub const FIELD_TYPE: Self = Self::Text(
        "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.",
    );
    pub const BITFIELD_RO: Self = Self::Text("ERR BITFIELD_RO only supports the GET subcommand");
    pub const NOT_A_HYPERLOGLOG: Self =
        Self::Text("WRONGTYPE Key is not a valid HyperLogLog string value.");
    pub const CORRUPTED_HYPERLOGLOG: Self = Self::Text("INVALIDOBJ Corrupted HLL object detected");
    pub const NO_SUCH_HYPERLOGLOG: Self = Self::Text("ERR The specified key does not exist");
    pub const HYPERLOGLOG_NOT_SPARSE: Self = Self::Text("ERR HLL encoding is not sparse");
    pub const SELFTEST_NOT_SPARSE: Self = Self::Text("ERR TESTFAILED sparse encoding not used");
    pub const SELFTEST_DISAGREE: Self = Self::Text("ERR TESTFAILED dense/sparse disagree");
    pub const NOT_A_RADIUS: Self = Self::Text("ERR need numeric radius");
    pub const RADIUS_NEGATIVE: Self = Self::Text("ERR radius cannot be negative");
    pub const NOT_A_WIDTH: Self = Self::Text("ERR need numeric width");
    pub const NOT_A_HEIGHT: Self = Self::Text("ERR need numeric height");
    pub const BOX_NEGATIVE: Self = Self::Text("ERR height or width cannot be negative");
    pub const DISTANCE_UNIT: Self =
        Self::Text("ERR unsupported unit provided. please use M, KM, FT, MI");
    pub const NO_SUCH_PLACE: Self = Self::Text("ERR could not decode requested zset member");
    pub const GEO_COUNT: Self = Self::Text("ERR COUNT must be > 0");
    pub const GEO_ANY: Self = Self::Text("ERR the ANY argument requires COUNT argument");

    pub fn unknown_pfdebug(word: &[u8]) -> Self {
        Self::with("ERR Unknown PFDEBUG subcommand '", word, "'")
    }

    pub fn selftest_error(count: u64, error: u64) -> Self {
        Self::Owned(alloc::format!("ERR TESTFAILED Too big error. card:{count} abserr:{error}"))
    }

    pub fn not_a_position(longitude: f64, latitude: f64) -> Self {
        Self::Owned(alloc::format!(
            "ERR invalid longitude,latitude pair {longitude:.6},{latitude:.6}"
        ))
    }

    /// `what` stores its result, so nothing can be shown beside members.
    pub fn stores_only(what: &str) -> Self {
        Self::Owned(alloc::format!(
            "ERR {what} is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
        ))
    }

    /// `which` options exclude each other, and one of them must be given.
    pub fn exactly_one_of(which: &str, command: &[u8]) -> Self {
        Self::with(&alloc::format!("ERR exactly one of {which} can be specified for "), command, "")
    }
}

/// Texts of JSON documents, which are RedisJSON's; those without a code are so there, too.
#[expect(missing_docs, reason = "the texts say what each means")]
impl Error {
    pub const JSON_WRONG_KEY: Self = Self::Text("Existing key has wrong Redis type");
    pub const JSON_NO_KEY: Self =
        Self::Text("ERR could not perform this operation on a key that doesn't exist");
    pub const JSON_NOT_TEXT: Self = Self::Text("Couldn't parse as UTF-8 string");
    pub const JSON_NOT_AN_INTEGER: Self = Self::Text("Couldn't parse as integer");
    pub const JSON_NEW_AT_ROOT: Self = Self::Text("ERR new objects must be created at the root");
    pub const JSON_STATIC_PATH: Self = Self::Text("Err wrong static path");
    pub const JSON_INDEX: Self = Self::Text("ERR array index out of range");
    pub const JSON_BOUNDS: Self = Self::Text("ERR index out of bounds");
    pub const JSON_FORMAT: Self = Self::Text("ERR wrong format");
    pub const JSON_FLOAT_TYPE: Self = Self::Text("ERR invalid FPHA type");
    pub const JSON_OUT_OF_RANGE: Self = Self::Text("ERR value out of range");
    pub const JSON_REPLY_FORMAT: Self = Self::Text("ERR wrong reply format");
    pub const JSON_FORMAT_RESP2: Self = Self::Text("ERR FORMAT argument is not supported on RESP2");
    pub const JSON_FORMAT_LEGACY: Self =
        Self::Text("Legacy paths are supported only with FORMAT STRINGS");
    pub const JSON_BAD_NUMBER: Self = Self::Text("bad input number");
    pub const JSON_NOT_A_NUMBER: Self = Self::Text("result is not a number");
    pub const JSON_OVERFLOW: Self = Self::Text("ERR numeric overflow");
    pub const JSON_PATH_DEPTH: Self = Self::Text("ERR filters of a path nest too deep");
    pub const JSON_PATH_WORK: Self = Self::Text("ERR a path leads to too many places");

    /// Text that is no value where RedisJSON says so with a code.
    pub fn json_argument(error: ParseError) -> Self {
        Self::Owned(alloc::format!("ERR {}", error.0))
    }

    pub fn no_json_path(path: &str) -> Self {
        Self::Owned(alloc::format!("ERR Path '{path}' does not exist"))
    }

    /// `or` says what else is the matter: "not an array".
    pub fn no_json_path_or(path: &str, or: &str) -> Self {
        Self::Owned(alloc::format!("ERR Path '{path}' does not exist or {or}"))
    }

    pub fn json_kind(expected: &str, found: Kind) -> Self {
        Self::json_found(expected, found.name())
    }

    /// `found` is a kind, or a text that is not of the expected one.
    pub fn json_found(expected: &str, found: &str) -> Self {
        Self::Owned(alloc::format!(
            "WRONGTYPE wrong type of path value - expected {expected} but found {found}"
        ))
    }
}

impl From<ParseError> for Error {
    fn from(error: ParseError) -> Self {
        Self::Owned(error.0)
    }
}

impl From<TooDeep> for Error {
    fn from(_: TooDeep) -> Self {
        Self::Text("ERR recursion limit exceeded")
    }
}

impl From<TooMuch> for Error {
    fn from(_: TooMuch) -> Self {
        Self::JSON_PATH_WORK
    }
}

impl From<PathError> for Error {
    fn from(error: PathError) -> Self {
        let (path, position, expected) = match error {
            PathError::NotText => return Self::JSON_NOT_TEXT,
            PathError::TooDeep => return Self::JSON_PATH_DEPTH,
            PathError::Unexpected { path, position, expected } => (path, position, expected),
        };
        let (before, behind) = path.split_at_checked(position).unwrap_or((&path, ""));
        let mark = if behind.is_empty() { " <<<<----" } else { " ---->>>> " };
        Self::Owned(alloc::format!(
            "Error occurred on position {position}, \"{before}{mark}{behind}\", expected one of the following: {}.",
            expected.text()
        ))
    }
}

impl Expected {
    fn text(self) -> &'static str {
        match self {
            Self::Name => "<string>, '*'",
            Self::Bracket => "'<string>[,<string>,...]', '<number>', ['start:end:steps'], '*'",
            Self::BracketAfterNumber => "['start:end:steps']",
            Self::BracketAfterName => "'<number>', ['start:end:steps']",
            Self::BracketAfterStar => "'<string>[,<string>,...]', '<number>', ['start:end:steps']",
            Self::Number => "'<number>'",
            Self::PositiveNumber => "pos_number",
            Self::Start => "EOI, root",
            Self::Step => "EOI, '..'",
            Self::Test => "single_filter",
            Self::Term => "decimal, from_current, from_root, boolean_true, boolean_false, null",
            Self::Operator => "ge, gt, le, lt, eq, ne, re, and, or",
            Self::OperatorOrStart => "ge, gt, le, lt, eq, ne, re, and, or, root",
            Self::OperatorOrStep => "ge, gt, le, lt, eq, ne, re, and, or, '..'",
            Self::Relation => "and, or",
            Self::RelationOrStart => "and, or, root",
            Self::RelationOrStep => "and, or, '..'",
        }
    }
}

/// Texts of users and permissions.
#[expect(missing_docs, reason = "the texts say what each means")]
impl Error {
    pub const USER_NAME: Self = Self::Text("ERR Usernames can't contain spaces or null characters");
    pub const DEFAULT_USER_STAYS: Self = Self::Text("ERR The 'default' user cannot be removed");
    pub const NO_KEY_PERMISSION: Self = Self::Text("NOPERM No permissions to access a key");
    pub const NO_CHANNEL_PERMISSION: Self = Self::Text("NOPERM No permissions to access a channel");
    pub const SORT_BY_DENIED: Self =
        Self::Text("ERR BY option of SORT denied due to insufficient ACL permissions.");
    pub const SORT_GET_DENIED: Self =
        Self::Text("ERR GET option of SORT denied due to insufficient ACL permissions.");
    pub const GENPASS_BITS: Self = Self::Text(
        "ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to 4096",
    );
    pub const NO_RANDOMNESS: Self = Self::Text("ERR the system has no random numbers");
    pub const FOR_OPERATOR: Self =
        Self::Text("NOPERM this command is for the operator of the server, not for a tenant");
    pub const TENANT_GONE: Self = Self::Text("ERR the tenant was dropped");
    pub const TENANT_NAME: Self =
        Self::Text("ERR a tenant's name has 1 to 64 letters, digits, dots, hyphens or underscores");
    pub const TENANT_PASSWORD: Self = Self::Text("ERR a tenant's password must not be empty");
    pub const FOREIGN_REPLICAS: Self =
        Self::Text("ERR a replica follows this server that knows no tenants");
    pub const FOREIGN_TO_TENANTS: Self =
        Self::Text("ERR this server has tenants, and a replica must know of them");
    pub const RELOAD_BUSY: Self =
        Self::Text("ERR tenants come or go, or all data is looked at, just now: try again");
    pub const NO_TENANTS: Self = Self::Text("ERR this server has no tenants");
    pub const TENANT_LATE: Self = Self::Text(
        "ERR a connection that waits, watches, subscribes or tracks cannot enter a tenant",
    );
    pub const NO_ACL_FILE: Self = Self::Text(
        "ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in order to store users in the Redis configuration.",
    );
    pub const ACL_NOT_SAVED: Self = Self::Text(
        "ERR There was an error trying to save the ACLs. Please check the server logs for more information",
    );

    pub fn no_command_permission(user: &str, command: &str) -> Self {
        let tail = alloc::format!(" has no permissions to run the '{command}' command");
        Self::Owned(alloc::format!("NOPERM User {user}{tail}"))
    }

    /// What DRYRUN tells of a key (`what`) or channel that is refused: a value, not an error.
    pub fn dry_run_denial(user: &str, object: &[u8], what: &str) -> String {
        let object = String::from_utf8_lossy(object);
        alloc::format!("User {user} has no permissions to access the '{object}' {what}")
    }

    /// EXEC of a command that was allowed when it was queued.
    pub fn no_longer_allowed(reason: Reason) -> Self {
        let reason = match reason {
            Reason::Command | Reason::Auth => "no permission to execute the command or subcommand",
            Reason::Key => "no permission to touch the specified keys",
            Reason::Channel => "no permission to access one of the channels used as arguments",
        };
        Self::Owned(alloc::format!(
            "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command is no longer allowed for the following reason: {reason}"
        ))
    }

    /// EXEC that was refused for this reason, with which the transaction ends.
    pub fn log_fails(reason: &str) -> Self {
        Self::Owned(alloc::format!("MISCONF Errors writing to the AOF file: {reason}"))
    }

    pub fn exec_refused(reason: &Self) -> Self {
        Self::Owned(alloc::format!("EXECABORT Transaction discarded because of: {reason}"))
    }

    pub fn unknown_category(name: &[u8]) -> Self {
        Self::with("ERR Unknown category '", name, "'")
    }

    pub fn user_not_found(name: &[u8]) -> Self {
        Self::with("ERR User '", name, "' not found")
    }

    pub fn command_not_found(name: &[u8]) -> Self {
        Self::with("ERR Command '", name, "' not found")
    }

    /// A rule that was refused.
    pub fn acl_rule(rule: &[u8], error: RuleError) -> Self {
        let rule = String::from_utf8_lossy(rule);
        Self::Owned(alloc::format!("ERR Error in ACL SETUSER modifier '{rule}': {error}"))
    }

    /// A selector without end, from the argument that opens it.
    pub fn open_selector(start: &[u8]) -> Self {
        let start = String::from_utf8_lossy(start);
        Self::Owned(alloc::format!(
            "ERR Unmatched parenthesis in acl selector starting at '{start}'."
        ))
    }

    /// A file of users that cannot be read; `reason` is the operating system's.
    pub fn acl_file_unreadable(file: &str, reason: &str) -> Self {
        Self::Owned(alloc::format!("ERR Error loading ACLs, opening file '{file}': {reason}"))
    }

    /// A file of users with errors, which stand in one line.
    pub fn acl_file_refused(errors: &str) -> Self {
        Self::Owned(alloc::format!(
            "ERR {errors}WARNING: ACL errors detected, no change to the previously active ACL rules was performed"
        ))
    }

    /// The text without the code in front.
    pub fn message(&self) -> String {
        let text = alloc::format!("{self}");
        text.split_once(' ').map_or_else(|| text.clone(), |(_, message)| message.into())
    }
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "Unknown command or category name in ACL",
            Self::Syntax => "Syntax error",
            Self::KeysAfterAll => {
                "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any effect. Try 'resetkeys' to start with an empty list of patterns"
            }
            Self::ChannelsAfterAll => {
                "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any effect. Try 'resetchannels' to start with an empty list of channels"
            }
            Self::NoSuchPassword => {
                "The password you are trying to remove from the user does not exist"
            }
            Self::NotAHash => {
                "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"
            }
            Self::ArgumentOfSubcommand => "Allowing first-arg of a subcommand is not supported",
        })
    }
}

/// What is wrong with a line of a file of users.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the texts below say what each means")]
pub enum AclFileError<'a> {
    NoUser,
    Name(&'a [u8]),
    Duplicate(&'a [u8]),
    OpenSelector,
    Unknown(&'a [u8]),
    Rule(RuleError),
}

impl AclFileError<'_> {
    /// A sentence with the place, and a space behind it.
    pub fn text(&self, file: &str, line: usize) -> String {
        let shown = String::from_utf8_lossy;
        match self {
            Self::NoUser => alloc::format!(
                "{file}:{line} should start with user keyword followed by the username. "
            ),
            Self::Name(name) => alloc::format!(
                "'{file}:{line}: username '{}' contains invalid characters. ",
                shown(name)
            ),
            Self::Duplicate(name) => {
                alloc::format!("WARNING: Duplicate user '{}' found on line {line}. ", shown(name))
            }
            Self::OpenSelector => {
                alloc::format!("{file}:{line}: Unmatched parenthesis in selector definition.")
            }
            Self::Unknown(rule) => alloc::format!(
                "{file}:{line}: Error in applying operation '{}': {}. ",
                shown(rule),
                RuleError::Unknown
            ),
            Self::Rule(error) => alloc::format!("{file}:{line}: {error}. "),
        }
    }
}
