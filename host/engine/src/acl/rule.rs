//! The language of rules: what may be wrong with one, and selectors that were spread over several
//! arguments.

use alloc::borrow::Cow;
use alloc::vec::Vec;

/// Why a rule was refused. The words stand in `error.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleError {
    /// There is no such command or category.
    Unknown,
    /// It is none of the rules there are.
    Syntax,
    /// A key pattern would add nothing: all keys are allowed.
    KeysAfterAll,
    /// A channel pattern would add nothing: all channels are allowed.
    ChannelsAfterAll,
    /// The password to be removed is not there.
    NoSuchPassword,
    /// It is not a SHA-256 in hexadecimal digits.
    NotAHash,
    /// First arguments are for commands, not for sub-commands.
    ArgumentOfSubcommand,
}

/// Whether these bytes stay one word in a description: no white space, no null character.
pub(super) fn is_one_word(bytes: &[u8]) -> bool {
    !bytes.iter().any(|byte| matches!(byte, 0 | b' ' | b'\t'..=b'\r'))
}

/// The rules with each selector in one piece. The error is the argument that opens a selector
/// without end.
pub(super) fn joined<'a>(rules: &[&'a [u8]]) -> Result<Vec<Cow<'a, [u8]>>, &'a [u8]> {
    let mut joined = Vec::with_capacity(rules.len());
    let mut open: Option<(&'a [u8], Vec<u8>)> = None;
    for &rule in rules {
        match &mut open {
            None if rule.starts_with(b"(") && !rule.ends_with(b")") => {
                open = Some((rule, rule.to_vec()));
                continue;
            }
            None => {
                joined.push(Cow::Borrowed(rule));
                continue;
            }
            Some((_, selector)) => {
                selector.push(b' ');
                selector.extend_from_slice(rule);
            }
        }
        if rule.ends_with(b")")
            && let Some((_, selector)) = open.take()
        {
            joined.push(Cow::Owned(selector));
        }
    }
    match open {
        Some((start, _)) => Err(start),
        None => Ok(joined),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<&[u8]> {
        line.split(' ').map(str::as_bytes).collect()
    }

    #[test]
    fn selectors_may_be_spread_over_arguments() {
        let rules = words("on (+get ~a) ( +set ~b ) off ()");
        let expected: [&[u8]; 5] = [b"on", b"(+get ~a)", b"( +set ~b )", b"off", b"()"];
        assert_eq!(joined(&rules).unwrap(), expected);
        assert_eq!(joined(&words("on (+get ~a")), Err(b"(+get".as_slice()));
        assert_eq!(joined(&words("(+get) ( x")), Err(b"(".as_slice()));
        assert_eq!(joined(&[b"", b""]).unwrap().len(), 2);
    }

    #[test]
    fn words_have_no_white_space() {
        assert!(is_one_word(b"caf\xc3\xa9*") && is_one_word(b""));
        for bad in [b"a b".as_slice(), b"a\tb", b"a\n", b"\x0b", b"\0"] {
            assert!(!is_one_word(bad));
        }
    }
}
