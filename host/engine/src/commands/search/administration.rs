//! Which indexes there are, their other names, dictionaries and options.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::acl::Need;
use crate::args::Args;
use crate::error::Error;
use crate::keyspace::{INDEXED_DATABASE, Keyspace};
use crate::search::Options;
use crate::step::Cx;
use crate::types::number;

/// Where an index is, by any of its names.
pub(super) fn place(keys: &Keyspace<'_>, name: &[u8]) -> Result<usize, Error> {
    keys.catalogue().resolve(name).ok_or_else(|| Error::no_such_index(name))
}

/// Whether the user may use every key that an index can be about. To find something of a document is
/// to read its key, whether it is named or not.
pub(super) fn permit(cx: &Cx<'_>, args: &Args<'_>, place: usize, need: Need) -> Result<(), Error> {
    let catalogue = cx.keys.catalogue();
    let Some(schema) = catalogue.indexes.get(place) else { return Ok(()) };
    if cx.may_use_prefixes(args.argv(), &schema.prefixes, need) {
        Ok(())
    } else {
        Err(Error::NO_INDEX_PERMISSION)
    }
}

/// Where an index is whose documents the user may read.
pub(super) fn readable(cx: &Cx<'_>, args: &Args<'_>, name: &[u8]) -> Result<usize, Error> {
    let place = place(&cx.keys, name)?;
    permit(cx, args, place, Need::READ)?;
    note_use(cx, place);
    Ok(place)
}

/// Somebody uses an index: a temporary one stays for longer.
pub(super) fn note_use(cx: &Cx<'_>, place: usize) {
    let now = cx.keys.now;
    cx.keys.catalogue().indexes.get(place).into_iter().for_each(|schema| schema.uses.note(now));
}

pub(super) fn drop_index(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let name = args.bytes()?;
    if args.left() > 1 {
        args.skip_rest();
        return Err(Error::WrongArity("ft.dropindex".into()));
    }
    let with_documents = args.keyword("DD");
    if !args.is_done() {
        let word = args.bytes()?;
        args.skip_rest();
        return Err(Error::unknown_word(word));
    }
    let place = cx.keys.catalogue().resolve(name).ok_or(Error::UNKNOWN_INDEX_NAME)?;
    if with_documents {
        permit(cx, args, place, Need::WRITE)?;
    }
    drop_with(cx, place, name, with_documents);
    cx.reply.ok();
    Ok(())
}

/// Drops an index, and its documents if that is wanted.
fn drop_with(cx: &mut Cx<'_>, place: usize, name: &[u8], with_documents: bool) {
    let documents = if with_documents { keys_of(&cx.keys, place) } else { Vec::new() };
    cx.keys.drop_index(place);
    // A copy may not have indexed the same documents yet.
    cx.rewrite(&[&"FT.DROPINDEX", &name]);
    cx.in_database(INDEXED_DATABASE, |cx| {
        cx.rewrite_each(&[&"UNLINK"], &documents);
        documents.iter().for_each(|key| {
            cx.keys.unlink(key);
        });
    });
}

/// Drops temporary indexes that nobody has used for too long, with their documents. All shards are
/// held.
pub fn drop_unused(cx: &mut Cx<'_>) {
    let now = cx.keys.now;
    for schema in &cx.keys.catalogue().indexes {
        // Each may have moved when one before it went.
        let Some(place) = cx.keys.catalogue().place(&schema.name) else { continue };
        let Some(idle_s) = schema.temporary_s else { continue };
        let writes = cx.keys.parts_of_index(place).iter().map(|part| part.writes).sum();
        if schema.uses.are_over(now, idle_s, writes) {
            drop_with(cx, place, &schema.name, true);
        }
    }
}

/// `TTL index`: for how many seconds a temporary index stays if nobody uses it.
pub(super) fn debug(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    match args.one_of(&["TTL", "HELP"]) {
        Some(0) => {
            let name = args.bytes()?;
            args.end()?;
            let catalogue = cx.keys.catalogue();
            let place = catalogue.resolve(name).ok_or(Error::UNKNOWN_INDEX)?;
            let schema = catalogue.indexes.get(place).ok_or(Error::UNKNOWN_INDEX)?;
            let idle_s = schema.temporary_s.ok_or(Error::NOT_TEMPORARY)?;
            let left_s = schema.uses.left_ms(cx.keys.now, idle_s) / 1000;
            cx.reply.integer(left_s.try_into().unwrap_or(i64::MAX));
        }
        Some(_) => {
            args.end()?;
            cx.reply.array(1);
            cx.reply.bulk(b"TTL");
        }
        None => {
            args.skip_rest();
            return Err(Error::NO_DEBUGGING);
        }
    }
    Ok(())
}

/// The keys of all documents of an index, in order.
fn keys_of(keys: &Keyspace<'_>, place: usize) -> Vec<Box<[u8]>> {
    let parts = keys.parts_of_index(place);
    let documents = parts.iter().flat_map(|part| part.live().iter().map(|id| (*part, id)));
    let mut found: Vec<Box<[u8]>> = documents
        .filter_map(|(part, id)| part.document(id).map(|document| document.key.clone()))
        .collect();
    found.sort_unstable();
    found
}

/// `alias index`.
pub(super) fn add_alias(keys: &mut Keyspace<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (alias, index) = (args.bytes()?, args.bytes()?);
    let catalogue = keys.catalogue();
    if catalogue.place(index).is_none() {
        return Err(Error::UNKNOWN_INDEX_OR_ALIAS);
    }
    if catalogue.resolve(alias).is_some() {
        return Err(Error::ALIAS_EXISTS);
    }
    keys.change_catalogue(|catalogue| {
        catalogue.aliases.insert(alias.into(), index.into());
    });
    Ok(())
}

/// The same for a name that may have stood for another index.
pub(super) fn move_alias(keys: &mut Keyspace<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (alias, index) = (args.bytes()?, args.bytes()?);
    let catalogue = keys.catalogue();
    if catalogue.place(index).is_none() {
        return Err(Error::UNKNOWN_INDEX_OR_ALIAS);
    }
    if catalogue.place(alias).is_some() {
        return Err(Error::ALIAS_EXISTS);
    }
    keys.change_catalogue(|catalogue| {
        catalogue.aliases.insert(alias.into(), index.into());
    });
    Ok(())
}

pub(super) fn remove_alias(keys: &mut Keyspace<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let alias = args.bytes()?;
    if !keys.catalogue().aliases.contains_key(alias) {
        return Err(Error::NO_ALIAS);
    }
    keys.change_catalogue(|catalogue| {
        catalogue.aliases.remove(alias);
    });
    Ok(())
}

/// `index group [SKIPINITIALSCAN] term [term ...]`.
pub(super) fn update_synonyms(keys: &mut Keyspace<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (name, group) = (args.bytes()?, args.bytes()?);
    let catalogue = keys.catalogue();
    let place = catalogue.resolve(name).ok_or(Error::UNKNOWN_INDEX)?;
    let Some(schema) = catalogue.indexes.get(place) else { return Err(Error::UNKNOWN_INDEX) };
    let skips = args.keyword("SKIPINITIALSCAN");
    if args.is_done() {
        return Err(Error::WrongArity("ft.synupdate".into()));
    }
    let terms = args.rest().map(|term| {
        let mut term = term.to_vec();
        crate::search::tokens::lower(&mut term);
        Box::<[u8]>::from(term)
    });
    let mut schema = schema.as_ref().clone();
    for term in terms {
        schema.synonyms.entry(term).or_default().insert(group.into());
    }
    keys.alter_index(place, schema, skips);
    Ok(())
}

pub(super) fn synonym_dump(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let name = args.bytes()?;
    let catalogue = cx.keys.catalogue();
    let place = catalogue.resolve(name).ok_or(Error::UNKNOWN_INDEX)?;
    let Some(schema) = catalogue.indexes.get(place) else { return Err(Error::UNKNOWN_INDEX) };
    cx.reply.map(schema.synonyms.len());
    for (term, groups) in &schema.synonyms {
        cx.reply.bulk(term);
        cx.reply.array(groups.len());
        groups.iter().for_each(|group| cx.reply.bulk(group));
    }
    Ok(())
}

/// `dictionary term [term ...]`; how many are new.
pub(super) fn add_words(keys: &mut Keyspace<'_>, args: &mut Args<'_>) -> Result<usize, Error> {
    let (name, words) = (args.bytes()?, args.rest());
    let mut added = 0;
    keys.change_catalogue(|catalogue| {
        let dictionary = catalogue.dictionaries.entry(name.into()).or_default();
        added = words.filter(|word| dictionary.insert(Box::from(*word))).count();
    });
    Ok(added)
}

/// The same, taken out; how many were there.
pub(super) fn remove_words(keys: &mut Keyspace<'_>, args: &mut Args<'_>) -> Result<usize, Error> {
    let (name, words) = (args.bytes()?, args.rest());
    if !keys.catalogue().dictionaries.contains_key(name) {
        words.for_each(drop);
        return Ok(0);
    }
    let mut removed = 0;
    keys.change_catalogue(|catalogue| {
        if let Some(dictionary) = catalogue.dictionaries.get_mut(name) {
            removed = words.filter(|word| dictionary.remove(*word)).count();
            if dictionary.is_empty() {
                catalogue.dictionaries.remove(name);
            }
        }
    });
    Ok(removed)
}

pub(super) fn dict_dump(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let name = args.bytes()?;
    let catalogue = cx.keys.catalogue();
    let words = catalogue.dictionaries.get(name).ok_or(Error::NO_DICTIONARY)?;
    cx.reply.set(words.len());
    words.iter().for_each(|word| cx.reply.bulk(word));
    Ok(())
}

pub(super) fn list(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    let catalogue = cx.keys.catalogue();
    cx.reply.set(catalogue.indexes.len());
    catalogue.indexes.iter().for_each(|schema| cx.reply.bulk(&schema.name));
    Ok(())
}

pub(super) fn alias_list(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let name = args.bytes()?;
    let catalogue = cx.keys.catalogue();
    let place = catalogue.resolve(name).ok_or(Error::UNKNOWN_INDEX_NAME)?;
    let index = catalogue.indexes.get(place).map(|schema| &schema.name);
    let own = catalogue.aliases.iter().filter(|(_, of)| Some(*of) == index);
    cx.reply.set(own.clone().count());
    own.for_each(|(alias, _)| cx.reply.bulk(alias));
    Ok(())
}

/// Removes the key of a document. Whether it was one.
pub(super) fn delete_document(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (name, key) = (args.bytes()?, args.bytes()?);
    args.keyword("DD");
    args.end()?;
    let place = place(&cx.keys, name)?;
    permit(cx, args, place, Need::WRITE)?;
    let hash = cx.keys.rules.hasher.hash(key);
    let is_document = cx.keys.parts_of_index(place).iter().any(|part| part.id(hash, key).is_some());
    let removed = is_document
        && cx.in_database(INDEXED_DATABASE, |cx| {
            let removed = cx.keys.remove(key);
            if removed {
                cx.rewrite(&[&"DEL", &key]);
            }
            removed
        });
    cx.reply.integer(i64::from(removed));
    Ok(())
}

/// Options by their names, as clients know them.
const OPTIONS: [&str; 8] = [
    "TIMEOUT",
    "ON_TIMEOUT",
    "DEFAULT_DIALECT",
    "MAXSEARCHRESULTS",
    "MAXAGGREGATERESULTS",
    "MINPREFIX",
    "MAXPREFIXEXPANSIONS",
    "MAXEXPANSIONS",
];

pub(super) fn configure(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    match args.one_of(&["GET", "SET", "HELP"]) {
        Some(1) => {
            let (name, value) = (args.bytes()?, args.bytes()?);
            args.end()?;
            let mut options = cx.keys.catalogue().options.clone();
            set_option(&mut options, name, value)?;
            cx.keys.set_search_options(options);
            cx.reply.ok();
        }
        Some(found) => {
            let name = args.bytes()?;
            args.end()?;
            say_options(cx, name, found == 2);
        }
        None => {
            args.skip_rest();
            return Err(Error::NO_SUCH_OPTION);
        }
    }
    Ok(())
}

fn say_options(cx: &mut Cx<'_>, name: &[u8], with_help: bool) {
    let options = cx.keys.catalogue().options.clone();
    let is_wanted = |known: &&&str| name == b"*" || known.as_bytes().eq_ignore_ascii_case(name);
    let wanted: Vec<&&str> = OPTIONS.iter().filter(is_wanted).collect();
    if cx.reply.is_resp3() {
        cx.reply.map(wanted.len());
    } else {
        cx.reply.array(wanted.len());
    }
    for known in wanted {
        let value = option_text(&options, known);
        if !cx.reply.is_resp3() {
            cx.reply.array(if with_help { 6 } else { 2 });
        }
        cx.reply.bulk(known.as_bytes());
        if with_help {
            if cx.reply.is_resp3() {
                cx.reply.map(2);
            }
            cx.reply.bulk(b"Description");
            cx.reply.bulk(b"An option of searching");
            cx.reply.bulk(b"Value");
            if !cx.reply.is_resp3() {
                cx.reply.bulk(&value);
                cx.reply.bulk(b"");
                continue;
            }
        }
        cx.reply.bulk(&value);
    }
}

fn option_text(options: &Options, name: &str) -> Vec<u8> {
    let value = match name {
        "TIMEOUT" => options.timeout_ms,
        "ON_TIMEOUT" => {
            return if options.fails_late { b"fail".to_vec() } else { b"return".to_vec() };
        }
        "DEFAULT_DIALECT" => options.dialect.into(),
        "MAXSEARCHRESULTS" if options.results_max >= Options::RESULTS_MAX => {
            return b"unlimited".to_vec();
        }
        "MAXAGGREGATERESULTS" if options.rows_max >= Options::RESULTS_MAX => {
            return b"unlimited".to_vec();
        }
        "MAXSEARCHRESULTS" => options.results_max,
        "MAXAGGREGATERESULTS" => options.rows_max,
        "MINPREFIX" => options.prefix_bytes_min as u64,
        _ => options.expansions_max as u64,
    };
    number::format_u64(&mut [0; 20], value).to_vec()
}

fn set_option(options: &mut Options, name: &[u8], value: &[u8]) -> Result<(), Error> {
    /// So many words are as much work as all of them.
    const EXPANSIONS_MAX: u64 = 100_000;
    const RESULTS_MAX: u64 = Options::RESULTS_MAX;
    let parsed = number::parse_i64(value).and_then(|value| u64::try_from(value).ok());
    let within = |low: u64, high: u64| {
        parsed.filter(|value| (low..=high).contains(value)).ok_or(Error::BAD_OPTION_VALUE)
    };
    let most = if value == b"-1" || value.eq_ignore_ascii_case(b"unlimited") {
        Ok(RESULTS_MAX)
    } else {
        within(0, RESULTS_MAX)
    };
    match name.to_ascii_uppercase().as_slice() {
        b"TIMEOUT" => options.timeout_ms = within(0, i64::MAX as u64)?,
        b"ON_TIMEOUT" => {
            options.fails_late = match value.to_ascii_lowercase().as_slice() {
                b"fail" => true,
                b"return" => false,
                _ => return Err(Error::BAD_OPTION_VALUE),
            };
        }
        b"DEFAULT_DIALECT" => options.dialect = within(1, 4)? as u8,
        b"MAXSEARCHRESULTS" => options.results_max = most?,
        b"MAXAGGREGATERESULTS" => options.rows_max = most?,
        b"MINPREFIX" => options.prefix_bytes_min = within(1, 1000)? as usize,
        b"MAXPREFIXEXPANSIONS" | b"MAXEXPANSIONS" => {
            options.expansions_max = within(1, i64::MAX as u64)?.min(EXPANSIONS_MAX) as usize;
        }
        _ => return Err(Error::NO_SUCH_OPTION),
    }
    Ok(())
}
