//! Lines into words and back, by the quoting rules of redis.conf.
//!
//! `"..."` knows `\n \r \t \b \a \xHH` and `\` before any other byte; `'...'` knows only `\'`.
//! A closing quote must end the word. There are no trailing comments.

/// The words of a line, or nothing when its quotes do not balance.
pub fn split(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut bytes = line.iter().copied().peekable();
    let mut words = Vec::new();
    loop {
        while bytes.next_if(|&byte| is_blank(byte)).is_some() {}
        if bytes.peek().is_none() {
            return Some(words);
        }
        let mut word = Vec::new();
        while let Some(byte) = bytes.next_if(|&byte| !is_blank(byte)) {
            match byte {
                b'"' => {
                    double_quoted(&mut bytes, &mut word)?;
                    break;
                }
                b'\'' => {
                    single_quoted(&mut bytes, &mut word)?;
                    break;
                }
                other => word.push(other),
            }
        }
        words.push(word);
    }
}

type Bytes<'a> = std::iter::Peekable<std::iter::Copied<std::slice::Iter<'a, u8>>>;

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c | 0)
}

fn double_quoted(bytes: &mut Bytes<'_>, word: &mut Vec<u8>) -> Option<()> {
    loop {
        match bytes.next()? {
            b'"' => return ends_word(bytes),
            b'\\' => match bytes.next()? {
                b'n' => word.push(b'\n'),
                b'r' => word.push(b'\r'),
                b't' => word.push(b'\t'),
                b'b' => word.push(0x08),
                b'a' => word.push(0x07),
                b'x' => match hex_pair(bytes.clone()) {
                    Some(byte) => {
                        bytes.next();
                        bytes.next();
                        word.push(byte);
                    }
                    None => word.push(b'x'),
                },
                other => word.push(other),
            },
            other => word.push(other),
        }
    }
}

fn single_quoted(bytes: &mut Bytes<'_>, word: &mut Vec<u8>) -> Option<()> {
    loop {
        match bytes.next()? {
            b'\'' => return ends_word(bytes),
            b'\\' if bytes.next_if_eq(&b'\'').is_some() => word.push(b'\''),
            other => word.push(other),
        }
    }
}

fn ends_word(bytes: &mut Bytes<'_>) -> Option<()> {
    match bytes.peek() {
        Some(&byte) if !is_blank(byte) => None,
        _ => Some(()),
    }
}

fn hex_pair(mut bytes: Bytes<'_>) -> Option<u8> {
    let high = char::from(bytes.next()?).to_digit(16)?;
    let low = char::from(bytes.next()?).to_digit(16)?;
    u8::try_from(high * 16 + low).ok()
}

/// The word between double quotes, so that [`split`] gives it back and a terminal can show it.
pub fn quote(word: &[u8]) -> String {
    let mut text = String::with_capacity(word.len() + 2);
    text.push('"');
    for &byte in word {
        match byte {
            b'\\' | b'"' => {
                text.push('\\');
                text.push(char::from(byte));
            }
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            0x07 => text.push_str("\\a"),
            0x08 => text.push_str("\\b"),
            b' '..=b'~' => text.push(char::from(byte)),
            other => text.push_str(&format!("\\x{other:02x}")),
        }
    }
    text.push('"');
    text
}

/// The word as it is if it reads back as one word, else between quotes.
pub fn quote_if_needed(word: &[u8]) -> String {
    let plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\');
    match str::from_utf8(word) {
        Ok(text) if !word.is_empty() && word.iter().all(plain) => text.to_owned(),
        _ => quote(word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, words: &[&str]) {
        let got = split(line.as_bytes()).expect("balanced");
        let got: Vec<_> = got.iter().map(|word| String::from_utf8_lossy(word)).collect();
        assert_eq!(got, words, "{line}");
    }

    #[test]
    fn words_are_split_at_blanks_and_quotes_are_undone() {
        check("", &[]);
        check("  port\t 6379 \r\n", &["port", "6379"]);
        check(r#"save """#, &["save", ""]);
        check(r#"a "b c" 'd e'"#, &["a", "b c", "d e"]);
        check(r#""\n\r\t\b\a\x41\"\\\q""#, &["\n\r\t\u{8}\u{7}A\"\\q"]);
        check(r#""\xZZ\x4""#, &["xZZx4"]);
        check(r"'it\'s \n'", &["it's \\n"]);
        check(r#"foo"bar""#, &["foobar"]);
        check("port 6379 # why", &["port", "6379", "#", "why"]);
    }

    #[test]
    fn unbalanced_quotes_are_refused() {
        for line in [r#""abc"#, "'abc", r#""a"b"#, r"'a'b", r#""a\"#, r#"x ""#] {
            assert_eq!(split(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn every_word_survives_quoting() {
        let all: Vec<u8> = (0..=255).collect();
        for word in [&all[..], b"", b"plain", b"a b", b"it's", b"\\x41"] {
            assert_eq!(split(quote(word).as_bytes()), Some(vec![word.to_vec()]));
            assert_eq!(split(quote_if_needed(word).as_bytes()), Some(vec![word.to_vec()]));
        }
        assert_eq!(quote_if_needed(b"plain"), "plain");
        assert_eq!(quote(b"a b\0\"q"), r#""a b\x00\"q""#);
    }
}
