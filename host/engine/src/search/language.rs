//! The languages that text can be in: what a word's stem is, and where words end.
//!
//! English has its own stemmer, other languages those of the Snowball project. Chinese has no
//! blanks between words; it is cut into pairs of letters, each beginning where its first letter
//! stands, so that a word is found as its pairs in a row, whatever dictionary would have it.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::ops::Range;

use waken_snowball::Algorithm;

use super::{stemming, tokens};

/// A language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Language(u8);

/// What a word is given to: with its place in the text, and whether it begins behind the word before;
/// if not, it begins where that does.
pub type Give<'g> = dyn FnMut(&[u8], Range<usize>, bool) + 'g;

/// How the words of a language are brought to their stems.
#[derive(Clone, Copy, Debug)]
enum Stemmer {
    /// They are not.
    None,
    /// They are not, and have no blanks between them.
    Chinese,
    /// By the engine's own rules.
    English,
    /// By rules of the Snowball project.
    Snowball(Algorithm),
}

/// The languages that clients can name.
const LANGUAGES: [(&str, Stemmer); 31] = {
    use Stemmer::{None, Snowball};
    [
        ("english", Stemmer::English),
        ("arabic", Snowball(Algorithm::Arabic)),
        ("armenian", Snowball(Algorithm::Armenian)),
        ("basque", Snowball(Algorithm::Basque)),
        ("catalan", Snowball(Algorithm::Catalan)),
        ("chinese", Stemmer::Chinese),
        ("danish", Snowball(Algorithm::Danish)),
        ("dutch", Snowball(Algorithm::Dutch)),
        ("estonian", Snowball(Algorithm::Estonian)),
        ("finnish", Snowball(Algorithm::Finnish)),
        ("french", Snowball(Algorithm::French)),
        ("german", Snowball(Algorithm::German)),
        ("greek", Snowball(Algorithm::Greek)),
        ("hebrew", None),
        ("hindi", Snowball(Algorithm::Hindi)),
        ("hungarian", Snowball(Algorithm::Hungarian)),
        ("indonesian", Snowball(Algorithm::Indonesian)),
        ("irish", Snowball(Algorithm::Irish)),
        ("italian", Snowball(Algorithm::Italian)),
        ("lithuanian", Snowball(Algorithm::Lithuanian)),
        ("nepali", Snowball(Algorithm::Nepali)),
        ("norwegian", Snowball(Algorithm::Norwegian)),
        ("portuguese", Snowball(Algorithm::Portuguese)),
        ("romanian", Snowball(Algorithm::Romanian)),
        ("russian", Snowball(Algorithm::Russian)),
        ("serbian", Snowball(Algorithm::Serbian)),
        ("spanish", Snowball(Algorithm::Spanish)),
        ("swedish", Snowball(Algorithm::Swedish)),
        ("tamil", Snowball(Algorithm::Tamil)),
        ("turkish", Snowball(Algorithm::Turkish)),
        ("yiddish", Snowball(Algorithm::Yiddish)),
    ]
};

impl Default for Language {
    fn default() -> Self {
        Self::ENGLISH
    }
}

impl Language {
    /// What text is in that nobody says anything of.
    pub const ENGLISH: Self = Self(0);

    /// The language of this name.
    pub fn of_name(name: &[u8]) -> Option<Self> {
        let is_it = |(known, _): &(&str, Stemmer)| name.eq_ignore_ascii_case(known.as_bytes());
        LANGUAGES.iter().position(is_it).map(|place| Self(place as u8))
    }

    /// Its number, which is the same in every run of this version.
    pub fn number(self) -> u8 {
        self.0
    }

    fn stemmer(self) -> Stemmer {
        LANGUAGES.get(usize::from(self.0)).map_or(Stemmer::None, |(_, stemmer)| *stemmer)
    }

    /// The stem of a word in lower case, if words have stems.
    pub fn stem(self, word: &[u8]) -> Option<Cow<'_, [u8]>> {
        match self.stemmer() {
            Stemmer::None | Stemmer::Chinese => None,
            Stemmer::English => Some(Cow::Owned(stemming::stem(word))),
            Stemmer::Snowball(algorithm) => Some(match core::str::from_utf8(word) {
                Ok(text) => match waken_snowball::stem(algorithm, text) {
                    Cow::Borrowed(stem) => Cow::Borrowed(stem.as_bytes()),
                    Cow::Owned(stem) => Cow::Owned(stem.into_bytes()),
                },
                Err(_) => Cow::Borrowed(word),
            }),
        }
    }

    /// Whether words are cut out of what stands between blanks.
    pub fn is_cut(self) -> bool {
        matches!(self.stemmer(), Stemmer::Chinese)
    }

    /// Gives each word of a text in lower case.
    pub fn each_word(self, text: &[u8], give: &mut Give<'_>) {
        let is_cut = self.is_cut();
        tokens::each_word(text, &mut |word, range| {
            let raw = text.get(range.clone()).unwrap_or_default();
            match core::str::from_utf8(raw) {
                Ok(raw) if is_cut && raw.contains(is_han) => cut(raw, range.start, give),
                _ => give(word, range, true),
            }
        });
    }

    /// The words that must stand in a row so that what somebody looks for is there.
    pub fn words_in_a_row(self, text: &[u8]) -> Vec<Vec<u8>> {
        let mut words: Vec<Vec<u8>> = Vec::new();
        self.each_word(text, &mut |word, _, is_next| match words.last_mut() {
            // A pair says more than its first letter.
            Some(last) if !is_next => *last = word.to_vec(),
            _ => words.push(word.to_vec()),
        });
        words
    }
}

/// Whether a letter is one of those that Chinese is written with.
fn is_han(letter: char) -> bool {
    matches!(letter, '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// Cuts what stands between blanks: Chinese into letters and pairs, the rest into words.
fn cut(raw: &str, offset: usize, give: &mut Give<'_>) {
    let mut rest = raw;
    while let Some(first) = rest.chars().next() {
        let at = raw.len() - rest.len();
        if is_han(first) {
            let next = rest.chars().nth(1).filter(|letter| is_han(*letter));
            let len = first.len_utf8();
            let mut say = |to: usize, is_next: bool| {
                let piece = rest.get(..to).unwrap_or_default().as_bytes();
                give(piece, offset + at..offset + at + to, is_next);
            };
            say(len, true);
            if let Some(next) = next {
                say(len + next.len_utf8(), false);
            }
            rest = rest.get(len..).unwrap_or_default();
        } else {
            let len = rest.find(is_han).unwrap_or(rest.len());
            let piece = rest.get(..len).unwrap_or_default();
            tokens::each_word(piece.as_bytes(), &mut |word, range| {
                give(word, offset + at + range.start..offset + at + range.end, true);
            });
            rest = rest.get(len..).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::string::{String, ToString};

    use super::*;
    use crate::types::random::below;

    fn language(name: &str) -> Language {
        Language::of_name(name.as_bytes()).expect("a language")
    }

    fn stem(name: &str, word: &str) -> String {
        let stem = language(name).stem(word.as_bytes()).expect("a stem");
        String::from_utf8_lossy(&stem).into_owned()
    }

    #[test]
    fn words_are_brought_to_their_stems() {
        assert_eq!(stem("german", "kindern"), stem("german", "kind"));
        assert_eq!(stem("french", "chevaux"), stem("french", "cheval"));
        assert_eq!(stem("spanish", "hablamos"), stem("spanish", "hablar"));
        assert_eq!(stem("English", "running"), "run");
        assert!(language("hebrew").stem(b"x").is_none() && Language::of_name(b"klingon").is_none());
        assert_eq!(language("german").stem(b"\xff\xfe").as_deref(), Some(&b"\xff\xfe"[..]));
    }

    /// The stemmers are others' code: whatever the letters, they come to an end and give something.
    #[test]
    fn no_word_is_too_strange_for_a_stemmer() {
        let mut state = 11_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state
        };
        let alphabets = [
            "abcdefghijklmnopqrstuvwxyz'",
            "äöüßéèçñåøæıığş",
            "αβγδεσςάό",
            "абвгдежя",
            "אבגד",
            "ابتثج",
            "कखगघ",
            "தமிழ",
            "աբգ",
            "我们𠀀\u{301}",
        ];
        for (name, _) in LANGUAGES {
            for _ in 0..400 {
                let mut word = String::new();
                for _ in 0..below(&mut random, 24) {
                    let alphabet = alphabets[below(&mut random, alphabets.len())];
                    let letters: Vec<char> = alphabet.chars().collect();
                    word.push(letters[below(&mut random, letters.len())]);
                }
                let _ = language(name).stem(word.to_string().as_bytes());
            }
            for alphabet in alphabets {
                let mut long = alphabet.repeat(60);
                while long.len() > tokens::WORD_BYTES_MAX {
                    long.pop();
                }
                let _ = language(name).stem(long.as_bytes());
            }
        }
    }

    #[test]
    fn chinese_is_cut_into_letters_and_pairs() {
        let text = "我喜欢 Rust编程";
        let mut found = Vec::new();
        language("chinese").each_word(text.as_bytes(), &mut |word, range, is_next| {
            if word.is_ascii() {
                assert_eq!(word, b"rust");
            } else {
                assert_eq!(text.as_bytes().get(range), Some(word));
            }
            found.push((String::from_utf8_lossy(word).into_owned(), is_next));
        });
        let found: Vec<_> = found.iter().map(|(word, is_next)| (word.as_str(), *is_next)).collect();
        let expected = [
            ("我", true),
            ("我喜", false),
            ("喜", true),
            ("喜欢", false),
            ("欢", true),
            ("rust", true),
            ("编", true),
            ("编程", false),
            ("程", true),
        ];
        assert_eq!(found, expected);
        let row = |name: &str, text: &str| {
            let words = language(name).words_in_a_row(text.as_bytes());
            words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(row("chinese", "编程"), ["编程", "程"]);
        assert_eq!(row("chinese", "我"), ["我"]);
        assert_eq!(row("english", "编程"), ["编程"]);
    }
}
