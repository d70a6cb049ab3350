//! Compares an expected text with what came, where `?` and `...` leave something free.
//!
//! `?` stands for one or more characters of a line, after `(integer) ` for a whole number; a line
//! `...` for any number of lines. A reply that itself holds a `?` is matched by it as well.

/// Whether `actual` is what `expected` asks for.
#[must_use]
pub fn matches(expected: &str, actual: &str) -> bool {
    if expected == actual {
        return true;
    }
    let expected: Vec<&str> = expected.lines().collect();
    let actual: Vec<&str> = actual.lines().collect();
    lines_match(&expected, &actual)
}

fn lines_match(expected: &[&str], actual: &[&str]) -> bool {
    let Some((first, rest)) = expected.split_first() else {
        return actual.is_empty();
    };
    if first.trim() == "..." {
        return (0..=actual.len()).any(|skipped| lines_match(rest, &actual[skipped..]));
    }
    match actual.split_first() {
        Some((line, after)) => line_matches(first, line) && lines_match(rest, after),
        None => false,
    }
}

fn line_matches(expected: &str, actual: &str) -> bool {
    let Some((before, after)) = expected.split_once('?') else {
        return expected == actual;
    };
    actual.strip_prefix(before).is_some_and(|rest| {
        let number_only = before.ends_with("(integer) ");
        rest_matches(number_only, after, rest)
    })
}

/// Matches what follows a `?` in the pattern. The leftmost place where the next literal piece fits
/// is always good enough, so nothing is tried twice.
fn rest_matches(number_only: bool, after: &str, rest: &str) -> bool {
    if number_only {
        let digits = rest.strip_prefix('-').unwrap_or(rest);
        let tail = digits.trim_start_matches(|c: char| c.is_ascii_digit());
        return tail.len() < digits.len() && line_matches(after, tail);
    }
    let Some(first) = rest.chars().next() else {
        return false;
    };
    let rest = &rest[first.len_utf8()..];
    let Some((piece, later)) = after.split_once('?') else {
        return rest.ends_with(after);
    };
    rest.find(piece).is_some_and(|at| {
        let tail = &rest[at + piece.len()..];
        rest_matches(piece.ends_with("(integer) "), later, tail)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_without_wildcards_must_be_equal() {
        assert!(matches("OK", "OK"));
        assert!(!matches("OK", "OK\nOK"));
        assert!(!matches("1) \"a\"\n2) \"b\"", "1) \"a\""));
    }

    #[test]
    fn question_marks_stand_for_something() {
        assert!(matches("\"?\"", "\"abc\""));
        assert!(!matches("\"?\"", "\"\""));
        assert!(!matches("\"?\"", "(nil)"));
        assert!(matches("\"id=? addr=?:?\"", "\"id=3 addr=127.0.0.1:80\""));
        assert!(!matches("\"id=? addr=?\"", "\"id=3 name=x\""));
        assert!(!matches(&"?a".repeat(30), &"a".repeat(5_000)[..59]));
        assert!(matches(&"?a".repeat(30), &"a".repeat(5_000)));
    }

    #[test]
    fn an_integer_stays_an_integer() {
        assert!(matches("(integer) ?", "(integer) -12"));
        assert!(!matches("(integer) ?", "(integer) "));
        assert!(!matches("(integer) ?", "(integer) -"));
        assert!(!matches("(integer) ?", "(integer) 1x"));
    }

    #[test]
    fn dots_stand_for_lines() {
        assert!(matches("a\n...\nd", "a\nb\nc\nd"));
        assert!(matches("a\n...", "a"));
        assert!(!matches("a\n...\nd", "a\nb\nc"));
    }
}
