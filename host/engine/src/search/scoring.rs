//! How well a document fits a query.

use alloc::vec::Vec;

use super::document::Document;
use super::matching::{Matching, contains_one};
use super::planning::{Closeness, Step, StepKind};

/// A way to compute scores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scorer {
    /// Frequencies of terms against those of the document's most frequent one.
    #[default]
    TermFrequency,
    /// The same against the document's length.
    TermFrequencyByLength,
    /// The older form of Okapi's function.
    Okapi,
    /// Okapi's function.
    OkapiStandard,
    /// The frequencies; of alternatives the best one.
    Best,
    /// The document's own score.
    OfDocument,
    /// The closeness of payloads, which only who has the documents can tell.
    Payload,
}

impl Scorer {
    /// The way of this name.
    pub fn of_name(name: &[u8]) -> Option<Self> {
        let known = [
            ("TFIDF", Self::TermFrequency),
            ("TFIDF.DOCNORM", Self::TermFrequencyByLength),
            ("BM25", Self::Okapi),
            ("BM25STD", Self::OkapiStandard),
            ("DISMAX", Self::Best),
            ("DOCSCORE", Self::OfDocument),
            ("HAMMING", Self::Payload),
        ];
        let found = known.into_iter().find(|(known, _)| known.as_bytes() == name);
        found.map(|(_, scorer)| scorer)
    }

    /// The score of a document.
    pub fn score(self, matching: &Matching<'_>, document: &Document) -> f64 {
        let scoring = Scoring { scorer: self, matching, document };
        let root = &matching.plan.root;
        match self {
            Self::OfDocument => document.score,
            Self::Payload => 0.0,
            Self::Best => scoring.weigh(root),
            Self::OkapiStandard => document.score * scoring.weigh(root),
            Self::Okapi => document.score * scoring.weigh(root) / scoring.distance(root),
            Self::TermFrequency | Self::TermFrequencyByLength => {
                let by_length = self == Self::TermFrequencyByLength;
                let norm = if by_length { document.length } else { document.frequency_max };
                let weight = document.score * scoring.weigh(root);
                // Without any word a document is infinitely good at whatever else it is found by.
                let sum = match norm {
                    0 if document.score == 0.0 => return 0.0,
                    0 if weight == 0.0 => return f64::NAN,
                    norm => weight / f64::from(norm),
                };
                sum / scoring.distance(root)
            }
        }
    }
}

/// How close two payloads are: 1 if they are equal, less the more bits differ, 0 if their lengths do.
pub fn closeness(one: &[u8], other: &[u8]) -> f64 {
    if one.is_empty() || one.len() != other.len() {
        return 0.0;
    }
    let bits = one.iter().zip(other).map(|(one, other)| u64::from((one ^ other).count_ones()));
    1.0 / (bits.sum::<u64>() + 1) as f64
}

/// How much rarer than all documents those are that have a term, in powers of two.
fn rarity(documents: u64, with_term: u64) -> f64 {
    let ratio = 1.0 + (documents + 1) as f64 / with_term.max(1) as f64;
    f64::from(libm::ilogb(ratio))
}

/// The same as Okapi's function has it.
fn rarity_of_okapi(documents: u64, with_term: u64) -> f64 {
    let (documents, with_term) = (documents as f64, with_term as f64);
    libm::log(1.0 + (documents - with_term + 0.5).max(0.0) / (with_term + 0.5))
}

struct Scoring<'a> {
    scorer: Scorer,
    matching: &'a Matching<'a>,
    document: &'a Document,
}

impl Scoring<'_> {
    /// What a step adds to the score; nothing if it does not find the document.
    fn found(&self, step: &Step) -> Option<f64> {
        let sum = match &step.kind {
            StepKind::Nothing => return None,
            StepKind::Term(number) => return self.term(*number, step),
            StepKind::And(steps, closeness) => self.all(step, steps, *closeness)?,
            StepKind::Or(steps) => {
                let found = steps.iter().filter_map(|step| self.found(step));
                match self.scorer {
                    Scorer::Best => found.reduce(f64::max)?,
                    _ => found.reduce(|sum, one| sum + one)?,
                }
            }
            StepKind::Not(step) => self.found(step).is_none().then_some(0.0)?,
            StepKind::Optional(step) => self.found(step).unwrap_or(0.0),
            StepKind::All => return Some(self.once(step.weight)),
            StepKind::Missing(field) => {
                let number = self.matching.part.id_of(self.document)?;
                let is_missing = self.matching.part.missing(*field)?.contains(number);
                return is_missing.then(|| self.once(step.weight));
            }
            StepKind::Numeric(field, range) => {
                let numbers = self.document.entries.get(*field)?.numbers();
                numbers.iter().any(|value| range.contains(*value)).then_some(())?;
                let counts = self.scorer != Scorer::OkapiStandard;
                return Some(if counts { self.once(step.weight) } else { 0.0 });
            }
            StepKind::Geo(field, circle) => {
                let numbers = self.document.entries.get(*field)?.numbers();
                contains_one(numbers, circle).then_some(())?;
                let counts = self.scorer != Scorer::OkapiStandard;
                return Some(if counts { self.once(step.weight) } else { 0.0 });
            }
        };
        Some(step.weight * sum)
    }

    /// What all of these add; nothing if one of them does not find the document, or if they find it
    /// too far apart. Of the whole query that is known.
    fn all(&self, step: &Step, steps: &[Step], closeness: Closeness) -> Option<f64> {
        let sum = steps.iter().try_fold(0.0, |sum, step| Some(sum + self.found(step)?))?;
        let is_root = core::ptr::eq(step, &raw const self.matching.plan.root);
        let is_known = is_root || !closeness.matters() || steps.len() < 2;
        let is_close = is_known || self.matching.is_close(steps, self.document, closeness);
        is_close.then_some(sum)
    }

    fn weigh(&self, step: &Step) -> f64 {
        self.found(step).unwrap_or(0.0)
    }

    /// What something counts that a document has once and that is as frequent as it may be.
    fn once(&self, weight: f64) -> f64 {
        match self.scorer {
            Scorer::Okapi | Scorer::OkapiStandard => self.okapi(weight, 1.0, 1.0),
            _ => weight,
        }
    }

    fn term(&self, number: usize, step: &Step) -> Option<f64> {
        let plan = self.matching.plan;
        let term = plan.terms.get(number)?;
        let id = term.id(self.matching.shard)?;
        let frequency = match term.tag_of {
            None => {
                let found = self.document.term(id)?;
                (found.fields & step.fields != 0).then_some(())?;
                f64::from(found.frequency)
            }
            Some(field) => {
                let documents = self.matching.part.tags(field)?.documents(id);
                let number = self.matching.part.id_of(self.document)?;
                documents.contains(number).then_some(1.0)?
            }
        };
        Some(match self.scorer {
            Scorer::Best => step.weight * frequency,
            Scorer::Okapi => {
                self.okapi(step.weight, rarity(plan.documents, term.documents), frequency)
            }
            Scorer::OkapiStandard => {
                self.okapi(step.weight, rarity_of_okapi(plan.documents, term.documents), frequency)
            }
            _ => step.weight * frequency * rarity(plan.documents, term.documents),
        })
    }

    fn okapi(&self, weight: f64, rarity: f64, frequency: f64) -> f64 {
        // RediSearch has it in single precision, and clients compare.
        const K1: f64 = 1.2_f32 as f64;
        const K1_AND_ONE: f64 = (1.2_f32 + 1.0) as f64;
        let average = self.matching.plan.length_average;
        if self.scorer == Scorer::Okapi {
            const B: f64 = 0.5;
            return weight * rarity * frequency / (frequency + K1 * (1.0 - B + B * average));
        }
        const B: f64 = 0.5;
        let length = f64::from(self.document.length) / average.max(f64::MIN_POSITIVE);
        weight * rarity * frequency * K1_AND_ONE / (frequency + K1 * (1.0 - B + B * length))
    }

    /// How far what the query asks for lies apart: at least 1.
    fn distance(&self, root: &Step) -> f64 {
        let (StepKind::And(steps, _) | StepKind::Or(steps)) = &root.kind else { return 1.0 };
        let found = steps.iter().filter(|step| self.found(step).is_some());
        let count = found.clone().count();
        if count <= 1 {
            return 1.0;
        }
        let lists = found.filter_map(|step| {
            let mut list = Vec::new();
            self.matching.positions(step, self.document, &mut list);
            list.sort_unstable();
            (!list.is_empty()).then_some(list)
        });
        let lists: Vec<Vec<u32>> = lists.collect();
        let gaps = lists.windows(2).map(|pair| match pair {
            [one, other] => u64::from(least_gap(one, other)).pow(2),
            _ => 0,
        });
        let sum: u64 = gaps.sum();
        if sum == 0 { (count - 1) as f64 } else { libm::floor(libm::sqrt(sum as f64)) }
    }
}

/// The least distance between places of two ordered lists; what is next to another is close enough.
fn least_gap(one: &[u32], other: &[u32]) -> u32 {
    let (mut at, mut place) = (0, 0);
    let mut least = u32::MAX;
    while let (Some(a), Some(b)) = (one.get(at), other.get(place)) {
        least = least.min(a.abs_diff(*b));
        if least <= 1 {
            break;
        }
        if b > a {
            at += 1;
        } else {
            place += 1;
        }
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rarities_are_whole_powers_of_two() {
        assert_eq!(rarity(2, 2), 1.0);
        assert_eq!(rarity(2, 1), 2.0);
        assert_eq!(rarity(1_000_000, 1), 19.0);
        assert_eq!(rarity(0, 0), 1.0);
    }

    #[test]
    fn payloads_are_as_close_as_their_bits() {
        assert_eq!(closeness(b"abc", b"abc"), 1.0);
        assert_eq!(closeness(b"\x00\x01", b"\x03\x01"), 1.0 / 3.0);
        assert_eq!(closeness(b"ab", b"abc"), 0.0);
        assert_eq!(closeness(b"", b""), 0.0);
    }

    #[test]
    fn the_least_gap_is_found() {
        assert_eq!(least_gap(&[2, 4, 8], &[1, 5, 12]), 1);
        assert_eq!(least_gap(&[10], &[1, 20]), 9);
        assert_eq!(least_gap(&[7], &[7]), 0);
    }
}
