//! Glob patterns as KEYS, SCAN, PSUBSCRIBE and ACL rules know them, over bytes.
//!
//! `*` any bytes, `?` one byte, `[abc]`, `[^abc]`, `[a-z]` one byte of a set, `\x` the byte x
//! itself. The corner cases are Redis's: a set without its `]` ends with the pattern, `[z-a]` means
//! `[a-z]`, a lone `\` at the end means itself, an empty text is matched by the empty pattern only.
//!
//! Time is at most pattern length times text length: on a mismatch only the last `*` is widened,
//! because whatever an earlier one could still swallow, the last one can as well.

/// Whether the whole of `text` matches `pattern`.
#[must_use]
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    run(pattern, text, |byte| byte)
}

/// The same, ignoring the case of ASCII letters.
#[must_use]
pub fn matches_nocase(pattern: &[u8], text: &[u8]) -> bool {
    run(pattern, text, |byte| byte.to_ascii_lowercase())
}

fn run(pattern: &[u8], text: &[u8], fold: impl Fn(u8) -> u8) -> bool {
    if text.is_empty() {
        return pattern.is_empty();
    }
    let (mut pattern_at, mut text_at) = (0, 0);
    // Where to go on after a mismatch: behind the last star, and the text not yet tried for it.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        if pattern.get(pattern_at) == Some(&b'*') {
            while pattern.get(pattern_at) == Some(&b'*') {
                pattern_at += 1;
            }
            if pattern_at == pattern.len() {
                return true;
            }
            retry = Some((pattern_at, text_at));
            continue;
        }
        let Some(byte) = text.get(text_at) else { return pattern_at == pattern.len() };
        match one(&pattern[pattern_at..], fold(*byte), &fold) {
            Some(used) => {
                pattern_at += used;
                text_at += 1;
            }
            None => {
                let Some((after_star, tried)) = retry else { return false };
                (pattern_at, text_at) = (after_star, tried + 1);
                retry = Some((pattern_at, text_at));
            }
        }
    }
}

/// How many bytes of the pattern stand for this one (already folded) byte of the text; `None` if
/// it does not match.
fn one(pattern: &[u8], byte: u8, fold: &impl Fn(u8) -> u8) -> Option<usize> {
    match *pattern {
        [] => None,
        [b'?', ..] => Some(1),
        [b'[', ..] => {
            let (used, hit) = set(pattern, byte, fold);
            hit.then_some(used)
        }
        [b'\\', literal, ..] => (fold(literal) == byte).then_some(2),
        [literal, ..] => (fold(literal) == byte).then_some(1),
    }
}

/// Reads a set that begins at `[`; returns its length and whether `byte` is meant.
fn set(pattern: &[u8], byte: u8, fold: &impl Fn(u8) -> u8) -> (usize, bool) {
    let negated = pattern.get(1) == Some(&b'^');
    let mut at = if negated { 2 } else { 1 };
    let mut hit = false;
    let used = loop {
        match pattern[at..] {
            [] => break at,
            [b']', ..] => break at + 1,
            [b'\\', literal, ..] => {
                hit |= fold(literal) == byte;
                at += 2;
            }
            [from, b'-', to, ..] => {
                let (low, high) = (from.min(to), from.max(to));
                hit |= (fold(low)..=fold(high)).contains(&byte);
                at += 3;
            }
            [literal, ..] => {
                hit |= fold(literal) == byte;
                at += 1;
            }
        }
    };
    (used, hit != negated)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, text: &str, expected: bool) {
        let actual = matches(pattern.as_bytes(), text.as_bytes());
        assert_eq!(actual, expected, "pattern {pattern:?}, text {text:?}");
    }

    #[test]
    fn ordinary_patterns() {
        for (pattern, text, expected) in [
            ("*", "anything", true),
            ("h?llo", "hello", true),
            ("h?llo", "hllo", false),
            ("h*llo", "heeeello", true),
            ("h[ae]llo", "hallo", true),
            ("h[ae]llo", "hillo", false),
            ("h[^e]llo", "hallo", true),
            ("h[^e]llo", "hello", false),
            ("h[a-b]llo", "hbllo", true),
            ("user:*:name", "user:1:2:name", true),
            ("user:*:name", "user:1:names", false),
            ("a*b*c", "aXbXbXc", true),
            ("*abc", "ababc", true),
            ("\\*", "*", true),
            ("\\*", "x", false),
            ("", "", true),
            ("", "a", false),
            ("a", "ab", false),
        ] {
            check(pattern, text, expected);
        }
    }

    #[test]
    fn corner_cases_are_those_of_redis() {
        for (pattern, text, expected) in [
            ("*", "", false),
            ("a*", "a", true),
            ("a**", "a", true),
            ("a*?", "a", false),
            ("[z-a]", "m", true),
            ("[abc", "a", true),
            ("[abc", "x", false),
            ("[]", "a", false),
            ("[^]", "a", true),
            ("[\\]]", "]", true),
            ("[a-]", "]", true),
            ("[a-", "-", true),
            ("\\", "\\", true),
            ("a\\", "a\\", true),
        ] {
            check(pattern, text, expected);
        }
    }

    #[test]
    fn case_is_ignored_on_request_only() {
        assert!(!matches(b"HELLO*", b"hello world"));
        assert!(matches_nocase(b"HELLO*", b"hello world"));
        assert!(matches_nocase(b"[A-C]x", b"bX"));
        assert!(matches_nocase(b"\\Q", b"q"));
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        let text = [b'a'; 20_000];
        let pattern = [&b"*a".repeat(200)[..], b"*b"].concat();
        assert!(!matches(&pattern, &text));
        let pattern = [&b"a*".repeat(2_000)[..], b"b"].concat();
        assert!(!matches(&pattern, &text));
    }
}
