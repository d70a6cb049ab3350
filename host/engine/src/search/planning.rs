//! A query made ready for an index: words and tags instead of forms of them, with how frequent each is
//! over all shards. So scores, and what a form stands for, do not depend on the number of shards.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::catalogue::Options;
use super::dictionary::{Dictionary, WordId};
use super::language::Language;
use super::numbers::NumericRange;
use super::part::Part;
use super::patience::Patience;
use super::query::{Circle, Kind, Node, Pattern, Tag, TextFields};
use super::schema::{FieldType, Schema};
use super::{phonetic, tokens};
use crate::types::hasher::Hasher;

/// A query made ready.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What finds the documents.
    pub root: Step,
    /// All words and tags that it mentions.
    pub terms: Vec<PlannedTerm>,
    /// How many documents there are in all shards.
    pub documents: u64,
    /// How long they are on average.
    pub length_average: f64,
    /// How many parts it has: so much work it is to look at one document.
    pub size: u32,
}

/// A word or a tag.
#[derive(Clone, Debug)]
pub struct PlannedTerm {
    /// Its text.
    pub text: Vec<u8>,
    /// The field that it is a tag of, if it is one.
    pub tag_of: Option<usize>,
    /// Its number in each shard's part.
    ids: Vec<Option<WordId>>,
    /// How many documents have it.
    pub documents: u64,
}

/// A part of a plan.
#[derive(Clone, Debug)]
pub struct Step {
    /// What it finds.
    pub kind: StepKind,
    /// In which text fields.
    pub fields: TextFields,
    /// How much it counts.
    pub weight: f64,
}

/// What a part of a plan finds.
#[derive(Clone, Debug)]
pub enum StepKind {
    /// Nothing.
    Nothing,
    /// Every document.
    All,
    /// Those with the term of this number.
    Term(usize),
    /// Those that all find, if what they find in them is close enough together.
    And(Vec<Step>, Closeness),
    /// Those that one of them finds.
    Or(Vec<Step>),
    /// Those that it does not find.
    Not(alloc::boxed::Box<Step>),
    /// All; those that it finds count more.
    Optional(alloc::boxed::Box<Step>),
    /// Those with a number in this range.
    Numeric(usize, NumericRange),
    /// Those close to a position.
    Geo(usize, Circle),
    /// Those without a field.
    Missing(usize),
}

/// How close together words must stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Closeness {
    /// How many other words may stand between them; none: any number.
    pub slop: Option<u32>,
    /// Whether they come in their order.
    pub in_order: bool,
}

impl Closeness {
    /// Whether it matters where words stand.
    pub fn matters(self) -> bool {
        self.slop.is_some() || self.in_order
    }
}

impl PlannedTerm {
    /// Its number in a shard's part.
    pub fn id(&self, shard: usize) -> Option<WordId> {
        self.ids.get(shard).copied().flatten()
    }
}

/// What a plan is made with.
#[derive(Clone, Copy)]
pub struct Planner<'a> {
    /// The index.
    pub schema: &'a Schema,
    /// Its parts in all shards.
    pub parts: &'a [&'a Part],
    /// What queries go by.
    pub options: &'a Options,
    /// How close together words must stand that nothing else is said of.
    pub closeness: Closeness,
    /// The language whose forms of a word are found.
    pub language: Language,
    /// The hash of all tables.
    pub hasher: &'a Hasher,
    /// For how long words may be looked for. With less than all of them a plan is good for nothing.
    pub patience: &'a Patience<'a>,
}

impl Planner<'_> {
    /// Makes a query ready.
    pub fn plan(&self, query: &Node) -> Plan {
        let mut terms = Terms { planner: self, known: BTreeMap::new(), all: Vec::new(), steps: 0 };
        let root = terms.step(query);
        let documents: u64 = self.parts.iter().map(|part| part.len() as u64).sum();
        let length: u64 = self.parts.iter().map(|part| part.length_total()).sum();
        let length_average = if documents == 0 { 0.0 } else { length as f64 / documents as f64 };
        Plan { root, terms: terms.all, documents, length_average, size: terms.steps }
    }

    /// The other forms in which a word is looked for.
    pub fn other_forms(&self, node: &Node) -> Vec<Vec<u8>> {
        let Kind::Word { text, is_expanded: true } = &node.kind else { return Vec::new() };
        let groups = self.schema.synonyms.get(text.as_slice()).into_iter().flatten();
        let mut forms: Vec<_> =
            groups.map(|group| tokens::marked(tokens::GROUP_MARK, group)).collect();
        if text.len() > 1
            && self.is_stemmed_in(node.fields)
            && let Some(stem) = self.language.stem(text)
        {
            forms.push(tokens::marked(tokens::STEM_MARK, &stem));
            if *stem != **text {
                forms.push(stem.into_owned());
            }
        }
        if node.phonetic != Some(false) && self.sounds_in(node.fields) {
            let code = phonetic::code(text);
            forms.extend(code.map(|code| tokens::marked(tokens::SOUND_MARK, &code)));
        }
        forms
    }

    /// Whether words that sound alike are found in one of these fields.
    fn sounds_in(&self, fields: TextFields) -> bool {
        self.schema.sounding_fields() & fields != 0
    }

    /// Whether words are stemmed in one of these fields.
    fn is_stemmed_in(&self, fields: TextFields) -> bool {
        self.schema.fields.iter().any(|field| match field.kind {
            FieldType::Text { no_stem, number, .. } => !no_stem && fields & 1 << number != 0,
            _ => false,
        })
    }

    /// Whether these are all text fields there are, so that it need not be asked in which one a word is.
    fn are_all(&self, fields: TextFields) -> bool {
        self.schema.fields.iter().all(|field| match field.kind {
            FieldType::Text { number, .. } if field.is_indexed => fields & 1 << number != 0,
            _ => true,
        })
    }

    /// The first words that fit, in order, of all shards together.
    fn fitting(
        &self,
        tag_of: Option<usize>,
        prefix: &[u8],
        fits: &dyn Fn(&[u8]) -> bool,
    ) -> Vec<Vec<u8>> {
        /// So much work it is to see whether a word fits, in documents: the clock is read every 32.
        const WORD_WORK: u32 = 4;
        let most = self.options.expansions_max;
        if self.patience.look() {
            return Vec::new();
        }
        let mut found: BTreeSet<&[u8]> = BTreeSet::new();
        for part in self.parts {
            let Some(dictionary) = dictionary(part, tag_of) else { continue };
            let words = dictionary.with_prefix(prefix);
            let words = words.take_while(|_| !self.patience.is_over_after(WORD_WORK));
            let words = words.filter(|word| fits(word));
            found.extend(words.take(most));
        }
        found.into_iter().take(most).map(<[u8]>::to_vec).collect()
    }
}

/// The tags of a field, or the words.
fn dictionary(part: &Part, tag_of: Option<usize>) -> Option<&Dictionary> {
    match tag_of {
        None => Some(part.words()),
        Some(field) => part.tags(field),
    }
}

/// The terms of a plan while it is made.
struct Terms<'a> {
    planner: &'a Planner<'a>,
    known: BTreeMap<(Option<usize>, Vec<u8>), usize>,
    all: Vec<PlannedTerm>,
    steps: u32,
}

impl Terms<'_> {
    fn step(&mut self, node: &Node) -> Step {
        self.steps = self.steps.saturating_add(1);
        let kind = match &node.kind {
            Kind::Nothing => StepKind::Nothing,
            Kind::All => StepKind::All,
            Kind::Word { text, .. } => {
                let forms = self.planner.other_forms(node);
                self.any_of(core::iter::once(text.clone()).chain(forms), None, node.fields)
            }
            Kind::Exact(words) => {
                let steps = words.iter().map(|word| self.term(word.clone(), None, node.fields));
                let closeness = Closeness { slop: Some(0), in_order: true };
                StepKind::And(steps.collect(), closeness)
            }
            Kind::And(nodes) => {
                let all = self.planner.closeness;
                let closeness = Closeness {
                    slop: node.slop.or(all.slop),
                    in_order: node.in_order.unwrap_or(all.in_order),
                };
                StepKind::And(nodes.iter().map(|node| self.step(node)).collect(), closeness)
            }
            Kind::Or(nodes) => StepKind::Or(nodes.iter().map(|node| self.step(node)).collect()),
            Kind::Not(node) => StepKind::Not(self.step(node).into()),
            Kind::Optional(node) => StepKind::Optional(self.step(node).into()),
            Kind::Pattern(pattern) => {
                let words = self.fitting(pattern, None, &tokens::is_written);
                self.any_of(words, None, node.fields)
            }
            Kind::Fuzzy(word, distance) => {
                let is_close =
                    |other: &[u8]| tokens::is_written(other) && is_within(word, other, *distance);
                let words = self.planner.fitting(None, b"", &is_close);
                self.any_of(words, None, node.fields)
            }
            Kind::Tags(field, tags) => self.tags(*field, tags, node.fields),
            Kind::Numeric(field, range) => StepKind::Numeric(*field, *range),
            Kind::Geo(field, circle) => StepKind::Geo(*field, *circle),
            Kind::Missing(field) => StepKind::Missing(*field),
        };
        let is_all = self.planner.are_all(node.fields);
        let fields = if is_all { super::query::ALL_FIELDS } else { node.fields };
        Step { kind, fields, weight: node.weight }
    }

    fn fitting(
        &self,
        pattern: &Pattern,
        tag_of: Option<usize>,
        fits: &dyn Fn(&[u8]) -> bool,
    ) -> Vec<Vec<u8>> {
        let planner = self.planner;
        let is_short = pattern.letters() < planner.options.prefix_bytes_min;
        if is_short && !matches!(pattern, Pattern::Wildcard(_)) {
            return Vec::new();
        }
        let fits = |word: &[u8]| fits(word) && pattern.matches(word);
        planner.fitting(tag_of, pattern.prefix(), &fits)
    }

    fn tags(&mut self, field: usize, tags: &[Tag], fields: TextFields) -> StepKind {
        let mut texts = Vec::new();
        for tag in tags {
            match tag {
                Tag::Is(text) => texts.push(text.clone()),
                Tag::Like(pattern) => {
                    texts.extend(self.fitting(pattern, Some(field), &|_| true));
                }
            }
        }
        texts.sort_unstable();
        texts.dedup();
        self.any_of(texts, Some(field), fields)
    }

    fn any_of(
        &mut self,
        texts: impl IntoIterator<Item = Vec<u8>>,
        tag_of: Option<usize>,
        fields: TextFields,
    ) -> StepKind {
        let mut steps: Vec<Step> =
            texts.into_iter().map(|text| self.term(text, tag_of, fields)).collect();
        match steps.len() {
            0 => StepKind::Nothing,
            1 => steps.pop().map_or(StepKind::Nothing, |step| step.kind),
            _ => StepKind::Or(steps),
        }
    }

    fn term(&mut self, text: Vec<u8>, tag_of: Option<usize>, fields: TextFields) -> Step {
        self.steps = self.steps.saturating_add(1);
        let Self { planner, known, all, .. } = self;
        let number = *known.entry((tag_of, text.clone())).or_insert_with(|| {
            let find = |part: &&Part| dictionary(part, tag_of)?.find(&text, planner.hasher);
            let ids: Vec<_> = planner.parts.iter().map(find).collect();
            let counts = planner.parts.iter().zip(&ids).map(|(part, id)| {
                let dictionary = dictionary(part, tag_of)?;
                Some(dictionary.documents((*id)?).len())
            });
            let documents = counts.flatten().sum();
            all.push(PlannedTerm { text, tag_of, ids, documents });
            all.len() - 1
        });
        let is_all = self.planner.are_all(fields);
        let fields = if is_all { super::query::ALL_FIELDS } else { fields };
        Step { kind: StepKind::Term(number), fields, weight: 1.0 }
    }
}

/// Whether so many letters put in, taken out or changed make one word of another.
pub fn is_within(word: &[u8], other: &[u8], distance: usize) -> bool {
    if word.len().abs_diff(other.len()) > distance {
        return false;
    }
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in word.iter().enumerate() {
        let (mut diagonal, mut least) = (at, at + 1);
        let mut before = at + 1;
        for (place, letter_of_other) in other.iter().enumerate() {
            let changed = diagonal + usize::from(letter != letter_of_other);
            diagonal = row[place + 1];
            let cost = changed.min(before + 1).min(diagonal + 1);
            row[place] = before;
            before = cost;
            least = least.min(cost);
        }
        row[other.len()] = before;
        if least > distance {
            return false;
        }
    }
    row[other.len()] <= distance
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_of_words_is_levenshteins() {
        let naive = |a: &[u8], b: &[u8]| {
            let mut table = std::vec![std::vec![0; b.len() + 1]; a.len() + 1];
            for i in 0..=a.len() {
                for j in 0..=b.len() {
                    table[i][j] = match (i, j) {
                        (0, _) => j,
                        (_, 0) => i,
                        _ => (table[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]))
                            .min(table[i - 1][j] + 1)
                            .min(table[i][j - 1] + 1),
                    };
                }
            }
            table[a.len()][b.len()]
        };
        let words = ["", "a", "hell", "hello", "help", "hollow", "yellow", "shell", "lehl"];
        for a in words {
            for b in words {
                for most in 0..4 {
                    let expected = naive(a.as_bytes(), b.as_bytes()) <= most;
                    assert_eq!(
                        is_within(a.as_bytes(), b.as_bytes(), most),
                        expected,
                        "{a} {b} {most}"
                    );
                }
            }
        }
    }
}
