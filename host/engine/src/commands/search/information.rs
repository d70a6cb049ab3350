//! FT.INFO and FT.TAGVALS.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use hashbrown::HashTable;
use reef_resp::Writer;

use super::administration::readable;
use crate::args::Args;
use crate::error::Error;
use crate::search::schema::{Field, FieldType, Keeping};
use crate::search::{CURSORS_MAX, FieldFailures, Part, Schema, Sizes, shown_number};
use crate::step::Cx;
use crate::types::hasher::Hasher;

/// A map that is flat in RESP2.
struct Pairs<'w> {
    reply: &'w mut Writer,
    mark: reef_resp::Mark,
    count: usize,
}

impl<'w> Pairs<'w> {
    fn new(reply: &'w mut Writer) -> Self {
        let mark = reply.mark();
        Self { reply, mark, count: 0 }
    }

    fn key(&mut self, name: &str) -> &mut Writer {
        self.count += 1;
        self.reply.bulk(name.as_bytes());
        self.reply
    }

    fn text(&mut self, name: &str, value: &[u8]) {
        self.key(name).bulk(value);
    }

    fn integer(&mut self, name: &str, value: u64) {
        self.key(name).integer(value as i64);
    }

    fn number(&mut self, name: &str, value: f64) {
        self.key(name).double(value, &shown_number(value));
    }

    fn end(self) {
        self.reply.map_since(self.mark, self.count);
    }
}

pub(super) fn info(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let name = args.bytes()?;
    let catalogue = cx.keys.catalogue();
    let place = catalogue.resolve(name).ok_or(Error::UNKNOWN_INDEX)?;
    let Some(schema) = catalogue.indexes.get(place) else { return Err(Error::UNKNOWN_INDEX) };
    cx.keys.shed_indexed();
    super::administration::note_use(cx, place);
    let now = cx.keys.now;
    let cursors = cx.keys.cursors().map(|cursors| cursors.count(&schema.name, now));
    let (open, own) = cursors.unwrap_or_default();
    let parts = cx.keys.parts_of_index(place);
    let is_scanning = parts.iter().any(|part| part.scan.is_some());
    let keys = cx.keys.keys_of_indexed();
    let mut pairs = Pairs::new(cx.reply);
    pairs.text("index_name", &schema.name);
    say_options(pairs.key("index_options"), schema.keeping);
    say_definition(pairs.key("index_definition"), schema);
    let reply = pairs.key("attributes");
    reply.array(schema.fields.len());
    schema.fields.iter().for_each(|field| say_field(reply, field));
    say_figures(&mut pairs, schema, &parts, &cx.keys.rules.hasher);
    pairs.integer("indexing", u64::from(is_scanning));
    let seen: u64 = parts.iter().map(|part| part.len() as u64).sum();
    let share = if is_scanning { seen as f64 / (keys.max(seen).max(1)) as f64 } else { 1.0 };
    pairs.number("percent_indexed", share);
    pairs.integer("number_of_uses", schema.uses.count());
    pairs.integer("cleaning", 0);
    say_cursors(&mut pairs, open, own);
    let reply = pairs.key("dialect_stats");
    reply.map(4);
    for dialect in 1..=4 {
        reply.bulk(alloc::format!("dialect_{dialect}").as_bytes());
        reply.integer(i64::from(schema.uses.has_dialect(dialect)));
    }
    if let Some(own) = schema.stop_words.own() {
        let reply = pairs.key("stopwords_list");
        reply.array(own.len());
        own.iter().for_each(|word| reply.bulk(word));
    }
    say_failures(&mut pairs, schema, &parts);
    pairs.end();
    Ok(())
}

/// What could not be indexed, all together and of each field.
fn say_failures(pairs: &mut Pairs<'_>, schema: &Schema, parts: &[&Part]) {
    let of_field = |place: usize| parts.iter().filter_map(move |part| part.failures.of(place));
    let all: Vec<&FieldFailures> = (0..schema.fields.len()).flat_map(of_field).collect();
    say_errors(pairs.key("Index Errors"), &all);
    let reply = pairs.key("field statistics");
    reply.array(schema.fields.len());
    for (place, field) in schema.fields.iter().enumerate() {
        let mut pairs = Pairs::new(reply);
        pairs.text("identifier", &field.path);
        pairs.text("attribute", &field.name);
        say_errors(pairs.key("Index Errors"), &of_field(place).collect::<Vec<_>>());
        pairs.end();
    }
}

fn say_errors(reply: &mut Writer, failures: &[&FieldFailures]) {
    const NONE: &[u8] = b"N/A";
    let last = failures.iter().max_by_key(|failures| failures.sequence);
    let mut pairs = Pairs::new(reply);
    pairs.integer("indexing failures", failures.iter().map(|failures| failures.count).sum());
    pairs.text("last indexing error", last.map_or(NONE, |last| last.why.as_bytes()));
    pairs.text("last indexing error key", last.map_or(NONE, |last| &last.key));
    pairs.end();
}

fn say_cursors(pairs: &mut Pairs<'_>, open: usize, own: usize) {
    let mut pairs = Pairs::new(pairs.key("cursor_stats"));
    pairs.integer("global_idle", open as u64);
    pairs.integer("global_total", open as u64);
    pairs.integer("index_capacity", CURSORS_MAX as u64);
    pairs.integer("index_total", own as u64);
    pairs.end();
}

fn say_options(reply: &mut Writer, keeping: Keeping) {
    let all = [
        (keeping.no_frequencies, "NOFREQS"),
        (keeping.no_fields, "NOFIELDS"),
        (keeping.no_offsets, "NOOFFSETS"),
        (keeping.no_highlights, "NOHL"),
        (keeping.many_texts, "MAXTEXTFIELDS"),
    ];
    let set = all.iter().filter(|(is_set, _)| *is_set);
    reply.array(set.clone().count());
    set.for_each(|(_, name)| reply.bulk(name.as_bytes()));
}

fn say_definition(reply: &mut Writer, schema: &Schema) {
    let mut pairs = Pairs::new(reply);
    pairs.text("key_type", schema.documents.name().as_bytes());
    let reply = pairs.key("prefixes");
    reply.array(schema.prefixes.len());
    schema.prefixes.iter().for_each(|prefix| reply.bulk(prefix));
    let defaults = &schema.defaults;
    if let Some((filter, _)) = &schema.filter {
        pairs.text("filter", filter);
    }
    let languages =
        [("default_language", &defaults.language), ("language_field", &defaults.language_field)];
    let others =
        [("score_field", &defaults.score_field), ("payload_field", &defaults.payload_field)];
    let say = |pairs: &mut Pairs<'_>, fields: [(&str, &Option<Box<[u8]>>); 2]| {
        for (name, value) in fields {
            value.iter().for_each(|value| pairs.text(name, value));
        }
    };
    say(&mut pairs, languages);
    pairs.number("default_score", defaults.score.unwrap_or(1.0));
    say(&mut pairs, others);
    pairs.end();
}

/// A field: names and values lie flat beside single words in RESP2, and words are flags in RESP3.
fn say_field(reply: &mut Writer, field: &Field) {
    let mut flags = Vec::new();
    let mut values: Vec<(&str, Vec<u8>)> = alloc::vec![
        ("identifier", field.path.to_vec()),
        ("attribute", field.name.to_vec()),
        ("type", field.kind.name().as_bytes().to_vec()),
    ];
    match &field.kind {
        FieldType::Text { weight, no_stem, .. } => {
            values.push(("WEIGHT", shown_number(*weight)));
            if *no_stem {
                flags.push("NOSTEM");
            }
        }
        FieldType::Tag { separator, case_sensitive } => {
            values.push(("SEPARATOR", separator.iter().copied().collect()));
            if *case_sensitive {
                flags.push("CASESENSITIVE");
            }
        }
        FieldType::Numeric | FieldType::Geo => {}
    }
    let more = [
        (field.is_sortable, "SORTABLE"),
        (field.is_raw_sortable, "UNF"),
        (!field.is_indexed, "NOINDEX"),
        (field.has_suffixes, "WITHSUFFIXTRIE"),
        (field.indexes_empty, "INDEXEMPTY"),
        (field.indexes_missing, "INDEXMISSING"),
    ];
    flags.extend(more.iter().filter(|(is_set, _)| *is_set).map(|(_, name)| *name));
    if reply.is_resp3() {
        reply.map(values.len() + 1);
    } else {
        reply.array(values.len() * 2 + flags.len());
    }
    for (name, value) in &values {
        reply.bulk(name.as_bytes());
        reply.bulk(value);
    }
    if reply.is_resp3() {
        reply.bulk(b"flags");
        reply.array(flags.len());
    }
    flags.iter().for_each(|flag| reply.bulk(flag.as_bytes()));
}

/// What there is in numbers. All of it is kept as it changes; only how many words there are in several
/// shards is counted, if some came or went since.
fn say_figures(pairs: &mut Pairs<'_>, schema: &Schema, parts: &[&Part], hasher: &Hasher) {
    const MB: f64 = 1024.0 * 1024.0;
    let sum = |figure: fn(&Part) -> u64| parts.iter().map(|part| figure(part)).sum::<u64>();
    let documents = sum(|part| part.len() as u64);
    let mut sizes = Sizes::default();
    parts.iter().for_each(|part| sizes.add(part.sizes()));
    let words = count_words(schema, parts, hasher);
    let bytes = sum(|part| part.heap_bytes() as u64) as f64;
    let word_bytes = sum(|part| part.words().heap_bytes() as u64) as f64;
    let apart = word_bytes + (sizes.place_bytes + sizes.sort_bytes + sizes.key_bytes) as f64;
    let ratio = |a: f64, b: u64| if b == 0 { 0.0 } else { a / b as f64 };
    pairs.integer("num_docs", documents);
    pairs.integer("max_doc_id", sum(|part| part.numbers_given() as u64));
    pairs.integer("num_terms", words);
    pairs.integer("num_records", sizes.records);
    pairs.number("inverted_sz_mb", word_bytes / MB);
    pairs.number("vector_index_sz_mb", 0.0);
    pairs.integer("total_inverted_index_blocks", sum(|part| part.words().len() as u64));
    pairs.number("offset_vectors_sz_mb", sizes.place_bytes as f64 / MB);
    pairs.number("doc_table_size_mb", (bytes - apart).max(0.0) / MB);
    pairs.number("sortable_values_size_mb", sizes.sort_bytes as f64 / MB);
    pairs.number("key_table_size_mb", sizes.key_bytes as f64 / MB);
    pairs.number("total_index_memory_sz_mb", bytes / MB);
    pairs.number("records_per_doc_avg", ratio(sizes.records as f64, documents));
    pairs.number("bytes_per_record_avg", ratio(word_bytes, sizes.records));
    pairs.number("offsets_per_term_avg", ratio(sizes.places as f64, sizes.records));
    let place_bits = 8.0 * sizes.place_bytes as f64;
    pairs.number("offset_bits_per_record_avg", ratio(place_bits, sizes.places));
    pairs.integer("hash_indexing_failures", sum(|part| part.failures.count()));
    // Nobody looks at a clock while documents are written.
    pairs.number("total_indexing_time", 0.0);
}

/// How many different words all documents have.
fn count_words(schema: &Schema, parts: &[&Part], hasher: &Hasher) -> u64 {
    if let [only] = parts {
        return only.words().len() as u64;
    }
    let turns = parts.iter().map(|part| part.words().turns()).sum();
    schema.uses.words(turns, || {
        let all = parts.iter().flat_map(|part| part.words().iter());
        let mut known: HashTable<u64> = HashTable::new();
        for (word, _) in all {
            let hash = hasher.hash(word);
            if known.find(hash, |other| *other == hash).is_none() {
                known.insert_unique(hash, hash, |hash| *hash);
            }
        }
        known.len() as u64
    })
}

pub(super) fn tag_values(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (name, field) = (args.bytes()?, args.bytes()?);
    let place = readable(cx, args, name)?;
    let catalogue = cx.keys.catalogue();
    let Some(schema) = catalogue.indexes.get(place) else { return Err(Error::UNKNOWN_INDEX) };
    let (at, field) = schema.field(field).ok_or(Error::NO_SUCH_FIELD)?;
    if !matches!(field.kind, FieldType::Tag { .. }) {
        return Err(Error::NOT_A_TAG_FIELD);
    }
    cx.keys.shed_indexed();
    let parts = cx.keys.parts_of_index(place);
    let tags = parts.iter().filter_map(|part| part.tags(at));
    let all: BTreeSet<&[u8]> = tags.flat_map(|tags| tags.iter().map(|(tag, _)| tag)).collect();
    cx.reply.set(all.len());
    all.iter().for_each(|tag| cx.reply.bulk(tag));
    Ok(())
}
