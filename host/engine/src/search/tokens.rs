//! Text as the words in it: cut at blanks and punctuation, in lower case.
//!
//! A backslash makes a letter of the sign of punctuation behind it. Bytes that are not UTF-8 are
//! letters like any others.

use alloc::vec::Vec;
use core::ops::Range;

/// Longest word that is told apart from others, in bytes; what is longer is cut.
pub const WORD_BYTES_MAX: usize = 512;

/// What a stem begins with, so that it is not taken for a word.
pub const STEM_MARK: u8 = b'+';
/// What the code of a word's sound begins with.
pub const SOUND_MARK: u8 = b'<';
/// What the name of a group of synonyms begins with.
pub const GROUP_MARK: u8 = b'~';

/// A word with such a mark.
pub fn marked(mark: u8, word: &[u8]) -> Vec<u8> {
    let mut marked = Vec::with_capacity(word.len() + 1);
    marked.push(mark);
    marked.extend_from_slice(word);
    marked
}

/// Whether somebody wrote this word as it is. An empty text is no word.
pub fn is_written(word: &[u8]) -> bool {
    !matches!(word.first(), None | Some(&STEM_MARK | &GROUP_MARK | &SOUND_MARK))
}

/// Whether a byte separates words.
#[inline]
pub fn is_separator(byte: u8) -> bool {
    byte <= b' ' || byte == 0x7f || byte.is_ascii_punctuation() && byte != b'_' && byte != b'\\'
}

/// Gives each word in lower case, and where it stands in the text.
pub fn each_word(text: &[u8], give: &mut dyn FnMut(&[u8], Range<usize>)) {
    let mut word = Vec::new();
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        if is_separator(*byte) {
            at += 1;
            continue;
        }
        let end = end_of_word(text, at);
        let raw = text.get(at..end).unwrap_or_default();
        word.clear();
        unescape(raw, &mut word);
        lower(&mut word);
        word.truncate(WORD_BYTES_MAX);
        if !word.is_empty() {
            give(&word, at..end);
        }
        at = end;
    }
}

/// Where the word that begins at `at` ends.
fn end_of_word(text: &[u8], mut at: usize) -> usize {
    while let Some(byte) = text.get(at) {
        if *byte == b'\\' && text.get(at + 1).is_some_and(|next| is_escapable(*next)) {
            at += 2;
        } else if is_separator(*byte) {
            return at;
        } else {
            at += 1;
        }
    }
    text.len()
}

/// Whether a backslash in front of it has a meaning.
fn is_escapable(byte: u8) -> bool {
    byte.is_ascii_punctuation() || byte == b' '
}

/// Takes away the backslashes that make letters of what follows them.
pub fn unescape(raw: &[u8], out: &mut Vec<u8>) {
    let mut bytes = raw.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if byte == b'\\' {
            if let Some(next) = bytes.next_if(|next| is_escapable(*next)) {
                out.push(next);
            }
        } else {
            out.push(byte);
        }
    }
}

/// Brings a word to lower case.
pub fn lower(word: &mut Vec<u8>) {
    if word.is_ascii() {
        word.make_ascii_lowercase();
        return;
    }
    let lowered = match core::str::from_utf8(word) {
        Ok(text) => text.to_lowercase().into_bytes(),
        Err(_) => word.to_ascii_lowercase(),
    };
    *word = lowered;
}

#[cfg(test)]
mod tests {
    use std::string::String;
    use std::vec::Vec;

    use super::*;

    fn words(text: &str) -> Vec<String> {
        let mut words = Vec::new();
        each_word(text.as_bytes(), &mut |word, range| {
            assert!(text.as_bytes().get(range).is_some());
            words.push(String::from_utf8_lossy(word).into_owned());
        });
        words
    }

    #[test]
    fn words_end_at_blanks_and_punctuation() {
        assert_eq!(words("Hello, world! a_b-c\td\ne"), ["hello", "world", "a_b", "c", "d", "e"]);
        assert_eq!(words("  ,. "), [""; 0]);
        assert_eq!(words("Ünïcode ÄÖ"), ["ünïcode", "äö"]);
    }

    #[test]
    fn a_backslash_keeps_punctuation_in_a_word() {
        assert_eq!(words(r"hello\-world foo\,bar baz\"), ["hello-world", "foo,bar", "baz"]);
        assert_eq!(words(r"a\ b"), ["a b"]);
    }

    #[test]
    fn where_words_stand_is_told() {
        let mut places = Vec::new();
        each_word(b"one, two", &mut |_, range| places.push(range));
        assert_eq!(places, [0..3, 5..8]);
    }
}
