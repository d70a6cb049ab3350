//! The best suggestions for what somebody has typed.
//!
//! A suggestion's score counts less the more of it is still to be typed, and the more letters were
//! mistyped. What is looked at next is what may be best, so whatever is passed over is no better
//! than what was found.

use alloc::boxed::Box;
use alloc::collections::BinaryHeap;
use alloc::vec::Vec;
use core::cmp::Ordering;

use super::{Letter, Node, Suggestion, Suggestions, letters, text};

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Whether one letter may be mistyped.
    pub is_fuzzy: bool,
    /// How many are wanted at most.
    pub count: usize,
    /// Whether those are left out that are much worse than the best.
    pub is_trimmed: bool,
}

/// A suggestion that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found<'s> {
    /// Its text.
    pub text: Vec<u8>,
    /// How well it fits.
    pub score: f32,
    /// What is known of it.
    pub entry: &'s Suggestion,
}

/// Longest beginning that is completed, in letters.
const TYPED_LETTERS_MAX: usize = 99;
/// What is so many times worse than the best is left out.
const TRIM_FACTOR: f32 = 10.0;
/// The score of what was typed in full.
const EXACT_SCORE: f32 = i32::MAX as f32;

impl Suggestions {
    /// The best texts that begin so, the best first; none if too much was typed.
    pub fn find(&self, typed: &[u8], wanted: Wanted) -> Option<Vec<Found<'_>>> {
        let typed: Vec<Letter> = letters(typed).into_iter().map(fold).collect();
        if typed.len() > TYPED_LETTERS_MAX {
            return None;
        }
        let mut search = Search { typed: &typed, pending: BinaryHeap::new(), count: 0 };
        search.begin(&self.root, wanted.is_fuzzy);
        let mut found: Vec<Found<'_>> = Vec::new();
        while let Some(next) = search.pending.pop() {
            if found.len() >= wanted.count {
                break;
            }
            match next.what {
                What::Node(node, walk) => search.expand(node, &walk),
                What::Entry(entry, path) => {
                    let best = found.first().map_or(next.score, |best| best.score);
                    if wanted.is_trimmed && next.score < best / TRIM_FACTOR {
                        break;
                    }
                    found.push(Found { text: text(&path), score: next.score, entry });
                }
            }
        }
        Some(found)
    }
}

/// A letter such that case does not matter.
fn fold(letter: Letter) -> Letter {
    let Some(letter) = char::from_u32(letter) else { return letter };
    let mut lower = letter.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(only), None) => only.into(),
        _ => letter.into(),
    }
}

/// How far one has come on the way to a node.
#[derive(Clone)]
struct Walk {
    /// The letters of the way.
    path: Vec<Letter>,
    /// How far the way so far is from each beginning of what was typed; nothing if letters may not
    /// be mistyped.
    row: Vec<u8>,
    /// How far the beginning of the way that is closest to what was typed is from it.
    closest: u8,
}

/// Further than anything that is of use.
const FAR: u8 = 2;

impl Walk {
    /// Goes on by a letter. Whether something below can still fit.
    fn step(&mut self, letter: Letter, typed: &[Letter]) -> bool {
        self.path.push(letter);
        let letter = fold(letter);
        if self.row.is_empty() {
            // All letters up to here fit, or all that were typed have.
            let place = self.path.len() - 1;
            let fits = typed.get(place).is_none_or(|wanted| *wanted == letter);
            if fits && self.path.len() >= typed.len() {
                self.closest = 0;
            }
            return fits;
        }
        let mut diagonal = self.row.first().copied().unwrap_or(FAR);
        let mut before = diagonal.saturating_add(1).min(FAR);
        if let Some(first) = self.row.first_mut() {
            *first = before;
        }
        for (cell, wanted) in self.row.iter_mut().skip(1).zip(typed) {
            let changed = diagonal + u8::from(letter != *wanted);
            diagonal = *cell;
            before = changed.min(before + 1).min(diagonal + 1).min(FAR);
            *cell = before;
        }
        self.closest = self.closest.min(self.row.last().copied().unwrap_or(FAR));
        self.potential() < FAR
    }

    /// How close what lies below may be at best.
    fn potential(&self) -> u8 {
        if self.row.is_empty() { 0 } else { self.row.iter().copied().fold(self.closest, u8::min) }
    }

    fn is_exact(&self, typed: &[Letter]) -> bool {
        typed.starts_with(&self.path)
    }
}

/// What is to be looked at.
struct Pending<'s> {
    /// What its score is, or is at best.
    score: f32,
    /// Later ones come first among equals.
    number: u64,
    what: What<'s>,
}

enum What<'s> {
    Node(&'s Node, Box<Walk>),
    Entry(&'s Suggestion, Vec<Letter>),
}

impl Ord for Pending<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then_with(|| self.number.cmp(&other.number))
    }
}

impl PartialOrd for Pending<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Pending<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Pending<'_> {}

struct Search<'a, 's> {
    typed: &'a [Letter],
    pending: BinaryHeap<Pending<'s>>,
    count: u64,
}

impl<'s> Search<'_, 's> {
    fn begin(&mut self, root: &'s Node, is_fuzzy: bool) {
        let row = if is_fuzzy {
            (0..=self.typed.len()).map(|far| far.min(usize::from(FAR)) as u8).collect()
        } else {
            Vec::new()
        };
        let closest = self.typed.len().min(usize::from(FAR)) as u8;
        let walk = Walk { path: Vec::new(), row, closest };
        self.push(f32::INFINITY, What::Node(root, Box::new(walk)));
    }

    fn push(&mut self, score: f32, what: What<'s>) {
        self.count += 1;
        self.pending.push(Pending { score, number: self.count, what });
    }

    /// Puts what lies below a node in line, and its own text.
    fn expand(&mut self, node: &'s Node, walk: &Walk) {
        for child in node.children.iter().rev() {
            let mut walk = walk.clone();
            let typed = self.typed;
            if child.letters.iter().all(|letter| walk.step(*letter, typed)) {
                self.push(self.bound(child, &walk), What::Node(child, Box::new(walk)));
            }
        }
        if let Some(entry) = &node.entry
            && walk.closest < FAR
        {
            let own = if walk.path == self.typed { EXACT_SCORE } else { entry.score };
            let score = self.weakened(own, walk.closest, walk.path.len());
            self.push(score, What::Entry(entry, walk.path.clone()));
        }
    }

    /// No text at or below a node has a better score than this.
    fn bound(&self, node: &Node, walk: &Walk) -> f32 {
        if walk.is_exact(self.typed) {
            return f32::INFINITY;
        }
        let len = (walk.path.len() + usize::from(node.nearest)).max(self.typed.len());
        // What is below nothing comes closer to it the weaker it is.
        if node.best < 0.0 { 0.0 } else { self.weakened(node.best, walk.potential(), len) }
    }

    /// A score, given how much was mistyped and how long the text is.
    fn weakened(&self, score: f32, far: u8, len: usize) -> f32 {
        let score = score * libm::exp(-2.0 * f64::from(far)) as f32;
        score / libm::sqrt(1.0 + len.abs_diff(self.typed.len()) as f64) as f32
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::string::String;

    use super::*;
    use crate::types::random::below;

    /// How far the beginning of a text that is closest to what was typed is from it.
    fn distance(text: &[Letter], typed: &[Letter]) -> usize {
        let mut row: Vec<usize> = (0..=typed.len()).collect();
        let mut closest = typed.len();
        for (at, letter) in text.iter().enumerate() {
            let mut next = std::vec![at + 1];
            for (place, wanted) in typed.iter().enumerate() {
                let changed = row[place] + usize::from(fold(*letter) != *wanted);
                next.push(changed.min(row[place + 1] + 1).min(next[place] + 1));
            }
            row = next;
            closest = closest.min(row[typed.len()]);
        }
        closest
    }

    fn naive(model: &BTreeMap<Vec<u8>, Suggestion>, typed: &[u8], is_fuzzy: bool) -> Vec<f32> {
        let typed: Vec<Letter> = letters(typed).into_iter().map(fold).collect();
        let search = Search { typed: &typed, pending: BinaryHeap::new(), count: 0 };
        let mut scores = Vec::new();
        for (text, entry) in model {
            let path = letters(text);
            let far = distance(&path, &typed);
            if far <= usize::from(is_fuzzy) {
                let own = if path == typed { EXACT_SCORE } else { entry.score };
                scores.push(search.weakened(own, far as u8, path.len()));
            }
        }
        scores.sort_unstable_by(|one, other| other.total_cmp(one));
        scores
    }

    #[test]
    fn the_best_are_found_as_a_look_at_all_finds_them() {
        let mut state = 5_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state
        };
        let alphabet = ["a", "b", "A", "ä", "\u{10400}", " "];
        let mut word = |most: usize| -> Vec<u8> {
            let len = below(&mut random, most);
            (0..len).flat_map(|_| alphabet[below(&mut random, 6)].bytes()).collect()
        };
        let (mut tree, mut model) = (Suggestions::new(), BTreeMap::new());
        for round in 0..3000_u32 {
            let mut text = word(7);
            if round % 97 == 0 {
                text.push(0xff);
            }
            if !Suggestions::is_fit(&text) {
                continue;
            }
            if round % 3 == 0 {
                assert_eq!(tree.take(&text), model.remove(&text));
            } else {
                let score = (round % 13) as f32 - 2.0;
                let payload = (round % 5 == 0).then(|| text.clone().into());
                let entry = Suggestion { score, payload };
                assert_eq!(tree.put(&text, entry.clone()), model.insert(text, entry));
            }
            if round % 50 == 0 {
                tree.check();
                assert_eq!(tree.len(), model.len());
                for is_fuzzy in [false, true] {
                    let typed = word(5);
                    let wanted = Wanted { is_fuzzy, count: 9, is_trimmed: false };
                    let found = tree.find(&typed, wanted).expect("it is short");
                    let scores: Vec<f32> = found.iter().map(|found| found.score).collect();
                    let mut expected = naive(&model, &typed, is_fuzzy);
                    expected.truncate(9);
                    let shown = String::from_utf8_lossy(&typed);
                    assert_eq!(scores, expected, "{shown} {is_fuzzy}");
                }
            }
        }
    }

    #[test]
    fn what_is_much_worse_is_trimmed_and_equals_are_in_order() {
        let mut tree = Suggestions::new();
        for (text, score) in [("test456", 1.0), ("test123", 1.0), ("tex", 50.0), ("TEST", 60.0)] {
            tree.put(text.as_bytes(), Suggestion { score, payload: None });
        }
        let wanted = Wanted { is_fuzzy: false, count: 5, is_trimmed: false };
        let texts = |typed: &str, wanted| {
            let found = tree.find(typed.as_bytes(), wanted).expect("it is short");
            found.iter().map(|f| String::from_utf8_lossy(&f.text).into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(texts("te", wanted), ["tex", "TEST", "test123", "test456"]);
        assert_eq!(texts("te", Wanted { is_trimmed: true, ..wanted }), ["tex", "TEST"]);
        assert_eq!(texts("TEST", Wanted { count: 2, ..wanted }), ["TEST", "test123"]);
        assert_eq!(texts("x", wanted), [""; 0]);
        assert_eq!(tree.find(&[b'x'; 100], wanted), None);
    }
}
