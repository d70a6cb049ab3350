//! Every error text that a client can see, and nothing else.
//!
//! Texts and codes are Redis 7's. Handlers name a variant; only this file knows the words.

use alloc::string::String;
use core::fmt;

use crate::command::Command;

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
    MustBePositive(&'static str),
    IndexOutOfRange,
    OffsetOutOfRange,
    NoSuchKey,
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
    /// EXEC of a command that may use memory, when there is none.
    ExecOutOfMemory,
    OutOfMemory,
    NoScriptCommand,
    DebugDisabled,
    /// An unknown word behind DEBUG, or a known one with other arguments.
    DebugSubcommand(String),
    DebugRefused,
    DebugNeedsFiles,
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
    /// The arity error of a command.
    pub fn wrong_arity(command: &Command) -> Self {
        Self::WrongArity(command.full_name())
    }
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
            Self::ExecOutOfMemory => {
                "EXECABORT Transaction discarded because of: OOM command not allowed when used memory > 'maxmemory'."
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
            Self::DebugNeedsFiles => "ERR this server keeps nothing on disk that could be loaded",
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

/// Texts of CLIENT, COMMAND and the commands that Reef leaves to plugins.
#[expect(missing_docs, reason = "the texts say what each means")]
impl Error {
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
    pub const MAXAGE_NOT_POSITIVE: Self = Self::Text("ERR maxage should be greater than 0");
    pub const UNBLOCK_REASON: Self =
        Self::Text("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
    pub const HELLO_NO_AUTH: Self = Self::Text(
        "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time",
    );
    pub const PAUSE_MODE: Self = Self::Text("ERR CLIENT PAUSE mode must be WRITE or ALL");
    pub const SLOWLOG_COUNT: Self = Self::Text("ERR count should be greater than or equal to -1");
    pub const INVALID_COMMAND: Self = Self::Text("ERR Invalid command specified");
    pub const NO_KEY_ARGUMENTS: Self = Self::Text("ERR The command has no key arguments");
    pub const INVALID_ARGUMENT_COUNT: Self =
        Self::Text("ERR Invalid number of arguments specified for command");
    pub const INVALID_ARGUMENTS: Self = Self::Text("ERR Invalid arguments specified for command");
    pub const NO_SCRIPTING: Self =
        Self::Text("ERR Lua scripting is not available: write a plugin instead (PLUGIN HELP)");

    pub fn unknown_directive(name: &[u8]) -> Self {
        Self::with("ERR Unknown option or number of arguments for CONFIG SET - '", name, "'")
    }

    pub fn directive_refused(name: &[u8], reason: &str) -> Self {
        let tail = alloc::format!("') - {reason}");
        Self::with("ERR CONFIG SET failed (possibly related to argument '", name, &tail)
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

    /// A sub-command with arguments that it does not take.
    pub fn subcommand_syntax(subcommand: &[u8], container: &str) -> Self {
        let tail = alloc::format!("'. Try {container} HELP.");
        Self::with("ERR unknown subcommand or wrong number of arguments for '", subcommand, &tail)
    }

    /// What a client sent, between two texts; at most the first 128 bytes of it.
    fn with(before: &str, sent: &[u8], behind: &str) -> Self {
        const SHOWN_BYTES_MAX: usize = 128;
        let sent = String::from_utf8_lossy(&sent[..sent.len().min(SHOWN_BYTES_MAX)]);
        Self::Owned(alloc::format!("{before}{sent}{behind}"))
    }
}
