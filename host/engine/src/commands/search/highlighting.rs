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
use crate::search::{Language, Schema, phonetic, tokens};

/// How values are dressed up.
pub(super) struct Dressing<'a> {
    schema: &'a Schema,
    summary: Option<&'a Summary>,
    highlight: Option<&'a Highlight>,
    /// The words that the query looks for.
    words: BTreeSet<Vec<u8>>,
    language: Language,
    /// Whether there are words that sound alike among them.
    has_sounds: bool,
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
            return Err(Error::NO_HIGHLIGHTS);
        }
        let mut words = BTreeSet::new();
        if is_any {
            gather(&finding.plan, &finding.plan.root, &mut words);
        }
        let (summary, highlight) = (wanted.summary.as_ref(), wanted.highlight.as_ref());
        let language = finding.request.language.unwrap_or_else(|| finding.schema.language());
        let has_sounds = words.iter().any(|word| word.first() == Some(&tokens::SOUND_MARK));
        Ok(Self { schema: &finding.schema, summary, highlight, words, language, has_sounds })
    }

    /// Dresses up the value of a field.
    pub(super) fn dress(&self, name: &[u8], value: &mut Vec<u8>) {
        let is_of = |fields: &Option<Vec<Box<[u8]>>>| match fields {
            Some(fields) => fields.iter().any(|field| **field == *name),
            None => true,
        };
        let summary = self.summary.filter(|summary| is_of(&summary.fields));
        let highlight = self.highlight.filter(|highlight| is_of(&highlight.fields));
        let is_text = self
            .schema
            .field_or_path(name)
            .is_some_and(|(_, field)| matches!(field.kind, FieldType::Text { .. }));
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
        self.language.each_word(text, &mut |word, range, is_next| {
            if self.schema.stop_words.contain(word) {
                return;
            }
            let is_stem = || {
                let stem = self.language.stem(word);
                stem.is_some_and(|stem| {
                    self.words.contains(&tokens::marked(tokens::STEM_MARK, &stem))
                })
            };
            let is_alike = || {
                let code = self.has_sounds.then(|| phonetic::code(word)).flatten();
                code.is_some_and(|code| {
                    self.words.contains(&tokens::marked(tokens::SOUND_MARK, &code))
                })
            };
            let in_group = || {
                let mut groups = self.schema.synonyms.get(word).into_iter().flatten();
                groups.any(|group| self.words.contains(&tokens::marked(tokens::GROUP_MARK, group)))
            };
            let is_found = self.words.contains(word) || is_stem() || in_group() || is_alike();
            add_word(&mut all, Word { range, is_found }, is_next);
        });
        all
    }
}

/// Adds a word to those before it. One that begins where that before it does, or lies in it, is one
/// with it.
fn add_word(all: &mut Vec<Word>, word: Word, is_next: bool) {
    match all.last_mut() {
        Some(last) if !is_next || last.range.end > word.range.start => {
            if word.is_found && last.is_found {
                last.range.end = word.range.end;
            } else if word.is_found {
                *last = word;
            }
        }
        _ => all.push(word),
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

/// A run of found words that are close to each other.
struct Fragment {
    range: Range<usize>,
    /// How many words lie in it that were not looked for.
    others: usize,
    distinct: BTreeSet<Vec<u8>>,
    last: usize,
}

/// Found words with more others than this between them are in fragments of their own.
const DISTANCE_MAX: usize = 8;
/// How long a word is taken to be, with the blank behind it.
const WORD_BYTES: usize = 6;

/// The parts of a text around what was found, the best ones in their order.
fn summarised(
    text: &[u8],
    words: &[Word],
    summary: &Summary,
    highlight: Option<&Highlight>,
) -> Vec<u8> {
    let fragments = fragments(text, words);
    if fragments.is_empty() {
        let bytes = WORD_BYTES.saturating_mul(summary.words).saturating_mul(summary.fragments);
        return head(text, bytes.saturating_add(WORD_BYTES));
    }
    let mut best: Vec<usize> = (0..fragments.len()).collect();
    best.sort_by_key(|at| core::cmp::Reverse(fragments.get(*at).map(|one| one.distinct.len())));
    best.truncate(summary.fragments);
    best.sort_unstable();
    let mut out = Vec::new();
    for (at, place) in best.iter().enumerate() {
        let Some(fragment) = fragments.get(*place) else { continue };
        let other = |at: Option<usize>| at.and_then(|at| fragments.get(*best.get(at)?));
        let from = other(at.checked_sub(1)).map_or(0, |before| before.range.end);
        let to = other(Some(at + 1)).map_or(text.len(), |behind| behind.range.start);
        let part = around(text, fragment, from..to, summary.words);
        let mut marked = Vec::new();
        mark(text, part, words, highlight, &mut marked);
        push_without_doubled_blanks(&marked, &mut out);
        out.extend_from_slice(&summary.separator);
    }
    out
}

fn fragments(text: &[u8], words: &[Word]) -> Vec<Fragment> {
    let mut all: Vec<Fragment> = Vec::new();
    for (at, word) in words.iter().enumerate().filter(|(_, word)| word.is_found) {
        let found = text.get(word.range.clone()).unwrap_or_default().to_ascii_lowercase();
        match all.last_mut() {
            Some(last) if at - last.last <= DISTANCE_MAX => {
                last.others += at - last.last - 1;
                last.range.end = word.range.end;
                last.last = at;
                last.distinct.insert(found);
            }
            _ => {
                let distinct = BTreeSet::from([found]);
                all.push(Fragment { range: word.range.clone(), others: 0, distinct, last: at });
            }
        }
    }
    all
}

/// A fragment with some of the text around it, from word to word.
fn around(text: &[u8], fragment: &Fragment, limits: Range<usize>, words: usize) -> Range<usize> {
    let Range { start, end } = fragment.range;
    if words <= fragment.others {
        return start..end;
    }
    let bytes = ((words - fragment.others) / 2).saturating_mul(WORD_BYTES);
    let is_separator = |at: usize| text.get(at).is_some_and(|byte| tokens::is_separator(*byte));
    let mut from = start.saturating_sub(bytes).max(limits.start);
    while from < start && !is_separator(from) {
        from += 1;
    }
    while from < start && is_separator(from) {
        from += 1;
    }
    // The last byte that still belongs to it.
    let mut last = end.saturating_add(bytes).min(limits.end.saturating_sub(1));
    while last > end && !is_separator(last) {
        last -= 1;
    }
    while last > end && is_separator(last) {
        last -= 1;
    }
    from..(last + 1).clamp(end, text.len())
}

/// About so many bytes of a text's beginning, up to the end of a word in front of the last one. A single
/// word stays.
fn head(text: &[u8], bytes: usize) -> Vec<u8> {
    let mut out = Vec::new();
    push_without_doubled_blanks(text.get(..bytes).unwrap_or(text), &mut out);
    let Some(last) = out.iter().rposition(|byte| tokens::is_separator(*byte)) else { return out };
    out.truncate(last + 1);
    while out.last().is_some_and(u8::is_ascii_whitespace) {
        out.pop();
    }
    out
}

fn push_without_doubled_blanks(text: &[u8], out: &mut Vec<u8>) {
    let mut was_blank = false;
    for byte in text {
        let is_blank = byte.is_ascii_whitespace();
        if !(is_blank && was_blank) {
            out.push(if is_blank { b' ' } else { *byte });
        }
        was_blank = is_blank;
    }
}
