//! FT.SEARCH and what is close to it.

use alloc::vec::Vec;

use super::administration::readable;
use super::finding::{Finding, Found, Hit, SortKey};
use super::highlighting::Dressing;
use super::profiling::Profile;
use super::request::{Request, Wanted};
use crate::args::Args;
use crate::error::Error;
use crate::keyspace::INDEXED_DATABASE;
use crate::search::patience::Patience;
use crate::search::schema::{DocumentType, KEY};
use crate::search::{Document, Path, SortValue, Source, shown_number};
use crate::step::Cx;
use crate::types::number;

pub(super) fn search(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (name, query) = (args.bytes()?, args.bytes()?);
    run(cx, (name, query), args, Profile::default())
}

fn run(
    cx: &mut Cx<'_>,
    (name, query): (&[u8], &[u8]),
    args: &mut Args<'_>,
    mut profile: Profile,
) -> Result<(), Error> {
    let options = cx.keys.catalogue().options.clone();
    let (mut request, mut wanted) = (Request::new(query, &options), Wanted::new());
    while !args.is_done() {
        if !request.option(args)? && !wanted.option(args, &options)? {
            let at = args.position();
            let word = args.bytes()?;
            args.skip_rest();
            return Err(Error::unknown_word_at(word, at));
        }
    }
    readable(cx, args, name)?;
    request.check_form(cx, name)?;
    cx.keys.shed_indexed();
    let host = &*cx.host;
    let now_us = || host.now_us();
    let patience = Patience::new(&now_us, request.timeout_ms);
    let finding = Finding::new(&cx.keys, name, &request, &patience)?;
    profile.parsed(&now_us);
    let place = sorted_by(&finding, &wanted)?;
    let dressing = Dressing::new(&finding, &wanted)?;
    profile.planned(&now_us);
    let is_scored = place.is_none() && wanted.count > 0 || wanted.with_scores;
    let mut found = finding.find(is_scored, profile.tally());
    profile.found(&now_us, (&found, is_scored, found.is_late));
    if found.is_late && options.fails_late {
        return Err(Error::TIMED_OUT);
    }
    let total = found.hits.len();
    let end = wanted.offset.saturating_add(wanted.count).min(options.results_max as usize);
    let keys = match place {
        Some(place) => finding.sort_by_field(&mut found.hits, end, place),
        None => {
            finding.sort_by_score(&mut found.hits, end);
            Vec::new()
        }
    };
    profile.passed(&now_us, "Sorter", found.hits.len());
    let more = profile.entries();
    let said = Said { finding: &finding, wanted: &wanted, dressing: &dressing, total, more };
    let from = wanted.offset.min(found.hits.len());
    said.say(cx.reply, &found, from, &keys);
    if !wanted.no_content {
        profile.passed(&now_us, "Loader", found.hits.len() - from);
    }
    profile.say(cx.reply, &finding, now_us());
    Ok(())
}

/// The field that results are sorted by, and whether downwards.
fn sorted_by(finding: &Finding<'_>, wanted: &Wanted) -> Result<Option<(usize, bool)>, Error> {
    let Some((name, is_descending)) = &wanted.sort_by else { return Ok(None) };
    let (place, _) =
        finding.schema.field_or_path(name).ok_or_else(|| Error::no_property_in(name, "schema"))?;
    Ok(Some((place, *is_descending)))
}

/// The path to a whole JSON document.
const ROOT: &[u8] = b"$";

/// What a search answers.
struct Said<'a> {
    finding: &'a Finding<'a>,
    wanted: &'a Wanted,
    dressing: &'a Dressing<'a>,
    total: usize,
    /// How many entries others add.
    more: usize,
}

impl Said<'_> {
    fn say(&self, reply: &mut reef_resp::Writer, found: &Found, from: usize, keys: &[SortKey<'_>]) {
        let hits = found.hits.get(from..).unwrap_or_default();
        let keys = keys.get(from..).unwrap_or_default();
        if reply.is_resp3() {
            reply.map(5 + self.more);
            reply.bulk(b"attributes");
            reply.array(0);
            reply.bulk(b"format");
            reply.bulk(b"STRING");
            reply.bulk(b"results");
            reply.array(hits.len());
            for (at, hit) in hits.iter().enumerate() {
                self.say_hit_as_map(reply, hit, keys.get(at));
            }
            reply.bulk(b"total_results");
            reply.integer(self.total as i64);
            reply.bulk(b"warning");
            reply.array(usize::from(found.is_late));
            if found.is_late {
                reply.bulk(b"Timeout limit was reached");
            }
            return;
        }
        let wanted = self.wanted;
        let others =
            [wanted.with_scores, wanted.with_payloads, wanted.with_sort_keys, !wanted.no_content];
        let each = 1 + others.iter().filter(|other| **other).count();
        reply.array(1 + hits.len() * each);
        reply.integer(self.total as i64);
        for (at, hit) in hits.iter().enumerate() {
            self.say_hit(reply, hit, keys.get(at));
        }
    }

    fn say_hit(&self, reply: &mut reef_resp::Writer, hit: &Hit, key: Option<&SortKey<'_>>) {
        let Some(document) = self.finding.document(hit) else { return };
        reply.bulk(&document.key);
        if self.wanted.with_scores {
            reply.double(hit.score, &shown_score(hit.score));
        }
        if self.wanted.with_payloads {
            self.say_payload(reply, document);
        }
        if self.wanted.with_sort_keys {
            say_sort_key(reply, key);
        }
        if !self.wanted.no_content {
            let fields = self.fields(document);
            reply.array(fields.len() * 2);
            for (name, value) in fields {
                reply.bulk(&name);
                reply.bulk(&value);
            }
        }
    }

    fn say_hit_as_map(&self, reply: &mut reef_resp::Writer, hit: &Hit, key: Option<&SortKey<'_>>) {
        let Some(document) = self.finding.document(hit) else { return };
        let wanted = self.wanted;
        let others =
            [wanted.with_scores, wanted.with_payloads, wanted.with_sort_keys, !wanted.no_content];
        reply.map(2 + others.iter().filter(|other| **other).count());
        reply.bulk(b"id");
        reply.bulk(&document.key);
        if wanted.with_scores {
            reply.bulk(b"score");
            reply.double(hit.score, &shown_score(hit.score));
        }
        if wanted.with_payloads {
            reply.bulk(b"payload");
            self.say_payload(reply, document);
        }
        if wanted.with_sort_keys {
            reply.bulk(b"sortkey");
            say_sort_key(reply, key);
        }
        if !wanted.no_content {
            let fields = self.fields(document);
            reply.bulk(b"extra_attributes");
            reply.map(fields.len());
            for (name, value) in fields {
                reply.bulk(&name);
                reply.bulk(&value);
            }
        }
        reply.bulk(b"values");
        reply.array(0);
    }

    fn say_payload(&self, reply: &mut reef_resp::Writer, document: &Document) {
        match self.finding.payload(document) {
            Some(payload) => reply.bulk(&payload),
            None => reply.nil(),
        }
    }

    /// The names and values of a document that are wanted.
    fn fields(&self, document: &Document) -> Vec<(Vec<u8>, Vec<u8>)> {
        let Some(source) = self.finding.source(document) else { return Vec::new() };
        let mut fields = Vec::new();
        if let Some(wanted) = &self.wanted.fields {
            for (path, name) in wanted {
                let shown = self.shown(document, &source, path);
                fields.extend(shown.map(|value| (name.to_vec(), value)));
            }
        } else {
            fields.extend(self.sorted_by(document, &source));
            if self.finding.shows_whole() {
                let shown = self.shown(document, &source, ROOT);
                fields.extend(shown.map(|value| (ROOT.to_vec(), value)));
            } else {
                source.each_shown(&mut |name, value| fields.push((name.to_vec(), value.to_vec())));
            }
        }
        // What says how a document is indexed is no part of it.
        let defaults = &self.finding.schema.defaults;
        let hidden = [&defaults.language_field, &defaults.score_field, &defaults.payload_field];
        if hidden.iter().any(|field| field.is_some()) {
            fields.retain(|(name, _)| !hidden.iter().any(|field| field.as_deref() == Some(name)));
        }
        self.dressed(fields)
    }

    /// The value that something that is asked for by name has in a document.
    fn shown(&self, document: &Document, source: &Source<'_>, name: &[u8]) -> Option<Vec<u8>> {
        let schema = &self.finding.schema;
        let is_whole = self.finding.shows_whole();
        let of = |path: &[u8], at: &Path| {
            if is_whole { source.shown_whole(path, at) } else { source.shown(path, at) }
        };
        match schema.field(name) {
            Some((place, field)) => match document.sorts.get(place) {
                Some(SortValue::Number(number)) if schema.documents == DocumentType::Hash => {
                    Some(shown_number(*number))
                }
                _ => of(&field.path, &field.source),
            },
            None if name == KEY => Some(document.key.to_vec()),
            None => of(name, &Path::of_name(name, schema.documents)),
        }
    }

    /// What a document is sorted by, where its fields do not say that under the same name.
    fn sorted_by(&self, document: &Document, source: &Source<'_>) -> Option<(Vec<u8>, Vec<u8>)> {
        let (name, _) = self.wanted.sort_by.as_ref()?;
        let (place, field) = self.finding.schema.field_or_path(name)?;
        if self.finding.schema.documents == DocumentType::Hash && *field.path == **name {
            return None;
        }
        let value = match document.sorts.get(place) {
            Some(SortValue::Text(text)) if !self.finding.shows_whole() => text.to_vec(),
            _ => self.shown(document, source, &field.name)?,
        };
        Some((name.to_vec(), value))
    }

    fn dressed(&self, mut fields: Vec<(Vec<u8>, Vec<u8>)>) -> Vec<(Vec<u8>, Vec<u8>)> {
        for (name, value) in &mut fields {
            self.dressing.dress(name, value);
        }
        fields
    }
}

/// A score as clients read it.
fn shown_score(score: f64) -> Vec<u8> {
    let mut text = Vec::new();
    number::write_f64_shortest(&mut text, score);
    text
}

fn say_sort_key(reply: &mut reef_resp::Writer, key: Option<&SortKey<'_>>) {
    let text = match key {
        Some(SortKey::Number(value)) => [b"#".as_slice(), &shown_number(*value)].concat(),
        Some(SortKey::Text(text)) => [b"$".as_slice(), text].concat(),
        _ => return reply.nil(),
    };
    reply.bulk(&text);
}

/// The query as a tree in words.
fn explained(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<alloc::string::String, Error> {
    let (name, query) = (args.bytes()?, args.bytes()?);
    let options = cx.keys.catalogue().options.clone();
    let (mut request, mut wanted) = (Request::new(query, &options), Wanted::new());
    while !args.is_done() {
        if !request.option(args)? && !wanted.option(args, &options)? {
            let at = args.position();
            let word = args.bytes()?;
            args.skip_rest();
            return Err(Error::unknown_word_at(word, at));
        }
    }
    let host = &*cx.host;
    let now_us = || host.now_us();
    let patience = Patience::new(&now_us, request.timeout_ms);
    Ok(Finding::new(&cx.keys, name, &request, &patience)?.explained())
}

pub(super) fn explain(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let text = explained(cx, args)?;
    cx.reply.bulk(text.as_bytes());
    Ok(())
}

pub(super) fn explain_cli(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let text = explained(cx, args)?;
    let lines: Vec<&str> = text.split('\n').collect();
    cx.reply.array(lines.len());
    lines.iter().for_each(|line| cx.reply.bulk(line.as_bytes()));
    Ok(())
}

/// `index SEARCH|AGGREGATE [LIMITED] QUERY query ...`: what the query answers, and how long it took.
pub(super) fn profile(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let name = args.bytes()?;
    let kind = args.one_of(&["SEARCH", "AGGREGATE"]);
    let is_limited = args.keyword("LIMITED");
    let (Some(kind), true) = (kind, args.keyword("QUERY")) else {
        args.skip_rest();
        return Err(if kind.is_none() { Error::SEARCH_OR_AGGREGATE } else { Error::NO_QUERY });
    };
    let query = args.bytes()?;
    let profile = Profile::new(cx.host.now_us(), is_limited);
    if !cx.reply.is_resp3() {
        cx.reply.array(2);
    }
    if kind == 0 {
        run(cx, (name, query), args, profile)
    } else {
        super::aggregate::run(cx, (name, query), args, profile)
    }
}

/// A document's fields, if the index has it.
fn say_document(cx: &mut Cx<'_>, at: usize, key: &[u8]) {
    let hash = cx.keys.rules.hasher.hash(key);
    let kind = cx.keys.catalogue().indexes.get(at).map(|schema| schema.documents);
    let is_document = cx.keys.parts_of_index(at).iter().any(|part| part.id(hash, key).is_some());
    let slot = cx.keys.slot_in(INDEXED_DATABASE, key).filter(|_| is_document);
    let hasher = &cx.keys.rules.hasher;
    let horizon = cx.keys.horizon();
    let without_due = slot.filter(|slot| slot.has_due_fields(horizon));
    let without_due = without_due.map(|slot| slot.without_due_fields(hasher, horizon));
    let slot = without_due.as_ref().or(slot);
    let source = slot.and_then(|slot| Source::of(slot.as_value()?, kind?, hasher));
    let Some(source) = source else { return cx.reply.nil_array() };
    let mut fields = Vec::new();
    source.each_shown(&mut |name, value| fields.push((name.to_vec(), value.to_vec())));
    cx.reply.array(fields.len() * 2);
    for (name, value) in fields {
        cx.reply.bulk(&name);
        cx.reply.bulk(&value);
    }
}

pub(super) fn get(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (name, key) = (args.bytes()?, args.bytes()?);
    cx.keys.shed_indexed();
    cx.keys.catalogue().resolve(name).ok_or(Error::UNKNOWN_INDEX_NAME)?;
    let at = readable(cx, args, name)?;
    say_document(cx, at, key);
    Ok(())
}

pub(super) fn get_many(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (name, keys) = (args.bytes()?, args.rest());
    cx.keys.shed_indexed();
    cx.keys.catalogue().resolve(name).ok_or(Error::UNKNOWN_INDEX_NAME)?;
    let at = readable(cx, args, name)?;
    cx.reply.array(keys.len());
    keys.for_each(|key| say_document(cx, at, key));
    Ok(())
}
