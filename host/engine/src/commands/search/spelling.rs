//! FT.SPELLCHECK: words of a query that no document has, and what may be meant.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::administration::readable;
use crate::args::Args;
use crate::error::Error;
use crate::search::patience::Patience;
use crate::search::{planning, tokens};
use crate::step::Cx;
use crate::types::number;

/// What may be meant by a word.
type Suggestions = BTreeMap<Vec<u8>, u64>;

pub(super) fn spellcheck(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (name, query) = (args.bytes()?, args.bytes()?);
    let (mut distance, mut included, mut excluded) = (1, Vec::new(), Vec::new());
    while !args.is_done() {
        match args.one_of(&["DISTANCE", "TERMS", "DIALECT"]) {
            Some(0) => {
                let parsed = number::parse_i64(args.bytes()?).filter(|far| (1..=4).contains(far));
                distance = parsed.ok_or_else(|| Error::bad_arguments("DISTANCE"))? as usize;
            }
            Some(1) => match args.one_of(&["INCLUDE", "EXCLUDE"]) {
                Some(0) => included.push(args.bytes()?),
                Some(_) => excluded.push(args.bytes()?),
                None => return Err(Error::bad_arguments("TERMS")),
            },
            Some(_) => drop(super::request::dialect(args)?),
            None => {
                let word = args.bytes()?;
                args.skip_rest();
                return Err(Error::unknown_word(word));
            }
        }
    }
    let at = readable(cx, args, name)?;
    let catalogue = cx.keys.catalogue();
    let parts = cx.keys.parts_of_index(at);
    let Some(schema) = catalogue.indexes.get(at) else { return Err(Error::UNKNOWN_INDEX) };
    let words_of = |names: &[&[u8]]| {
        let found = names.iter().filter_map(|name| catalogue.dictionaries.get(*name));
        found.flatten().map(|word| word.to_vec()).collect::<BTreeSet<_>>()
    };
    let (included, excluded) = (words_of(&included), words_of(&excluded));
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
    let mut misspelled: Vec<(Vec<u8>, Suggestions)> = Vec::new();
    tokens::each_word(query, &mut |word, _| {
        if patience.is_over_after(work) {
            return;
        }
        let is_known = documents.contains_key(word);
        let is_told = misspelled.iter().any(|(told, _)| told == word);
        if is_known || is_told || schema.stop_words.contain(word) || excluded.contains(word) {
            return;
        }
        let is_close =
            |other: &[u8]| planning::is_within(word, other, distance) && !excluded.contains(other);
        let close = documents.iter().filter(|(other, _)| is_close(other));
        let mut found: Suggestions = close.map(|(other, count)| (other.to_vec(), *count)).collect();
        for other in included.iter().filter(|other| is_close(other)) {
            found.entry(other.clone()).or_default();
        }
        misspelled.push((word.to_vec(), found));
    });
    say(cx.reply, &misspelled, total);
    Ok(())
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
