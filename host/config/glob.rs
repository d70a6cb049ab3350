//! Patterns: `*`, `?`, `[a-z]`, `[^a-z]` and `\` before a byte, as `KEYS` and `CONFIG GET` know
//! them, and the files that a pattern in `include` names.
//!
//! Invariant: a match costs at most pattern length times text length, whatever the pattern.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// Whether the text holds a byte that makes it a pattern.
pub(super) fn is_pattern(text: &[u8]) -> bool {
    text.iter().any(|byte| matches!(byte, b'*' | b'?' | b'['))
}

/// Whether the text matches the pattern, in any case of ASCII letters if told so.
pub(super) fn matches(pattern: &[u8], text: &[u8], fold_case: bool) -> bool {
    let (mut at, mut here) = (0, 0);
    // Only the last star ever needs another try: what an earlier one took can stay.
    let mut star: Option<(usize, usize)> = None;
    while let Some(&byte) = text.get(here) {
        if pattern.get(at) == Some(&b'*') {
            star = Some((at + 1, here));
            at += 1;
            continue;
        }
        if let Some(next) = step(pattern, at, byte, fold_case) {
            at = next;
            here += 1;
            continue;
        }
        let Some((after, taken)) = star else { return false };
        star = Some((after, taken + 1));
        at = after;
        here = taken + 1;
    }
    pattern.get(at..).is_some_and(|rest| rest.iter().all(|&byte| byte == b'*'))
}

/// The place after the element at `at` if that element accepts the byte.
fn step(pattern: &[u8], at: usize, byte: u8, fold_case: bool) -> Option<usize> {
    let fold = |byte: u8| if fold_case { byte.to_ascii_lowercase() } else { byte };
    match *pattern.get(at)? {
        b'?' => Some(at + 1),
        b'[' => {
            let (accepted, next) = class(pattern, at + 1, fold(byte), &fold);
            accepted.then_some(next)
        }
        b'\\' if at + 1 < pattern.len() => {
            (fold(*pattern.get(at + 1)?) == fold(byte)).then_some(at + 2)
        }
        other => (fold(other) == fold(byte)).then_some(at + 1),
    }
}

/// Whether the class that starts at `at` accepts the byte, and the place after it. A class without
/// end reaches to the end of the pattern.
fn class(pattern: &[u8], mut at: usize, byte: u8, fold: &impl Fn(u8) -> u8) -> (bool, usize) {
    let negated = pattern.get(at) == Some(&b'^');
    at += usize::from(negated);
    let mut found = false;
    loop {
        match (pattern.get(at), pattern.get(at + 1), pattern.get(at + 2)) {
            (None, ..) => return (found != negated, at),
            (Some(b']'), ..) => return (found != negated, at + 1),
            (Some(b'\\'), Some(&literal), _) => {
                found |= fold(literal) == byte;
                at += 2;
            }
            (Some(&from), Some(b'-'), Some(&to)) => {
                let (from, to) = (fold(from.min(to)), fold(from.max(to)));
                found |= (from..=to).contains(&byte);
                at += 3;
            }
            (Some(&literal), ..) => {
                found |= fold(literal) == byte;
                at += 1;
            }
        }
    }
}

/// The existing paths that a pattern names, in order of their names. As in a shell, a leading dot
/// must be written out, and a pattern does not reach across `/`.
///
/// # Errors
/// When more than `paths_max` paths match.
pub(super) fn paths(pattern: &Path, paths_max: usize) -> io::Result<Vec<PathBuf>> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.components() {
        let name = part.as_os_str().as_encoded_bytes();
        if !matches!(part, Component::Normal(_)) || !is_pattern(name) {
            for path in &mut found {
                path.push(part);
            }
            continue;
        }
        let mut next = Vec::new();
        for folder in found {
            next.extend(entries(&folder, name));
            if next.len() > paths_max {
                return Err(io::Error::other(format!("matches more than {paths_max} files")));
            }
        }
        next.sort();
        found = next;
    }
    found.retain(|path| path.exists());
    Ok(found)
}

fn entries(folder: &Path, pattern: &[u8]) -> Vec<PathBuf> {
    let listed = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    // A folder that cannot be listed matches nothing, as in a shell.
    let Ok(listing) = fs::read_dir(listed) else { return Vec::new() };
    let accepted = |name: &[u8]| {
        (name.first() != Some(&b'.') || pattern.first() == Some(&b'.'))
            && matches(pattern, name, false)
    };
    listing
        .filter_map(Result::ok)
        .map(|entry| entry.file_name())
        .filter(|name| accepted(name.as_encoded_bytes()))
        .map(|name| folder.join(name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, text: &str, expected: bool) {
        assert_eq!(
            matches(pattern.as_bytes(), text.as_bytes(), true),
            expected,
            "{pattern} {text}"
        );
    }

    #[test]
    fn patterns_match_as_in_redis() {
        for (pattern, text) in [
            ("*", ""),
            ("*", "port"),
            ("p*t", "port"),
            ("p**t", "port"),
            ("PO?T", "port"),
            ("[t]imeout", "timeout"),
            ("timeou[a-t]", "timeout"),
            ("timeou[^a-s]", "timeout"),
            ("a\\*b", "a*b"),
            ("*a*b*c", "xaxbxabc"),
            ("\\", "\\"),
            ("[z-a]", "m"),
        ] {
            check(pattern, text, true);
        }
        for (pattern, text) in [
            ("", "a"),
            ("a", ""),
            ("?", ""),
            ("max\\*", "maxmemory"),
            ("*a", "ab"),
            ("[^a]", "A"),
            ("[a-", "b"),
        ] {
            check(pattern, text, false);
        }
        assert!(!matches(b"A", b"a", false));
    }

    #[test]
    fn a_hostile_pattern_ends_soon() {
        let pattern = "a*".repeat(2_000) + "b";
        let text = "a".repeat(4_000);
        check(&pattern, &text, false);
    }
}
