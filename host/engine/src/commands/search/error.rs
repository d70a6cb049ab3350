//! What clients of search commands are told when something is wrong. The texts are those of
//! RediSearch 2.10, which have no code in front.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;

use crate::error::Error;
use crate::search::expression::Undefined;

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
    pub const SEPARATOR_NEEDS_ARGUMENT: Self = Self::Text("SEPARATOR requires an argument");
    pub const PHONETIC_NEEDS_ARGUMENT: Self = Self::Text("PHONETIC requires an argument");
    pub const NO_LANGUAGE: Self = Self::Text("Invalid language");
    pub const NO_QUERY_LANGUAGE: Self = Self::Text("No such language");
    pub const BAD_SCORE: Self = Self::Text("Invalid score");
    pub const BAD_DIALECT: Self =
        Self::Text("DIALECT requires a non negative integer >=1 and <= 4");
    pub const BAD_TIMEOUT: Self = Self::Text("TIMEOUT requires a non negative integer");
    pub const BAD_LIMIT: Self = Self::Text("LIMIT requires two arguments");
    pub const LIMIT_NO_NUMBER: Self = Self::Text("LIMIT needs two numeric arguments");
    pub const NO_TIMEOUT: Self = Self::Text("Need argument for TIMEOUT");
    pub const NO_DIALECT: Self = Self::Text("Need an argument for DIALECT");
    pub const NO_FORMAT: Self = Self::Text("Need an argument for FORMAT");
    pub const EXPAND_OF_OLD_PROTOCOL: Self =
        Self::Text("EXPAND format is only supported with RESP3");
    pub const EXPAND_OF_HASHES: Self = Self::Text("EXPAND format is only supported with JSON");
    pub const SORTED_TWICE: Self =
        Self::Text("Multiple SORTBY steps are not allowed. Sort multiple fields in a single step");
    pub const SEARCH_SORTED_TWICE: Self = Self::Text("Multiple SORTBY steps are not allowed");
    pub const SEARCH_SORTED_MAX: Self = Self::Text("SORTBY MAX is not supported by FT.SEARCH");
    pub const RETURN_NAMED_AS: Self = Self::Text("Alias for RETURN cannot be `AS`");
    pub const LOAD_UNNAMED: Self = Self::Text("LOAD path AS name - must be accompanied with NAME");
    pub const LOAD_NAMED_AS: Self = Self::Text("Alias for LOAD cannot be `AS`");
    pub const LOADED_LATE: Self = Self::Text("LOAD cannot be applied after projectors or reducers");
    pub const AS_NEEDS_ARGUMENT: Self = Self::Text("AS needs argument");
    pub const SCORES_OF_SEARCH: Self = Self::Text("ADDSCORES is not supported on FT.SEARCH");
    pub const FILTER_COUNT: Self = Self::Text("FILTER requires 3 arguments");
    pub const GEOFILTER_COUNT: Self = Self::Text("GEOFILTER requires 5 arguments");
    pub const NO_DICTIONARY: Self = Self::Text("could not open dict key");
    pub const NOT_WIDE: Self = Self::Text(
        "Cannot add more fields. Declare index with wide fields to allow adding unlimited fields",
    );
    pub const NO_SUFFIXES: Self =
        Self::Text("Contains query on fields without WITHSUFFIXTRIE support");
    pub const COUNT_OF_SOMETHING: Self = Self::Text("Count accepts 0 values only");
    pub const BAD_SHARE: Self = Self::Text("Percentage must be between 0.0 and 1.0");
    pub const SAMPLE_TOO_LARGE: Self = Self::Text("Sample size too large");
    pub const ODD_PARAMS: Self = Self::Text("Parameters must be specified in PARAM VALUE pairs");
    pub const BAD_RETURN: Self = Self::Text("RETURN path AS name - must be accompanied with NAME");
    pub const BAD_SORTBY: Self = Self::Text("Bad SORTBY arguments");
    pub const TIMED_OUT: Self = Self::Text("Timeout limit was reached");
    pub const NO_SUCH_FIELD: Self = Self::Text("No such field");
    pub const NOT_A_TAG_FIELD: Self = Self::Text("Not a tag field");
    pub const NO_HIGHLIGHTS: Self =
        Self::Text("Cannot use highlight/summarize because NOOFSETS was specified at index level");
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

    /// An option's arguments are too few.
    pub fn no_argument(option: &str) -> Self {
        Self::Owned(format!("Bad arguments for {option}: Expected an argument, but none provided"))
    }

    /// An option's arguments are too many or too large.
    pub fn out_of_bounds(option: &str) -> Self {
        Self::Owned(format!("Bad arguments for {option}: Value is outside acceptable bounds"))
    }

    /// An option of searches that aggregations have not.
    pub fn not_of_aggregations(option: &str) -> Self {
        Self::Owned(format!("{option} is not supported on FT.AGGREGATE"))
    }

    /// A name of a row's property without the sign in front.
    pub fn unmarked_property(name: &[u8]) -> Self {
        let name = String::from_utf8_lossy(name);
        Self::Owned(format!(
            "Bad arguments for GROUPBY: Unknown property `{name}`. Did you mean `@{name}`?"
        ))
    }

    /// A name of a row's property that another has.
    pub fn repeated_property(name: &[u8]) -> Self {
        let name = String::from_utf8_lossy(name);
        Self::Owned(format!("Property `{name}` specified more than once"))
    }

    /// Rows are sorted by too much.
    pub fn too_many_sort_keys(max: usize) -> Self {
        Self::Owned(format!("Cannot sort by more than {max} fields"))
    }

    /// A word where only a direction may stand.
    pub fn no_direction(word: &[u8]) -> Self {
        let word = String::from_utf8_lossy(word);
        Self::Owned(format!("MISSING ASC or DESC after sort field ({word})"))
    }

    /// An expression has no value.
    pub fn undefined(why: Undefined) -> Self {
        match why.0 {
            Cow::Borrowed(text) => Self::Text(text),
            Cow::Owned(text) => Self::Owned(text),
        }
    }

    /// A form of values that there is not.
    pub fn no_format(name: &[u8]) -> Self {
        Self::Owned(format!("FORMAT {} is not supported", String::from_utf8_lossy(name)))
    }

    /// An end of a range that is no number.
    pub fn bad_range(end: &str, text: &[u8]) -> Self {
        Self::Owned(format!("Bad {end} range: {}", String::from_utf8_lossy(text)))
    }

    /// A field's texts come in no order.
    pub fn no_order(name: &[u8]) -> Self {
        let name = String::from_utf8_lossy(name);
        Self::Owned(format!(
            "slop/inorder are not supported for field `{name}` since it has undefined ordering"
        ))
    }

    /// A unit of length that nobody knows.
    pub fn no_distance_unit(name: &[u8]) -> Self {
        Self::Owned(format!("Unknown distance unit {}", String::from_utf8_lossy(name)))
    }

    /// A dictionary that there is not.
    pub fn no_dictionary(name: &[u8]) -> Self {
        Self::Owned(format!("Dict does not exist: {}", String::from_utf8_lossy(name)))
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

    /// A field is not found, so not by its absence either.
    pub fn unfindable_absence(name: &[u8]) -> Self {
        let name = String::from_utf8_lossy(name);
        Self::Owned(format!(
            "'Field `{name}` cannot be defined with both `NOINDEX` and `INDEXMISSING`'"
        ))
    }

    /// More than one letter, or none, where tags are separated.
    pub fn bad_separator(text: &[u8]) -> Self {
        let text = String::from_utf8_lossy(text);
        Self::Owned(format!("Tag separator must be a single character. Got `{text}`"))
    }

    /// An argument of LIMIT above what is allowed.
    pub fn exceeds(what: &str, max: u64) -> Self {
        Self::Owned(format!("{what} exceeds maximum of {max}"))
    }

    /// A way of scoring that nobody knows.
    pub fn no_such_scorer(name: &[u8]) -> Self {
        Self::Owned(format!("No such scorer {}", String::from_utf8_lossy(name)))
    }

    /// A name that is given twice.
    pub fn duplicate_parameter(name: &[u8]) -> Self {
        Self::Owned(format!("Duplicate parameter `{}`", String::from_utf8_lossy(name)))
    }

    /// Something that no row has so far.
    pub fn no_property_in(name: &[u8], place: &str) -> Self {
        let name = String::from_utf8_lossy(name);
        Self::Owned(format!("Property `{name}` not loaded nor in {place}"))
    }

    /// The same where groups are made.
    pub fn no_such_property(name: &[u8]) -> Self {
        Self::Owned(format!("No such property `{}`", String::from_utf8_lossy(name)))
    }

    /// The same where groups are reduced.
    pub fn not_present(name: &[u8]) -> Self {
        let name = String::from_utf8_lossy(name);
        Self::Owned(format!("Property `{name}` not present in document or pipeline"))
    }

    /// A reducer that nobody knows.
    pub fn no_such_reducer(name: &[u8]) -> Self {
        Self::Owned(format!("No such reducer: {}", String::from_utf8_lossy(name)))
    }
}
