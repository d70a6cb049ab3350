//! Inline commands: one line of words, as typed into telnet, with Redis's quoting rules.
//!
//! Double quotes know `\n \r \t \b \a \\ \" \xHH`, single quotes only `\'`; a closing quote must
//! be followed by space or the end.

use crate::argv::OwnedArgv;

/// Splits a line into words. `None` when quotes are unbalanced.
pub fn split_line(line: &[u8], words: &mut OwnedArgv) -> Option<()> {
    words.clear();
    let mut rest = line;
    let mut word = alloc::vec::Vec::new();
    loop {
        let skip = rest.iter().take_while(|byte| is_space(**byte)).count();
        rest = &rest[skip..];
        if rest.is_empty() || rest[0] == 0 {
            return Some(());
        }
        word.clear();
        rest = take_word(rest, &mut word)?;
        words.push(&word);
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// Appends the word at the head of `rest` to `word`; gives what follows it.
fn take_word<'a>(mut rest: &'a [u8], word: &mut alloc::vec::Vec<u8>) -> Option<&'a [u8]> {
    while let Some((&byte, tail)) = rest.split_first() {
        match byte {
            b'"' => return take_double_quoted(tail, word),
            b'\'' => return take_single_quoted(tail, word),
            0 => return Some(&[]),
            _ if is_space(byte) => return Some(tail),
            _ => word.push(byte),
        }
        rest = tail;
    }
    Some(rest)
}

fn take_double_quoted<'a>(mut rest: &'a [u8], word: &mut alloc::vec::Vec<u8>) -> Option<&'a [u8]> {
    loop {
        match rest {
            [b'\\', b'x', high, low, tail @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                word.push(hex_digit(*high) << 4 | hex_digit(*low));
                rest = tail;
            }
            [b'\\', escaped, tail @ ..] => {
                word.push(unescape(*escaped));
                rest = tail;
            }
            [b'"', tail @ ..] => return after_quote(tail),
            [byte, tail @ ..] => {
                word.push(*byte);
                rest = tail;
            }
            [] => return None,
        }
    }
}

fn take_single_quoted<'a>(mut rest: &'a [u8], word: &mut alloc::vec::Vec<u8>) -> Option<&'a [u8]> {
    loop {
        match rest {
            [b'\\', b'\'', tail @ ..] => {
                word.push(b'\'');
                rest = tail;
            }
            [b'\'', tail @ ..] => return after_quote(tail),
            [byte, tail @ ..] => {
                word.push(*byte);
                rest = tail;
            }
            [] => return None,
        }
    }
}

/// A closing quote ends the word: anything but space behind it is unbalanced.
fn after_quote(tail: &[u8]) -> Option<&[u8]> {
    match tail.first() {
        None => Some(tail),
        Some(byte) if is_space(*byte) => Some(tail),
        Some(_) => None,
    }
}

fn unescape(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}

fn hex_digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        b'a'..=b'f' => byte - b'a' + 10,
        _ => byte.wrapping_sub(b'A').wrapping_add(10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn check(line: &[u8], expected: Option<&[&[u8]]>) {
        let mut words = OwnedArgv::new();
        let got = split_line(line, &mut words)
            .map(|()| words.as_argv().iter().map(<[u8]>::to_vec).collect::<Vec<_>>());
        let expected = expected.map(|list| list.iter().map(|word| word.to_vec()).collect());
        assert_eq!(got, expected, "{}", line.escape_ascii());
    }

    #[test]
    fn words_and_quotes() {
        check(b"", Some(&[]));
        check(b"  set  k\tv ", Some(&[b"set", b"k", b"v"]));
        check(br#"set k "a b\x41\n\"""#, Some(&[b"set", b"k", b"a bA\n\""]));
        check(br"set k 'a \' \n'", Some(&[b"set", b"k", br"a ' \n"]));
        check(br#"set k """#, Some(&[b"set", b"k", b""]));
        check(br#"set k "a"#, None);
        check(br#"set k "a"b"#, None);
        check(b"set k 'a", None);
    }
}
