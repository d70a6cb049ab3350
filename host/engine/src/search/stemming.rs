//! The stem of an English word: Porter's second algorithm, as the Snowball project describes it.
//!
//! Words come in lower case. A `Y` in what follows is a `y` that is a consonant.

use alloc::vec::Vec;

/// Shorter words are their own stem.
pub const WORD_BYTES_MIN: usize = 4;

/// Words whose stem the rules would not find, with it.
const EXCEPTIONS: [(&str, &str); 18] = [
    ("skis", "ski"),
    ("skies", "sky"),
    ("dying", "die"),
    ("lying", "lie"),
    ("tying", "tie"),
    ("idly", "idl"),
    ("gently", "gentl"),
    ("ugly", "ugli"),
    ("early", "earli"),
    ("only", "onli"),
    ("singly", "singl"),
    ("sky", "sky"),
    ("news", "news"),
    ("howe", "howe"),
    ("atlas", "atlas"),
    ("cosmos", "cosmos"),
    ("bias", "bias"),
    ("andes", "andes"),
];

/// Words that stay as they are once a plural ending is gone.
const INVARIANTS: [&str; 8] =
    ["inning", "outing", "canning", "herring", "earring", "proceed", "exceed", "succeed"];

/// Endings of the second step with what takes their place, longest first where one ends with
/// another. `ogi` and `li` depend on what stands before them.
const SECOND: [(&str, &str); 24] = [
    ("ational", "ate"),
    ("ization", "ize"),
    ("fulness", "ful"),
    ("ousness", "ous"),
    ("iveness", "ive"),
    ("tional", "tion"),
    ("biliti", "ble"),
    ("lessli", "less"),
    ("entli", "ent"),
    ("ation", "ate"),
    ("alism", "al"),
    ("aliti", "al"),
    ("ousli", "ous"),
    ("iviti", "ive"),
    ("fulli", "ful"),
    ("enci", "ence"),
    ("anci", "ance"),
    ("abli", "able"),
    ("izer", "ize"),
    ("ator", "ate"),
    ("alli", "al"),
    ("bli", "ble"),
    ("ogi", "og"),
    ("li", ""),
];

/// Endings of the third step. `ative` goes only far from the beginning.
const THIRD: [(&str, &str); 9] = [
    ("ational", "ate"),
    ("tional", "tion"),
    ("alize", "al"),
    ("icate", "ic"),
    ("iciti", "ic"),
    ("ative", ""),
    ("ical", "ic"),
    ("ness", ""),
    ("ful", ""),
];

/// Endings that the fourth step takes away. `ion` only behind `s` or `t`.
const FOURTH: [&str; 18] = [
    "ement", "ance", "ence", "able", "ible", "ment", "ant", "ent", "ism", "ate", "iti", "ous",
    "ive", "ize", "ion", "al", "er", "ic",
];

/// The stem of a word.
pub fn stem(word: &[u8]) -> Vec<u8> {
    if word.len() < 3 {
        return word.to_vec();
    }
    if let Some((_, stem)) = EXCEPTIONS.iter().find(|(exception, _)| exception.as_bytes() == word) {
        return stem.as_bytes().to_vec();
    }
    let mut stemmer = Stemmer::new(word);
    stemmer.genitive();
    stemmer.plural();
    if !INVARIANTS.iter().any(|word| word.as_bytes() == stemmer.word) {
        stemmer.past();
        stemmer.final_y();
        stemmer.second();
        stemmer.third();
        stemmer.fourth();
        stemmer.fifth();
    }
    stemmer.word.iter().map(|letter| if *letter == b'Y' { b'y' } else { *letter }).collect()
}

/// A word on its way to its stem, and where its two regions begin: behind the first consonant that
/// follows a vowel, and the same once more.
struct Stemmer {
    word: Vec<u8>,
    first: usize,
    second: usize,
}

fn is_vowel(letter: u8) -> bool {
    matches!(letter, b'a' | b'e' | b'i' | b'o' | b'u' | b'y')
}

/// Where the region behind the first consonant that follows a vowel begins.
fn region(word: &[u8], from: usize) -> usize {
    let tail = word.get(from..).unwrap_or_default();
    let found = tail.windows(2).position(|pair| is_vowel(pair[0]) && !is_vowel(pair[1]));
    found.map_or(word.len(), |at| from + at + 2)
}

impl Stemmer {
    fn new(word: &[u8]) -> Self {
        let mut word = word.strip_prefix(b"'").unwrap_or(word).to_vec();
        for at in 0..word.len() {
            if word[at] == b'y' && (at == 0 || is_vowel(word[at - 1])) {
                word[at] = b'Y';
            }
        }
        let special = [&b"gener"[..], b"commun", b"arsen"];
        let prefix = special.iter().find(|prefix| word.starts_with(prefix));
        let first = prefix.map_or_else(|| region(&word, 0), |prefix| prefix.len());
        let second = region(&word, first);
        Self { word, first, second }
    }

    /// Where an ending begins, if the word has it.
    fn ending(&self, ending: &str) -> Option<usize> {
        self.word.ends_with(ending.as_bytes()).then(|| self.word.len() - ending.len())
    }

    fn replace(&mut self, at: usize, with: &str) {
        self.word.truncate(at);
        self.word.extend_from_slice(with.as_bytes());
    }

    fn before(&self, at: usize) -> Option<u8> {
        at.checked_sub(1).and_then(|before| self.word.get(before)).copied()
    }

    fn has_vowel_before(&self, at: usize) -> bool {
        self.word.iter().take(at).any(|letter| is_vowel(*letter))
    }

    /// Whether what stands before `end` ends with a short syllable.
    fn is_short(&self, end: usize) -> bool {
        match self.word.get(..end) {
            Some([vowel, last]) => is_vowel(*vowel) && !is_vowel(*last),
            Some([.., before, vowel, last]) => {
                !is_vowel(*before)
                    && is_vowel(*vowel)
                    && !is_vowel(*last)
                    && !matches!(last, b'w' | b'x' | b'Y')
            }
            _ => false,
        }
    }

    fn genitive(&mut self) {
        let found = ["'s'", "'s", "'"].into_iter().find_map(|ending| self.ending(ending));
        if let Some(at) = found {
            self.word.truncate(at);
        }
    }

    fn plural(&mut self) {
        if let Some(at) = self.ending("sses") {
            self.replace(at, "ss");
        } else if let Some(at) = self.ending("ied").or_else(|| self.ending("ies")) {
            self.replace(at, if at > 1 { "i" } else { "ie" });
        } else if self.ending("us").is_none()
            && self.ending("ss").is_none()
            && let Some(at) = self.ending("s")
            && self.has_vowel_before(at.saturating_sub(1))
        {
            self.word.truncate(at);
        }
    }

    fn past(&mut self) {
        if let Some(at) = self.ending("eedly").or_else(|| self.ending("eed")) {
            if at >= self.first {
                self.replace(at, "ee");
            }
            return;
        }
        let endings = ["ingly", "edly", "ing", "ed"];
        let Some(at) = endings.into_iter().find_map(|ending| self.ending(ending)) else { return };
        if !self.has_vowel_before(at) {
            return;
        }
        self.word.truncate(at);
        let incomplete = ["at", "bl", "iz"].into_iter().any(|end| self.ending(end).is_some());
        let doubles = ["bb", "dd", "ff", "gg", "mm", "nn", "pp", "rr", "tt"];
        if incomplete {
            self.word.push(b'e');
        } else if doubles.into_iter().any(|double| self.ending(double).is_some()) {
            self.word.pop();
        } else if self.first >= self.word.len() && self.is_short(self.word.len()) {
            self.word.push(b'e');
        }
    }

    fn final_y(&mut self) {
        if let [_, .., before, last @ (b'y' | b'Y')] = self.word.as_mut_slice()
            && !is_vowel(*before)
        {
            *last = b'i';
        }
    }

    fn second(&mut self) {
        let found = SECOND.iter().find_map(|(ending, with)| Some((self.ending(ending)?, *with)));
        let Some((at, with)) = found.filter(|(at, _)| *at >= self.first) else { return };
        let before = self.before(at);
        let fits = match with {
            "og" => before == Some(b'l'),
            "" => before.is_some_and(|letter| b"cdeghkmnrt".contains(&letter)),
            _ => true,
        };
        if fits {
            self.replace(at, with);
        }
    }

    fn third(&mut self) {
        let found =
            THIRD.iter().find_map(|(ending, with)| Some((self.ending(ending)?, *ending, *with)));
        let Some((at, ending, with)) = found.filter(|(at, ..)| *at >= self.first) else { return };
        if ending != "ative" || at >= self.second {
            self.replace(at, with);
        }
    }

    fn fourth(&mut self) {
        let found = FOURTH.iter().find_map(|ending| Some((self.ending(ending)?, *ending)));
        let Some((at, ending)) = found.filter(|(at, _)| *at >= self.second) else { return };
        if ending != "ion" || matches!(self.before(at), Some(b's' | b't')) {
            self.word.truncate(at);
        }
    }

    fn fifth(&mut self) {
        let at = self.word.len().saturating_sub(1);
        let goes = match self.word.last() {
            Some(b'e') => at >= self.second || at >= self.first && !self.is_short(at),
            Some(b'l') => at >= self.second && self.before(at) == Some(b'l'),
            _ => false,
        };
        if goes {
            self.word.truncate(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::string::String;

    use super::*;

    /// From the sample vocabulary that the algorithm is published with.
    #[test]
    fn stems_are_those_of_the_published_vocabulary() {
        let known = [
            ("consign", "consign"),
            ("consigned", "consign"),
            ("consignment", "consign"),
            ("consist", "consist"),
            ("consistency", "consist"),
            ("consolation", "consol"),
            ("consolatory", "consolatori"),
            ("consolingly", "consol"),
            ("conspicuous", "conspicu"),
            ("conspiracy", "conspiraci"),
            ("constancy", "constanc"),
            ("knack", "knack"),
            ("knackeries", "knackeri"),
            ("knaves", "knave"),
            ("kneeling", "kneel"),
            ("knightly", "knight"),
            ("knots", "knot"),
            ("generate", "generat"),
            ("generously", "generous"),
            ("hopping", "hop"),
            ("hoping", "hope"),
            ("ties", "tie"),
            ("cries", "cri"),
            ("gas", "gas"),
            ("gaps", "gap"),
            ("happy", "happi"),
            ("say", "say"),
            ("running", "run"),
            ("kings", "king"),
            ("agreed", "agre"),
            ("rational", "ration"),
            ("dying", "die"),
            ("proceeds", "proceed"),
            ("beautiful", "beauti"),
            ("relativity", "relat"),
            ("controlling", "control"),
            ("analogous", "analog"),
            ("dog's", "dog"),
            ("youth", "youth"),
            ("employer", "employ"),
        ];
        for (word, expected) in known {
            assert_eq!(String::from_utf8_lossy(&stem(word.as_bytes())), expected, "{word}");
        }
    }

    #[test]
    fn no_word_makes_it_panic() {
        let letters = b"aeysxlingd'\xc3";
        for number in 0..letters.len().pow(4) {
            let word: Vec<u8> =
                (0..4).map(|at| letters[number / letters.len().pow(at) % letters.len()]).collect();
            stem(&word);
        }
    }
}
