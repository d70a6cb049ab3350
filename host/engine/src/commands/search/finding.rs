//! From a query to the documents that it finds, best first.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering;

use super::administration::place;
use super::request::Request;
use crate::error::Error;
use crate::keyspace::{INDEXED_DATABASE, Keyspace, Slot};
use crate::search::matching::{Matching, Tally};
use crate::search::parsing::{self, Reading};
use crate::search::patience::Patience;
use crate::search::planning::{Closeness, Plan, Planner};
use crate::search::query::{ALL_FIELDS, Kind, Node, TextFields};
use crate::search::schema::{DocumentType, Field, FieldType};
use crate::search::scoring::{Scorer, closeness};
use crate::search::{Document, Options, Part, Path, Schema, SortValue, Source};

/// An index and what is looked for in it.
pub(super) struct Finding<'k> {
    pub(super) keys: &'k Keyspace<'k>,
    pub(super) schema: Arc<Schema>,
    pub(super) options: Options,
    pub(super) request: &'k Request,
    pub(super) query: Node,
    pub(super) plan: Plan,
    parts: Vec<&'k Part>,
    patience: &'k Patience<'k>,
    /// Hashes that stay with fields that are due, without these.
    partly_due: BTreeMap<Box<[u8]>, Slot>,
}

/// A document that was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hit {
    part: usize,
    id: u32,
    sequence: u64,
    pub(super) score: f64,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) hits: Vec<Hit>,
    /// Whether there was no time for all of it.
    pub(super) is_late: bool,
    /// How long it took to find it, without scores, if somebody wants to know.
    pub(super) took_us: u64,
}

impl<'k> Finding<'k> {
    /// Reads a query and makes it ready.
    pub(super) fn new(
        keys: &'k Keyspace<'k>,
        name: &[u8],
        request: &'k Request,
        patience: &'k Patience<'k>,
    ) -> Result<Self, Error> {
        let place = place(keys, name)?;
        let catalogue = keys.catalogue();
        let schema =
            catalogue.indexes.get(place).ok_or_else(|| Error::no_such_index(name))?.clone();
        let parts = keys.parts_of_index(place);
        schema.uses.note_dialect(request.dialect);
        let query = read(&schema, request)?;
        let planner = Planner {
            schema: &schema,
            parts: &parts,
            options: &catalogue.options,
            closeness: Closeness { slop: request.slop, in_order: request.in_order },
            language: request.language.unwrap_or_else(|| schema.language()),
            hasher: &keys.rules.hasher,
            patience,
        };
        let plan = planner.plan(&query);
        let options = catalogue.options.clone();
        let partly_due = keys.partly_due_of_indexed();
        Ok(Self { keys, schema, options, request, query, plan, parts, patience, partly_due })
    }

    /// Whether all values that a path leads to are shown, and not the first.
    pub(super) fn shows_whole(&self) -> bool {
        /// From this dialect on.
        const WHOLE_DIALECT: u8 = 3;
        self.request.dialect >= WHOLE_DIALECT && self.schema.documents == DocumentType::Json
    }

    /// The query as a tree in words.
    pub(super) fn explained(&self) -> alloc::string::String {
        let planner = Planner {
            schema: &self.schema,
            parts: &self.parts,
            options: &self.options,
            closeness: Closeness::default(),
            language: self.request.language.unwrap_or_else(|| self.schema.language()),
            hasher: &self.keys.rules.hasher,
            patience: self.patience,
        };
        self.query.explain(&self.schema, &|node| planner.other_forms(node))
    }

    /// Looks for the documents, in no order. It is noted how much each step of the plan finds, if
    /// somebody wants to know.
    pub(super) fn find(&self, is_scored: bool, tally: Option<&Tally>) -> Found {
        let patience = self.patience;
        let work = if is_scored { self.plan.size } else { 1 };
        let mut found = Found::default();
        let due = self.keys_not_seen();
        for (at, part) in self.parts.iter().enumerate() {
            let matching = Matching { plan: &self.plan, part, shard: at, patience, tally };
            let from_us = tally.map(|_| patience.now_us());
            let mut documents = matching.documents();
            found.took_us += from_us.map_or(0, |from| patience.now_us().saturating_sub(from));
            if let Some(keys) = &self.request.in_keys {
                let hasher = &self.keys.rules.hasher;
                let ids = keys.iter().filter_map(|key| part.id(hasher.hash(key), key));
                documents &= ids.collect::<roaring::RoaringBitmap>();
            }
            for key in &due {
                let hash = self.keys.rules.hasher.hash(key);
                part.id(hash, key).into_iter().for_each(|id| {
                    documents.remove(id);
                });
            }
            for id in &documents {
                if patience.is_over_after(work) {
                    break;
                }
                let Some(document) = part.document(id) else { continue };
                let scorer = self.request.scorer;
                let score = match scorer {
                    _ if !is_scored => 0.0,
                    Scorer::Payload => self.closeness(document),
                    _ => scorer.score(&matching, document),
                };
                found.hits.push(Hit { part: at, id, sequence: document.sequence, score });
            }
        }
        found.is_late = patience.is_over();
        found
    }

    /// How close the payload of a document is to the one that was given.
    fn closeness(&self, document: &Document) -> f64 {
        let payload = self.payload(document);
        let (Some(wanted), Some(payload)) = (&self.request.payload, payload) else { return 0.0 };
        closeness(wanted, &payload)
    }

    /// The payload of a document.
    pub(super) fn payload(&self, document: &Document) -> Option<Vec<u8>> {
        let field = self.schema.defaults.payload_field.as_ref()?;
        let path = Path::of_name(field, self.schema.documents);
        self.source(document)?.shown(field, &path)
    }

    /// Keys that are due and must stay for now.
    fn keys_not_seen(&self) -> Vec<Box<[u8]>> {
        self.keys.due_keys_of_indexed()
    }

    /// The document of a hit.
    pub(super) fn document(&self, hit: &Hit) -> Option<&'k Document> {
        self.parts.get(hit.part)?.document(hit.id)
    }

    /// What the key of a document holds.
    pub(super) fn source(&self, document: &Document) -> Option<Source<'_>> {
        let without_due = self.partly_due.get(&document.key);
        let slot = without_due.or_else(|| self.keys.slot_in(INDEXED_DATABASE, &document.key))?;
        let hasher = &self.keys.rules.hasher;
        Source::of(slot.as_value()?, self.schema.documents, hasher)
    }

    /// The order of two documents that are otherwise equal: that in which they were written.
    pub(super) fn order(&self, one: &Hit, other: &Hit) -> Ordering {
        one.sequence.cmp(&other.sequence).then_with(|| {
            let key = |hit| self.document(hit).map(|document| &document.key);
            key(one).cmp(&key(other))
        })
    }

    /// Brings so many hits to the front, the best first.
    pub(super) fn sort_by_score(&self, hits: &mut Vec<Hit>, wanted: usize) {
        let order = |one: &Hit, other: &Hit| {
            other.score.total_cmp(&one.score).then_with(|| self.order(one, other))
        };
        sort_front(hits, wanted, order);
    }

    /// Brings so many hits to the front by a field; what has none of it comes last, and what is equal in
    /// the order of writing, downwards as the values. Gives what they are sorted by.
    pub(super) fn sort_by_field(
        &self,
        hits: &mut Vec<Hit>,
        wanted: usize,
        (place, is_descending): (usize, bool),
    ) -> Vec<SortKey<'k>> {
        let Some(field) = self.schema.fields.get(place) else { return Vec::new() };
        let keyed = hits.drain(..).map(|hit| (self.sort_key(&hit, place, field), hit));
        let mut keyed: Vec<_> = keyed.collect();
        let order = |(one, hit): &(SortKey<'_>, Hit), (other, other_hit): &(SortKey<'_>, Hit)| {
            let values = match (one, other) {
                (SortKey::Nothing, SortKey::Nothing) => Ordering::Equal,
                (SortKey::Nothing, _) => return Ordering::Greater,
                (_, SortKey::Nothing) => return Ordering::Less,
                _ if is_descending => other.order(one),
                _ => one.order(other),
            };
            values.then_with(|| {
                let order = self.order(hit, other_hit);
                if is_descending { order.reverse() } else { order }
            })
        };
        sort_front(&mut keyed, wanted, order);
        let (sort_keys, sorted): (Vec<_>, Vec<_>) = keyed.into_iter().unzip();
        *hits = sorted;
        sort_keys
    }

    fn sort_key(&self, hit: &Hit, place: usize, field: &Field) -> SortKey<'k> {
        let Some(document) = self.document(hit) else { return SortKey::Nothing };
        match document.sorts.get(place) {
            Some(SortValue::Number(number)) => return SortKey::Number(*number),
            Some(SortValue::Text(text)) => return SortKey::Text(Cow::Borrowed(text)),
            Some(SortValue::Nothing) if field.is_sortable => return SortKey::Nothing,
            _ => {}
        }
        if matches!(field.kind, FieldType::Numeric) {
            let number = document.entries.get(place).and_then(|entry| entry.numbers().first());
            return number.map_or(SortKey::Nothing, |number| SortKey::Number(*number));
        }
        let source = self.source(document);
        let shown = source.and_then(|source| source.shown(&field.path, &field.source));
        shown.map_or(SortKey::Nothing, |text| SortKey::Text(Cow::Owned(text)))
    }
}

/// What a hit is sorted by.
#[derive(Clone, Debug)]
pub(super) enum SortKey<'k> {
    Nothing,
    Number(f64),
    Text(Cow<'k, [u8]>),
}

impl SortKey<'_> {
    fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(one), Self::Number(other)) => one.total_cmp(other),
            (Self::Text(one), Self::Text(other)) => one.cmp(other),
            (Self::Number(_), _) => Ordering::Less,
            (_, Self::Number(_)) => Ordering::Greater,
            _ => Ordering::Equal,
        }
    }
}

/// Sorts what comes first; the rest is in no order.
fn sort_front<T>(all: &mut Vec<T>, wanted: usize, order: impl Fn(&T, &T) -> Ordering) {
    if wanted > 0 && wanted < all.len() {
        all.select_nth_unstable_by(wanted - 1, &order);
    }
    all.truncate(wanted);
    all.sort_unstable_by(order);
}

/// Reads a query with everything that its arguments add.
fn read(schema: &Schema, request: &Request) -> Result<Node, Error> {
    let reading = Reading {
        schema,
        parameters: &request.parameters,
        dialect: request.dialect,
        language: request.language.unwrap_or_else(|| schema.language()),
        verbatim: request.verbatim,
        keeps_stop_words: request.keeps_stop_words,
    };
    let mut query = parsing::parse(&request.query, reading).map_err(Error::Owned)?;
    if let Some(names) = &request.in_fields {
        let known = names.iter().filter_map(|name| schema.field(name));
        let fields = known.fold(0, |fields, (_, field)| match field.kind {
            FieldType::Text { number, .. } => fields | 1 << number,
            _ => fields,
        });
        query.confine(fields);
    }
    if !query.is_empty_where_possible(schema.emptiable_fields(), schema) {
        return Err(Error::NO_EMPTY_FIELD);
    }
    if !query.is_phonetic_where_possible(schema.sounding_fields()) {
        return Err(Error::NO_PHONETIC_FIELD);
    }
    check_suffixes(schema, &query)?;
    check_order(schema, &query, request.slop.is_some() || request.in_order)?;
    let mut all = alloc::vec![query];
    for (name, range) in &request.ranges {
        let place = schema.field_or_path(name).map(|(place, _)| place);
        all.push(Node::new(place.map_or(Kind::Nothing, |place| Kind::Numeric(place, *range))));
    }
    for (name, circle) in &request.circles {
        let place = schema.field_or_path(name).map(|(place, _)| place);
        all.push(Node::new(place.map_or(Kind::Nothing, |place| Kind::Geo(place, *circle))));
    }
    if all.iter().any(|node| matches!(node.kind, Kind::Nothing)) {
        return Ok(Node::new(Kind::Nothing));
    }
    Ok(Node::and(all))
}

/// Whether it is only asked where words stand in fields whose texts come in an order.
fn check_order(schema: &Schema, query: &Node, is_said: bool) -> Result<(), Error> {
    if schema.keeping.no_offsets {
        return Ok(());
    }
    let without_order = |fields: TextFields| {
        schema.fields.iter().find(|field| match field.kind {
            FieldType::Text { number, .. } => {
                fields & 1 << number != 0 && !field.source.is_ordered()
            }
            _ => false,
        })
    };
    let mut found = None;
    query.each_placing(is_said, &mut |fields| found = found.or_else(|| without_order(fields)));
    found.map_or(Ok(()), |field| Err(Error::no_order(&field.name)))
}

/// Whether fields in which words are looked for by their ends are among those that are for it, if
/// there are such.
fn check_suffixes(schema: &Schema, query: &Node) -> Result<(), Error> {
    let with_suffixes = schema.fields.iter().fold(0, |set: TextFields, field| match field.kind {
        FieldType::Text { number, .. } if field.has_suffixes => set | 1 << number,
        _ => set,
    });
    let mut is_possible = true;
    query.each_affix(&mut |fields| {
        is_possible &= fields == ALL_FIELDS || fields & !with_suffixes == 0;
    });
    if with_suffixes == 0 || is_possible { Ok(()) } else { Err(Error::NO_SUFFIXES) }
}
