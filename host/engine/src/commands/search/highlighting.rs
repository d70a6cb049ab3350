//! HIGHLIGHT and SUMMARIZE: where in a text is what a query found.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::ops::Range;

use super::finding::Finding;
use super::request::{Highlight, Summary, Wanted};
use crate::error::Error;
use crate::search::planning::{Plan, Step, StepKind};
use crate::search::schema::FieldType;
use crate::search::{Schema, stemming, tokens};

/// How values are dressed up.
pub(super) struct Dressing<'a> {
    schema: &'a Schema,
    summary: Option<&'a Summary>,
    highlight: Option<&'a Highlight>,
    /// The words that the query looks for.
    words: BTreeSet<Vec<u8>>,
}

/// A word of a text, where it is and whether it was looked for.
struct Word {
    range: Range<usize>,
    is_found: bool,
}

impl<'a> Dressing<'a> {
    pub(super) fn new(finding: &'a Finding<'_>, wanted: &'a Wanted) -> Result<Self, Error> {
        let is_any = wanted.summary.is_some() || wanted.highlight.is_some();
        if is_any && finding.schema.keeping.no_highlights {
            let no_offsets = finding.schema.keeping.no_offsets;
            return Err(if no_offsets { Error::NO_OFFSETS } else { Error::NO_HIGHLIGHTS });
        }
        let mut words = BTreeSet::new();
        if is_any {
            gather(&finding.plan, &finding.plan.root, &mut words);
        }
        let (summary, highlight) = (wanted.summary.as_ref(), wanted.highlight.as_ref());
        Ok(Self { schema: &finding.schema, summary, highlight, words })
    }

    /// Dresses up the value of a field.
    pub(super) fn dress(&self, name: &[u8], value: &mut Vec<u8>) {
        let is_of = |fields: &Option<Vec<Box<[u8]>>>| match fields {
            Some(fields) => fields.iter().any(|field| **field == *name),
            None => true,
        };
        let summary = self.summary.filter(|summary| is_of(&summary.fields));
        let highlight = self.highlight.filter(|highlight| is_of(&highlight.fields));
        let is_text = self.schema.field_or_path(name).is_some_and(|(_, field)| {
            matches!(field.kind, FieldType::Text { .. })
        });
        if !is_text || summary.is_none() && highlight.is_none() {
            return;
        }
        let found = self.found(value);
        *value = match summary {
            Some(summary) => summarised(value, &found, summary, highlight),
            None => {
                let mut out = Vec::new();
                mark(value, 0..value.len(), &found, highlight, &mut out);
                out
            }
        };
    }

    fn found(&self, text: &[u8]) -> Vec<Word> {
        let mut all = Vec::new();
        tokens::each_word(text, &mut |word, range| {
            let is_stem = || {
                let marked = tokens::marked(tokens::STEM_MARK, &stemming::stem(word));
                self.words.contains(&marked)
            };
            let in_group = || {
                let mut groups = self.schema.synonyms.get(word).into_iter().flatten();
                groups.any(|group| self.words.contains(&tokens::marked(tokens::GROUP_MARK, group)))
            };
            let is_found = self.words.contains(word) || is_stem() || in_group();
            all.push(Word { range, is_found });
        });
        all
    }
}

/// The words that a plan looks for.
fn gather(plan: &Plan, step: &Step, words: &mut BTreeSet<Vec<u8>>) {
    match &step.kind {
        StepKind::Term(number) => {
            let term = plan.terms.get(*number).filter(|term| term.tag_of.is_none());
            words.extend(term.map(|term| term.text.clone()));
        }
        StepKind::And(steps, _) | StepKind::Or(steps) => {
            steps.iter().for_each(|step| gather(plan, step, words));
        }
        StepKind::Optional(step) => gather(plan, step, words),
        _ => {}
    }
}

/// Copies a part of a text with its found words marked.
fn mark(
    text: &[u8],
    part: Range<usize>,
    words: &[Word],
    highlight: Option<&Highlight>,
    out: &mut Vec<u8>,
) {
    let mut at = part.start;
    if let Some(highlight) = highlight {
        let inside = |word: &&Word| word.range.start >= part.start && word.range.end <= part.end;
        for word in words.iter().filter(inside).filter(|word| word.is_found) {
            out.extend_from_slice(text.get(at..word.range.start).unwrap_or_default());
            out.extend_from_slice(&highlight.open);
            out.extend_from_slice(text.get(word.range.clone()).unwrap_or_default());
            out.extend_from_slice(&highlight.close);
            at = word.range.end;
        }
    }
    out.extend_from_slice(text.get(at..part.end).unwrap_or_default());
}

/// The parts of a text around what was found, the best ones in their order.
fn summarised(
    text: &[u8],
    words: &[Word],
    summary: &Summary,
    highlight: Option<&Highlight>,
) -> Vec<u8> {
    let found: Vec<usize> = (0..words.len()).filter(|at| words[*at].is_found).collect();
    // Words that were found close to each other are in one part.
    let mut parts: Vec<(usize, usize, usize)> = Vec::new();
    for at in found {
        match parts.last_mut() {
            Some((first, last, count)) if at - *first < summary.words => {
                *last = at;
                *count += 1;
            }
            _ => parts.push((at, at, 1)),
        }
    }
    let mut best: Vec<usize> = (0..parts.len()).collect();
    best.sort_by_key(|at| core::cmp::Reverse(parts[*at].2));
    best.truncate(summary.fragments);
    best.sort_unstable();
    let mut out = Vec::new();
    if best.is_empty() {
        let end = words.get(summary.words.saturating_sub(1)).map_or(text.len(), |w| w.range.end);
        out.extend_from_slice(text.get(..end).unwrap_or_default());
        out.extend_from_slice(&summary.separator);
        return out;
    }
    for at in best {
        let (first, last, _) = parts[at];
        let around = summary.words.saturating_sub(last + 1 - first);
        let from = first.saturating_sub(around / 2);
        let to = (last + around - (first - from)).min(words.len() - 1);
        let start = if from == 0 { leading(text) } else { words[from].range.start };
        mark(text, start..words[to].range.end, words, highlight, &mut out);
        out.extend_from_slice(&summary.separator);
    }
    out
}

/// How many blanks a text begins with.
fn leading(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}
