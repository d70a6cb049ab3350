//! FT.*: full-text search over hashes and JSON documents, as RediSearch has it.
//!
//! Indexes are data: the commands that make, change and drop them are effects like any others. They,
//! and those that search, hold all shards; a write to a document holds its own only.

mod administration;
mod aggregate;
mod definition;
mod error;
mod finding;
mod highlighting;
mod information;
mod pipeline;
mod profiling;
mod querying;
mod reducing;
mod request;
mod spelling;
mod stages;
mod suggesting;

use crate::args::Args;
use crate::command::{Command, Flags, Group, Handler, command};
use crate::error::Error;
use crate::keyspace::Keyspace;
use crate::step::Cx;

pub use administration::drop_unused;

const fn reads(name: &'static str, handler: Handler, arity: i16) -> Command {
    command(name, handler, arity).group(Group::Module).readonly().flags(Flags::ALL_SHARDS)
}

const fn changes(name: &'static str, handler: Handler, arity: i16) -> Command {
    command(name, handler, arity).group(Group::Module).write_denyoom().flags(Flags::ALL_SHARDS)
}

/// The family's entries.
pub(super) static TABLE: &[Command] = &[
    changes("FT.CREATE", ft_create, -5)
        .usage("index [ON <HASH|JSON>] [PREFIX count prefix [prefix ...]] [FILTER filter] [LANGUAGE default_lang] [LANGUAGE_FIELD lang_attribute] [SCORE default_score] [SCORE_FIELD score_attribute] [PAYLOAD_FIELD payload_attribute] [MAXTEXTFIELDS] [NOOFFSETS] [NOHL] [NOFIELDS] [NOFREQS] [STOPWORDS count [stopword [stopword ...]]] [SKIPINITIALSCAN] SCHEMA field_name type [field_name type ...]")
        .since("1.0.0", "O(K) at creation where K is the number of fields, O(N) if scanning the keyspace is triggered, where N is the number of keys in the keyspace")
        .summary("Creates an index with the given spec."),
    changes("FT.ALTER", ft_alter, -6)
        .usage("index [SKIPINITIALSCAN] SCHEMA ADD field_name type [field_name type ...]")
        .since("1.0.0", "O(N) where N is the number of keys in the keyspace")
        .summary("Adds a new field to the index."),
    changes("FT.DROPINDEX", administration::drop_index, -2)
        .usage("index [DD]")
        .since("2.0.0", "O(1) or O(N) if documents are deleted, where N is the number of keys in the keyspace")
        .summary("Deletes the index."),
    changes("FT.ALIASADD", ft_aliasadd, 3)
        .usage("alias index")
        .since("1.0.0", "O(1)")
        .summary("Adds an alias to the index."),
    changes("FT.ALIASUPDATE", ft_aliasupdate, 3)
        .usage("alias index")
        .since("1.0.0", "O(1)")
        .summary("Adds or updates an alias to the index."),
    changes("FT.ALIASDEL", ft_aliasdel, 2)
        .usage("alias")
        .since("1.0.0", "O(1)")
        .summary("Deletes an alias from the index."),
    changes("FT.SYNUPDATE", ft_synupdate, -4)
        .usage("index synonym_group_id [SKIPINITIALSCAN] term [term ...]")
        .since("1.2.0", "O(1)")
        .summary("Creates or updates a synonym group with additional terms."),
    changes("FT.DICTADD", ft_dictadd, -3)
        .usage("dict term [term ...]")
        .since("1.4.0", "O(1)")
        .summary("Adds terms to a dictionary."),
    changes("FT.DICTDEL", ft_dictdel, -3)
        .usage("dict term [term ...]")
        .since("1.4.0", "O(1)")
        .summary("Deletes terms from a dictionary."),
    reads("FT.DICTDUMP", administration::dict_dump, 2)
        .usage("dict")
        .since("1.4.0", "O(N), where N is the size of the dictionary")
        .summary("Dumps all terms in the given dictionary."),
    reads("FT.SYNDUMP", administration::synonym_dump, 2)
        .usage("index")
        .since("1.2.0", "O(1)")
        .summary("Dumps the contents of a synonym group."),
    reads("FT.ALIASLIST", administration::alias_list, 2)
        .usage("index")
        .since("8.9.0", "O(N) where N is the number of aliases")
        .summary("Returns the aliases of an index."),
    reads("FT._LIST", administration::list, 1)
        .since("2.0.0", "O(1)")
        .summary("Returns a list of all existing indexes."),
    reads("FT.INFO", information::info, 2)
        .usage("index")
        .since("1.0.0", "O(1)")
        .summary("Returns information and statistics on the index."),
    reads("FT.TAGVALS", information::tag_values, 3)
        .usage("index field_name")
        .since("1.0.0", "O(N)")
        .summary("Returns the distinct tags indexed in a Tag field."),
    reads("FT.SEARCH", querying::search, -3)
        .usage("index query [NOCONTENT] [VERBATIM] [NOSTOPWORDS] [WITHSCORES] [WITHPAYLOADS] [WITHSORTKEYS] [FILTER numeric_field min max] [GEOFILTER geo_field lon lat radius <m|km|mi|ft>] [INKEYS count key [key ...]] [INFIELDS count field [field ...]] [RETURN count identifier [identifier ...]] [SUMMARIZE [FIELDS count field [field ...]] [FRAGS num] [LEN fragsize] [SEPARATOR separator]] [HIGHLIGHT [FIELDS count field [field ...]] [TAGS open close]] [SLOP slop] [TIMEOUT timeout] [INORDER] [LANGUAGE language] [SCORER scorer] [SORTBY sortby [ASC|DESC]] [LIMIT offset num] [PARAMS nargs name value [name value ...]] [DIALECT dialect]")
        .since("1.0.0", "O(N)")
        .summary("Searches the index with a textual query, returning either documents or just ids."),
    reads("FT.AGGREGATE", aggregate::aggregate, -3)
        .usage("index query [VERBATIM] [ADDSCORES] [LOAD count field [field ...]] [TIMEOUT timeout] [GROUPBY nargs property [property ...] [REDUCE function nargs arg [arg ...] [AS name]]] [SORTBY nargs property [ASC|DESC]] [APPLY expression AS name] [LIMIT offset num] [FILTER filter] [WITHCURSOR [COUNT read_size] [MAXIDLE idle_time]] [PARAMS nargs name value [name value ...]] [DIALECT dialect]")
        .since("1.1.0", "O(1)")
        .summary("Runs a search query on an index and performs aggregate transformations on the results."),
    reads("FT.CURSOR", aggregate::cursor, -4).flags(Flags::NOSCRIPT)
        .usage("<READ|DEL> index cursor_id [COUNT read_size]")
        .since("1.1.0", "O(1)")
        .summary("Reads from or deletes a cursor."),
    reads("FT.EXPLAIN", querying::explain, -3)
        .usage("index query [DIALECT dialect]")
        .since("1.0.0", "O(1)")
        .summary("Returns the execution plan for a complex query."),
    reads("FT.EXPLAINCLI", querying::explain_cli, -3)
        .usage("index query [DIALECT dialect]")
        .since("1.0.0", "O(1)")
        .summary("Returns the execution plan for a complex query, a line an element."),
    reads("FT.PROFILE", querying::profile, -5)
        .usage("index <SEARCH|AGGREGATE> [LIMITED] QUERY query")
        .since("2.2.0", "O(N)")
        .summary("Performs a query and collects performance information."),
    reads("FT.SPELLCHECK", spelling::spellcheck, -3)
        .usage("index query [DISTANCE distance] [TERMS <INCLUDE|EXCLUDE> dictionary] [DIALECT dialect]")
        .since("1.4.0", "O(1)")
        .summary("Performs spelling correction on a query, returning suggestions for misspelled terms."),
    command("FT.SUGADD", suggesting::add, -4)
        .group(Group::Module)
        .write_denyoom()
        .key()
        .usage("key string score [INCR] [PAYLOAD payload]")
        .since("1.0.0", "O(1)")
        .summary("Adds a suggestion string to an auto-complete suggestion dictionary."),
    command("FT.SUGDEL", suggesting::delete, 3)
        .group(Group::Module)
        .write()
        .key()
        .usage("key string")
        .since("1.0.0", "O(1)")
        .summary("Deletes a string from a suggestion index."),
    command("FT.SUGGET", suggesting::get, -3)
        .group(Group::Module)
        .readonly()
        .key()
        .usage("key prefix [FUZZY] [WITHSCORES] [WITHPAYLOADS] [MAX max]")
        .since("1.0.0", "O(1)")
        .summary("Gets completion suggestions for a prefix."),
    command("FT.SUGLEN", suggesting::length, 2)
        .group(Group::Module)
        .readonly()
        .key()
        .usage("key")
        .since("1.0.0", "O(1)")
        .summary("Gets the size of an auto-complete suggestion dictionary."),
    reads("FT.GET", querying::get, 3)
        .usage("index key")
        .since("1.0.0", "O(1)")
        .summary("Returns the full contents of a document."),
    reads("FT.MGET", querying::get_many, -3)
        .usage("index key [key ...]")
        .since("1.0.0", "O(N), where N is the number of keys")
        .summary("Returns the full contents of several documents."),
    changes("FT.DEL", administration::delete_document, -3)
        .usage("index key [DD]")
        .since("1.0.0", "O(1)")
        .summary("Deletes a document from the index."),
    command("FT.DEBUG", administration::debug, -2)
        .group(Group::Module)
        .readonly()
        .flags(Flags::ALL_SHARDS)
        .flags(Flags::NOSCRIPT.with(Flags::ADMIN))
        .usage("<TTL|HELP> [index]")
        .since("1.0.0", "O(1)")
        .summary("Tells for how long a temporary index stays."),
    reads("FT.CONFIG", administration::configure, -3).flags(Flags::NOSCRIPT.with(Flags::ADMIN))
        .usage("<GET|SET|HELP> option [value]")
        .since("1.0.0", "O(1)")
        .summary("Reads or changes run-time options of searching."),
];

/// Runs a command that changes which indexes there are, for whoever brings back what there was.
pub(crate) fn restore(keys: &mut Keyspace<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let name = args.argv().get(0).to_ascii_uppercase();
    match name.as_slice() {
        b"FT.CREATE" => definition::create(keys, args),
        b"FT.ALTER" => definition::alter(keys, args),
        b"FT.ALIASADD" => administration::add_alias(keys, args),
        b"FT.SYNUPDATE" => administration::update_synonyms(keys, args),
        b"FT.DICTADD" => administration::add_words(keys, args).map(drop),
        _ => Err(Error::Syntax),
    }
}

fn ft_create(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    done(cx, args, definition::create)
}

fn ft_alter(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    done(cx, args, definition::alter)
}

fn ft_aliasadd(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    done(cx, args, administration::add_alias)
}

fn ft_aliasupdate(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    done(cx, args, administration::move_alias)
}

fn ft_aliasdel(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    done(cx, args, administration::remove_alias)
}

fn ft_synupdate(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    done(cx, args, administration::update_synonyms)
}

fn ft_dictadd(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let count = administration::add_words(&mut cx.keys, args)?;
    cx.reply.integer(count as i64);
    Ok(())
}

fn ft_dictdel(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let count = administration::remove_words(&mut cx.keys, args)?;
    cx.reply.integer(count as i64);
    Ok(())
}

/// Changes something and says OK.
fn done(
    cx: &mut Cx<'_>,
    args: &mut Args<'_>,
    change: fn(&mut Keyspace<'_>, &mut Args<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    change(&mut cx.keys, args)?;
    cx.reply.ok();
    Ok(())
}
