//! What clients of search commands are told when something is wrong. The texts are those of
//! RediSearch 2.10, which have no code in front.

use alloc::format;
use alloc::string::String;

use crate::error::Error;

/// Texts that are always the same.
#[expect(missing_docs, reason = "the texts say what each means")]
impl Error {
    pub const INDEX_EXISTS: Self = Self::Text("Index already exists");
    pub const UNKNOWN_INDEX_NAME: Self = Self::Text("Unknown Index name");
    pub const UNKNOWN_INDEX: Self = Self::Text("Unknown index name");
    pub const UNKNOWN_INDEX_OR_ALIAS: Self =
        Self::Text("Unknown index name (or name is an alias itself)");
    pub const ALIAS_EXISTS: Self = Self::Text("Alias already exists");
    pub const NO_ALIAS: Self = Self::Text("Alias does not exist");
    pub const INDEX_IN_OTHER_DATABASE: Self = Self::Text("Cannot create index on db != 0");
    pub const NO_SCHEMA: Self = Self::Text("No schema found");
    pub const NO_FIELDS: Self = Self::Text("Fields arguments are missing");
    pub const BAD_TEMPORARY: Self =
        Self::Text("Bad arguments for TEMPORARY: Could not convert argument to expected type");
    pub const NOT_TEMPORARY: Self = Self::Text("Index is not temporary");
    pub const NO_DEBUGGING: Self = Self::Text("subcommand not found");
    pub const NO_PHONETIC_FIELD: Self = Self::Text("field does not support phonetics");
    pub const BAD_PHONETIC: Self = Self::Text(
        "Matcher Format: <2 chars algorithm>:<2 chars language>. Support algorithms: double metaphone (dm). Supported languages: English (en), French (fr), Portuguese (pt) and Spanish (es)",
    );
    pub const NO_EMPTY_FIELD: Self = Self::Text(
        "Use `INDEXEMPTY` in field creation in order to index and query for empty strings",
    );
    pub const BAD_SEPARATOR: Self =
        Self::Text("Tag separator must be a single character. Got `SEPARATOR` with another value");
    pub const NO_LANGUAGE: Self = Self::Text("Invalid language");
    pub const NO_QUERY_LANGUAGE: Self = Self::Text("No such language");
    pub const BAD_SCORE: Self = Self::Text("Invalid score");
    pub const BAD_DIALECT: Self =
        Self::Text("DIALECT requires a non negative integer >=1 and <= 4");
    pub const BAD_TIMEOUT: Self = Self::Text("TIMEOUT requires a non negative integer");
    pub const BAD_SLOP: Self = Self::Text("SLOP requires an integer");
    pub const BAD_LIMIT: Self = Self::Text("LIMIT requires two arguments");
    pub const LIMIT_OFFSET: Self =
        Self::Text("The `offset` of the LIMIT must be 0 when `num` is 0");
    pub const ODD_PARAMS: Self = Self::Text("Parameters must be specified in PARAM VALUE pairs");
    pub const BAD_RETURN: Self = Self::Text("Bad arguments for RETURN: Expected an argument");
    pub const BAD_SORTBY: Self = Self::Text("Bad SORTBY arguments");
    pub const TIMED_OUT: Self = Self::Text("Timeout limit was reached");
    pub const NO_SUCH_FIELD: Self = Self::Text("No such field");
    pub const NOT_A_TAG_FIELD: Self = Self::Text("Not a tag field");
    pub const NO_OFFSETS: Self = Self::Text(
        "Cannot use slop/inorder/highlight/summarize because offsets are not kept by this index",
    );
    pub const NO_HIGHLIGHTS: Self =
        Self::Text("HIGHLIGHT/SUMMARIZE options are not supported by this index (NOHL)");
    pub const NO_INDEX_PERMISSION: Self =
        Self::Text("NOPERM User does not have the required permissions to query the index");
    pub const BAD_SUGGESTION_SCORE: Self = Self::Text("ERR invalid score");
    pub const NO_PAYLOAD: Self =
        Self::Text("Invalid payload: Expected an argument, but none provided");
    pub const BEGINNING_TOO_LONG: Self = Self::Text("Invalid query length");
    pub const NO_SUCH_OPTION: Self = Self::Text("No such option");
    pub const BAD_OPTION_VALUE: Self = Self::Text("Invalid value for this option");
    pub const NO_CURSOR: Self = Self::Text("Cursor does not exist");
    pub const TOO_MANY_CURSORS: Self = Self::Text("Too many cursors are open");
    pub const BAD_AGGREGATION: Self = Self::Text("Bad arguments for this step");
    pub const SEARCH_OR_AGGREGATE: Self = Self::Text("No `SEARCH` or `AGGREGATE` provided");
    pub const NO_PROFILE_OF_CURSOR: Self = Self::Text("FT.PROFILE does not support cursor");
    pub const NO_QUERY: Self = Self::Text("The QUERY keyword is expected");
}

/// Texts that name something.
impl Error {
    /// No index has this name.
    pub fn no_such_index(name: &[u8]) -> Self {
        Self::Owned(format!("{}: no such index", String::from_utf8_lossy(name)))
    }

    /// A word that is none of those that may stand there.
    pub fn unknown_word(word: &[u8]) -> Self {
        Self::Owned(format!("Unknown argument `{}`", String::from_utf8_lossy(word)))
    }

    /// The same where suggestions are asked for.
    pub fn unrecognized_word(word: &[u8]) -> Self {
        Self::Owned(format!("Unrecognized argument: {}", String::from_utf8_lossy(word)))
    }

    /// The same in a query's arguments, with its place.
    pub fn unknown_word_at(word: &[u8], at: usize) -> Self {
        let word = String::from_utf8_lossy(word);
        Self::Owned(format!("Unknown argument `{word}` at position {at} for <main>"))
    }

    /// An option's arguments are not what they should be.
    pub fn bad_arguments(option: &str) -> Self {
        Self::Owned(format!(
            "Bad arguments for {option}: Could not convert argument to expected type"
        ))
    }

    /// Two fields of one name.
    pub fn duplicate_field(name: &[u8]) -> Self {
        Self::Owned(format!("Duplicate field in schema - {}", String::from_utf8_lossy(name)))
    }

    /// A field without a type, or with an unknown one.
    pub fn bad_field_type(name: &[u8]) -> Self {
        Self::Owned(format!("Invalid field type for field `{}`", String::from_utf8_lossy(name)))
    }

    /// A type of fields that Reef does not have.
    pub fn unsupported_field_type(kind: &[u8]) -> Self {
        Self::Owned(format!("{} fields are not supported", String::from_utf8_lossy(kind)))
    }

    /// More fields than there may be.
    pub fn too_many_fields(max: usize, kind: &str) -> Self {
        Self::Owned(format!("Schema is limited to {max} {kind}fields"))
    }

    /// No path into a document.
    pub fn bad_json_path(path: &[u8], name: &[u8]) -> Self {
        let (path, name) = (String::from_utf8_lossy(path), String::from_utf8_lossy(name));
        Self::Owned(format!("Invalid JSONPath '{path}' in attribute '{name}'"))
    }

    /// A field can be neither found nor sorted by.
    pub fn useless_field(name: &[u8]) -> Self {
        let name = String::from_utf8_lossy(name);
        Self::Owned(format!("Field `{name}` is NOINDEX and not SORTABLE"))
    }

    /// A field is not found, so not by its absence either.
    pub fn unfindable_absence(name: &[u8]) -> Self {
        let name = String::from_utf8_lossy(name);
        Self::Owned(format!(
            "'Field cannot be defined with both `NOINDEX` and `INDEXMISSING` `{name}` '"
        ))
    }

    /// A limit above what is allowed.
    pub fn limit_exceeds(max: u64) -> Self {
        Self::Owned(format!("LIMIT exceeds maximum of {max}"))
    }

    /// A way of scoring that nobody knows.
    pub fn no_such_scorer(name: &[u8]) -> Self {
        Self::Owned(format!("No such scorer {}", String::from_utf8_lossy(name)))
    }

    /// A name that is given twice.
    pub fn duplicate_parameter(name: &[u8]) -> Self {
        Self::Owned(format!("Duplicate parameter `{}`", String::from_utf8_lossy(name)))
    }

    /// Something that no row has.
    pub fn no_property(name: &[u8]) -> Self {
        let name = String::from_utf8_lossy(name);
        Self::Owned(format!("Property `{name}` not loaded nor in schema"))
    }

    /// A reducer that nobody knows.
    pub fn no_such_reducer(name: &[u8]) -> Self {
        Self::Owned(format!("No such reducer: {}", String::from_utf8_lossy(name)))
    }
}
