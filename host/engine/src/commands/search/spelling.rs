//! FT.SPELLCHECK: words of a query that no document has, and what may be meant.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::administration::readable;
use crate::args::Args;
use crate::error::Error;
use crate::search::parsing::{self, Parameters, Reading};
use crate::search::patience::Patience;
use crate::search::query::{ALL_FIELDS, Kind, Node, TextFields};
use crate::search::{Part, planning, tokens};
use crate::step::Cx;
use crate::types::hasher::Hasher;
use crate::types::number;

/// What may be meant by a word.
type Suggestions = BTreeMap<Vec<u8>, u64>;

/// How words are looked at.
struct Options<'a> {
    /// How many letters may be different.
    distance: usize,
    /// Dictionaries of words that may be meant.
    included: Vec<&'a [u8]>,
    /// Dictionaries of words that are right.
    excluded: Vec<&'a [u8]>,
    dialect: u8,
}

impl<'a> Options<'a> {
    fn read(args: &mut Args<'a>, dialect: u8) -> Result<Self, Error> {
        let (included, excluded) = (Vec::new(), Vec::new());
        let mut options = Self { distance: 1, included, excluded, dialect };
        while !args.is_done() {
            match args.one_of(&["DISTANCE", "TERMS", "DIALECT"]) {
                Some(0) => {
                    let parsed = number::parse_i64(args.bytes()?);
                    let parsed = parsed.filter(|far| (1..=4).contains(far));
                    let parsed = parsed.ok_or_else(|| Error::bad_arguments("DISTANCE"))?;
                    options.distance = parsed as usize;
                }
                Some(1) => match args.one_of(&["INCLUDE", "EXCLUDE"]) {
                    Some(0) => options.included.push(args.bytes()?),
                    Some(_) => options.excluded.push(args.bytes()?),
                    None => return Err(Error::bad_arguments("TERMS")),
                },
                Some(_) => options.dialect = super::request::dialect(args)?,
                None => {
                    let word = args.bytes()?;
                    args.skip_rest();
                    return Err(Error::unknown_word(word));
                }
            }
        }
        Ok(options)
    }
}

pub(super) fn spellcheck(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (name, query) = (args.bytes()?, args.bytes()?);
    let catalogue = cx.keys.catalogue();
    let options = Options::read(args, catalogue.options.dialect)?;
    let Options { distance, included, excluded, dialect } = options;
    let at = readable(cx, args, name)?;
    let parts = cx.keys.parts_of_index(at);
    let Some(schema) = catalogue.indexes.get(at) else { return Err(Error::UNKNOWN_INDEX) };
    let words_of = |names: &[&[u8]]| {
        let found = names.iter().filter_map(|name| catalogue.dictionaries.get(*name));
        found.flatten().map(|word| word.to_vec()).collect::<BTreeSet<_>>()
    };
    for name in included.iter().chain(&excluded) {
        if !catalogue.dictionaries.contains_key(*name) {
            return Err(Error::no_dictionary(name));
        }
    }
    let (included, excluded) = (words_of(&included), words_of(&excluded));
    let none = Parameters::new();
    let reading = Reading {
        schema,
        parameters: &none,
        dialect,
        language: schema.language(),
        verbatim: true,
        keeps_stop_words: false,
    };
    let mut asked = Vec::new();
    let query = parsing::parse(query, reading).map_err(Error::Owned)?;
    each_word(&query, &mut |word, fields| asked.push((word.to_vec(), fields)));
    let mut documents: BTreeMap<&[u8], u64> = BTreeMap::new();
    for (word, found) in parts.iter().flat_map(|part| part.words().iter()) {
        if tokens::is_written(word) {
            *documents.entry(word).or_default() += found.len();
        }
    }
    let host = &*cx.host;
    let now_us = || host.now_us();
    let patience = Patience::new(&now_us, catalogue.options.timeout_ms);
    let work = documents.len().saturating_add(1).try_into().unwrap_or(u32::MAX);
    let total: u64 = parts.iter().map(|part| part.len() as u64).sum();
    let hasher = &cx.keys.rules.hasher;
    let mut misspelled: Vec<(Vec<u8>, Suggestions)> = Vec::new();
    let mut told: BTreeSet<Vec<u8>> = BTreeSet::new();
    for (word, fields) in asked {
        if patience.is_over_after(work) {
            break;
        }
        let is_known = documents.contains_key(word.as_slice());
        if is_known || excluded.contains(&word) || !told.insert(word.clone()) {
            continue;
        }
        let is_close = |other: &[u8]| planning::is_within(&word, other, distance);
        let is_there = |other: &[u8]| is_in(&parts, other, fields, hasher);
        let close = documents.iter().filter(|(other, _)| is_close(other) && is_there(other));
        let mut found: Suggestions = close.map(|(other, count)| (other.to_vec(), *count)).collect();
        for other in included.iter().filter(|other| is_close(other)) {
            found.entry(other.clone()).or_default();
        }
        misspelled.push((word, found));
    }
    say(cx.reply, &misspelled, total);
    Ok(())
}

/// Shows each word that a query looks for, with the text fields in which it does.
fn each_word(node: &Node, show: &mut dyn FnMut(&[u8], TextFields)) {
    match &node.kind {
        Kind::Word { text, .. } if !text.is_empty() => show(text, node.fields),
        Kind::Exact(words) => words.iter().for_each(|word| show(word, node.fields)),
        Kind::And(nodes) | Kind::Or(nodes) => {
            nodes.iter().for_each(|node| each_word(node, show));
        }
        Kind::Not(node) | Kind::Optional(node) => each_word(node, show),
        _ => {}
    }
}

/// Whether some document has a word in one of these fields.
fn is_in(parts: &[&Part], word: &[u8], fields: TextFields, hasher: &Hasher) -> bool {
    fields == ALL_FIELDS
        || parts.iter().any(|part| {
            let Some(id) = part.words().find(word, hasher) else { return false };
            let documents = part.words().documents(id).to_set();
            let terms = documents.iter().filter_map(|number| part.document(number)?.term(id));
            terms.into_iter().any(|term| term.fields & fields != 0)
        })
}

fn say(reply: &mut reef_resp::Writer, misspelled: &[(Vec<u8>, Suggestions)], total: u64) {
    let is_map = reply.is_resp3();
    if is_map {
        reply.map(1);
        reply.bulk(b"results");
        reply.map(misspelled.len());
    } else {
        reply.array(misspelled.len());
    }
    for (word, found) in misspelled {
        let mut found: Vec<(&Vec<u8>, &u64)> = found.iter().collect();
        found.sort_by_key(|(_, count)| core::cmp::Reverse(**count));
        if !is_map {
            reply.array(3);
            reply.bulk(b"TERM");
        }
        reply.bulk(word);
        reply.array(found.len());
        for (other, count) in found {
            let score = if total == 0 { 0.0 } else { *count as f64 / total as f64 };
            let mut text = Vec::new();
            number::write_f64_shortest(&mut text, score);
            if is_map {
                reply.map(1);
                reply.bulk(other);
                reply.double(score, &text);
            } else {
                reply.array(2);
                reply.bulk(&text);
                reply.bulk(other);
            }
        }
    }
}
