//! What FT.PROFILE says of a query: how long its parts took and how much they found.
//!
//! In RESP2 names and values lie flat, and the parts of a part stand behind their name one by one.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use reef_resp::Writer;

use super::finding::Finding;
use crate::search::matching::Tally;
use crate::search::planning::{Step, StepKind};
use crate::search::query::{Kind, Node, Pattern};
use crate::types::number;

/// What is known of a query that runs.
#[derive(Debug, Default)]
pub(super) struct Profile {
    /// Nobody wants to know otherwise.
    is_wanted: bool,
    /// Whether nothing is said of what words stand for one by one.
    is_limited: bool,
    began_us: u64,
    last_us: u64,
    parsed_us: u64,
    planned_us: u64,
    is_late: bool,
    tally: Tally,
    processors: Vec<Processor>,
}

/// Something that rows went through.
#[derive(Debug)]
struct Processor {
    name: Cow<'static, str>,
    took_us: u64,
    rows: usize,
}

impl Profile {
    /// Of a query that begins now.
    pub(super) fn new(now_us: u64, is_limited: bool) -> Self {
        Self { is_wanted: true, is_limited, began_us: now_us, last_us: now_us, ..Self::default() }
    }

    /// Where it is to be noted what steps find, if it is.
    pub(super) fn tally(&self) -> Option<&Tally> {
        self.is_wanted.then_some(&self.tally)
    }

    /// So much there is beside what the query answers.
    pub(super) fn entries(&self) -> usize {
        usize::from(self.is_wanted)
    }

    fn lap(&mut self, now_us: &dyn Fn() -> u64) -> u64 {
        let (now, last) = (now_us(), self.last_us);
        self.last_us = now;
        now.saturating_sub(last)
    }

    /// The query is understood.
    pub(super) fn parsed(&mut self, now_us: &dyn Fn() -> u64) {
        if self.is_wanted {
            self.parsed_us = self.lap(now_us);
        }
    }

    /// It is clear what to do.
    pub(super) fn planned(&mut self, now_us: &dyn Fn() -> u64) {
        if self.is_wanted {
            self.planned_us = self.lap(now_us);
        }
    }

    /// Documents were found, and then their scores, if `is_scored`.
    pub(super) fn found(
        &mut self,
        now_us: &dyn Fn() -> u64,
        (found, is_scored, is_late): (&super::finding::Found, bool, bool),
    ) {
        if !self.is_wanted {
            return;
        }
        let all_us = self.lap(now_us);
        let rows = found.hits.len();
        self.is_late = is_late;
        self.note("Index", found.took_us.min(all_us), rows);
        if is_scored {
            self.note("Scorer", all_us.saturating_sub(found.took_us), rows);
        }
    }

    /// Rows went through something.
    pub(super) fn passed(&mut self, now_us: &dyn Fn() -> u64, name: &'static str, rows: usize) {
        if self.is_wanted {
            let took_us = self.lap(now_us);
            self.note(name, took_us, rows);
        }
    }

    fn note(&mut self, name: impl Into<Cow<'static, str>>, took_us: u64, rows: usize) {
        self.processors.push(Processor { name: name.into(), took_us, rows });
    }

    /// Says all of it behind what the query answers; nothing if nobody wants to know.
    pub(super) fn say(&self, reply: &mut Writer, finding: &Finding<'_>, now_us: u64) {
        if !self.is_wanted {
            return;
        }
        let is_map = reply.is_resp3();
        if is_map {
            reply.bulk(b"profile");
            reply.map(6);
        } else {
            reply.array(6);
        }
        let times = [
            ("Total profile time", now_us.saturating_sub(self.began_us)),
            ("Parsing time", self.parsed_us),
            ("Pipeline creation time", self.planned_us),
        ];
        for (name, took_us) in times {
            head(reply, name, 2);
            say_ms(reply, took_us);
        }
        let warning = self.is_late.then_some("Timeout limit was reached");
        head(reply, "Warning", if is_map || warning.is_some() { 2 } else { 1 });
        if let Some(warning) = warning.or(is_map.then_some("None")) {
            reply.status(warning);
        }
        head(reply, "Iterators profile", 2);
        if is_map {
            reply.array(1);
        }
        self.say_step(reply, finding, Some(&finding.query), &finding.plan.root);
        head(reply, "Result processors profile", 1 + self.processors.len());
        if is_map {
            reply.array(self.processors.len());
        }
        for processor in &self.processors {
            begin(reply, 3, 0);
            pair(reply, "Type", &processor.name);
            reply.bulk(b"Time");
            say_ms(reply, processor.took_us);
            reply.bulk(b"Counter");
            reply.integer(processor.rows as i64);
        }
    }

    /// Says what a step of the plan found; `node` is the part of the query that it comes from, if it
    /// does as a whole.
    fn say_step(
        &self,
        reply: &mut Writer,
        finding: &Finding<'_>,
        node: Option<&Node>,
        step: &Step,
    ) {
        let children = children(step);
        let is_hidden = self.is_limited && node.is_some_and(stands_for_words);
        let term = term(finding, step);
        let query_type = query_type(finding, node, step);
        let own = 3 + usize::from(term.is_some()) + usize::from(query_type.is_some());
        match (children.len(), is_hidden) {
            (0, _) => begin(reply, own, 0),
            (_, true) => begin(reply, own + 1, 0),
            (count, false) => begin(reply, own + 1, count - 1),
        }
        pair(reply, "Type", type_name(finding, step));
        if let Some(query_type) = query_type {
            pair(reply, "Query type", &query_type);
        }
        if let Some(text) = &term {
            reply.bulk(b"Term");
            reply.bulk(text);
        }
        let figures = self.tally.figures(step);
        reply.bulk(b"Time");
        say_ms(reply, figures.took_us);
        reply.bulk(b"Counter");
        reply.integer(figures.found.try_into().unwrap_or(i64::MAX));
        if children.is_empty() {
            return;
        }
        reply.bulk(b"Child iterators");
        if is_hidden {
            let text = format!("The number of iterators in the union is {}", children.len());
            return reply.bulk(text.as_bytes());
        }
        if reply.is_resp3() {
            reply.array(children.len());
        }
        let nodes = node.map(parts).filter(|nodes| nodes.len() == children.len());
        for (at, child) in children.iter().enumerate() {
            let node = nodes.and_then(|nodes| nodes.get(at));
            self.say_step(reply, finding, node, child);
        }
    }
}

/// Begins something with so many names and values; `more` of its parts stand beside the first.
fn begin(reply: &mut Writer, pairs: usize, more: usize) {
    if reply.is_resp3() {
        reply.map(pairs);
    } else {
        reply.array(pairs * 2 + more);
    }
}

/// A name with what belongs to it: an array of its own in RESP2.
fn head(reply: &mut Writer, name: &str, items: usize) {
    if !reply.is_resp3() {
        reply.array(items);
    }
    reply.bulk(name.as_bytes());
}

fn pair(reply: &mut Writer, name: &str, value: &str) {
    reply.bulk(name.as_bytes());
    reply.bulk(value.as_bytes());
}

fn say_ms(reply: &mut Writer, took_us: u64) {
    let took_ms = took_us as f64 / 1000.0;
    let mut text = Vec::new();
    number::write_f64_shortest(&mut text, took_ms);
    reply.double(took_ms, &text);
}

fn children(step: &Step) -> &[Step] {
    match &step.kind {
        StepKind::And(steps, _) | StepKind::Or(steps) => steps,
        StepKind::Not(step) | StepKind::Optional(step) => core::slice::from_ref(step),
        _ => &[],
    }
}

/// The parts of a part of a query.
fn parts(node: &Node) -> &[Node] {
    match &node.kind {
        Kind::And(nodes) | Kind::Or(nodes) => nodes,
        Kind::Not(node) | Kind::Optional(node) => core::slice::from_ref(node),
        _ => &[],
    }
}

/// Whether a part of a query stands for whatever words or tags there are.
fn stands_for_words(node: &Node) -> bool {
    matches!(node.kind, Kind::Pattern(_) | Kind::Fuzzy(..) | Kind::Tags(..))
}

fn type_name(finding: &Finding<'_>, step: &Step) -> &'static str {
    match &step.kind {
        StepKind::Nothing => "EMPTY",
        StepKind::All => "WILDCARD",
        StepKind::Term(number) => {
            let term = finding.plan.terms.get(*number);
            if term.is_some_and(|term| term.tag_of.is_some()) { "TAG" } else { "TEXT" }
        }
        StepKind::And(..) => "INTERSECT",
        StepKind::Or(_) => "UNION",
        StepKind::Not(_) => "NOT",
        StepKind::Optional(_) => "OPTIONAL",
        StepKind::Numeric(..) => "NUMERIC",
        StepKind::Geo(..) => "GEO",
        StepKind::Missing(_) => "MISSING",
    }
}

/// What a step looks for that has no parts.
fn term(finding: &Finding<'_>, step: &Step) -> Option<Vec<u8>> {
    let text = match &step.kind {
        StepKind::Term(number) => finding.plan.terms.get(*number)?.text.clone(),
        StepKind::Numeric(_, range) => {
            format!("{} - {}", range.low.value, range.high.value).into_bytes()
        }
        StepKind::Geo(_, circle) => {
            format!("{},{}", circle.longitude, circle.latitude).into_bytes()
        }
        StepKind::Missing(field) => finding.schema.fields.get(*field)?.name.to_vec(),
        _ => return None,
    };
    Some(text)
}

/// What a union is for.
fn query_type(finding: &Finding<'_>, node: Option<&Node>, step: &Step) -> Option<String> {
    if !matches!(step.kind, StepKind::Or(_)) {
        return None;
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some(match node.map(|node| &node.kind) {
        Some(Kind::Fuzzy(word, _)) => format!("FUZZY - {}", text(word)),
        Some(Kind::Pattern(Pattern::Wildcard(pattern))) => format!("WILDCARD - {}", text(pattern)),
        Some(Kind::Pattern(
            Pattern::Prefix(part) | Pattern::Suffix(part) | Pattern::Infix(part),
        )) => format!("PREFIX - {}", text(part)),
        Some(Kind::Tags(field, _)) => {
            let field = finding.schema.fields.get(*field);
            format!("TAG - {}", text(field.map_or(&[], |field| &field.name)))
        }
        _ => "UNION".into(),
    })
}
