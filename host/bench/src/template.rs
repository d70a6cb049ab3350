//! One operation as it goes over the wire: RESP bytes with fixed-width holes for what changes.
//!
//! Invariant: every hole has a fixed width, so filling it moves no byte and no length changes; the
//! load loop only overwrites digits.

use crate::error::BenchError;

/// What fills a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A random number below the number of keys.
    Random,
    /// A random number below 1000 (see `THOUSAND`).
    Thousand,
    /// 0, 1, 2 ... over all connections of a run.
    Index,
    /// The same from 100000000000, so that it has no leading zero (servers refuse those in numbers).
    Sequence,
    /// Microseconds since 1970 at the start plus the operation's number: new in later runs too.
    Nonce,
}

/// A run of digits in an operation's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hole {
    pub(crate) at: usize,
    pub(crate) width: usize,
    pub(crate) source: Source,
}

/// One operation: one command, or several that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    /// Name in reports.
    pub(crate) label: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) holes: Vec<Hole>,
    /// Replies that the server gives to it.
    pub(crate) replies: u32,
}

impl Template {
    /// Lays out `text`, written as for redis-cli, with `data` as the value. A ` ; ` separates
    /// commands of one operation.
    pub(crate) fn parse(text: &str, data: &[u8]) -> Result<Self, BenchError> {
        let fail = |why: &str| BenchError::Mix(text.to_owned(), why.to_owned());
        let words = words(text).map_err(&fail)?;
        let mut template =
            Self { label: String::new(), bytes: Vec::new(), holes: Vec::new(), replies: 0 };
        let mut names = Vec::new();
        for command in words.split(|word| *word == Word::Separator) {
            let command: Vec<&[u8]> = command.iter().filter_map(Word::argument).collect();
            let Some(name) = command.first() else {
                return Err(fail("a command is missing"));
            };
            names.push(String::from_utf8_lossy(name).into_owned());
            template.command(&command, data);
        }
        template.label = names.join(";");
        Ok(template)
    }

    fn command(&mut self, arguments: &[&[u8]], data: &[u8]) {
        self.bytes.extend_from_slice(format!("*{}\r\n", arguments.len()).as_bytes());
        for argument in arguments {
            let (bytes, holes) = expanded(argument, data);
            self.bytes.extend_from_slice(format!("${}\r\n", bytes.len()).as_bytes());
            let base = self.bytes.len();
            self.holes.extend(holes.into_iter().map(|hole| Hole { at: base + hole.at, ..hole }));
            self.bytes.extend_from_slice(&bytes);
            self.bytes.extend_from_slice(b"\r\n");
        }
        self.replies += 1;
    }
}

/// An argument's bytes with zeros in its holes.
fn expanded(argument: &[u8], data: &[u8]) -> (Vec<u8>, Vec<Hole>) {
    let mut bytes = Vec::with_capacity(argument.len());
    let mut holes = Vec::new();
    let mut rest = argument;
    while let Some(&byte) = rest.first() {
        let found = PLACEHOLDERS.iter().find(|(name, ..)| rest.starts_with(name.as_bytes()));
        let Some(&(name, prefix, width, source)) = found else {
            bytes.push(byte);
            rest = &rest[1..];
            continue;
        };
        rest = &rest[name.len()..];
        bytes.extend_from_slice(prefix.as_bytes());
        match source {
            Some(source) => {
                holes.push(Hole { at: bytes.len(), width, source });
                bytes.resize(bytes.len() + width, b'0');
            }
            None => bytes.extend_from_slice(data),
        }
    }
    (bytes, holes)
}

/// Name, text in front of the hole, width, what fills it (nothing: the value).
const PLACEHOLDERS: &[(&str, &str, usize, Option<Source>)] = &[
    ("__key__", "key:", 12, Some(Source::Random)),
    ("__rand_int__", "", 12, Some(Source::Random)),
    ("__rand_1000__", "", 12, Some(Source::Thousand)),
    ("__index__", "", 12, Some(Source::Index)),
    ("__seq__", "", 12, Some(Source::Sequence)),
    ("__nonce__", "", 16, Some(Source::Nonce)),
    ("__data__", "", 0, None),
];

/// Bound of `__rand_1000__`: how many structures the loads that read whole structures share.
pub(crate) const THOUSAND: u64 = 1_000;

#[derive(Debug, PartialEq, Eq)]
enum Word {
    Argument(Vec<u8>),
    Separator,
}

impl Word {
    fn argument(&self) -> Option<&[u8]> {
        match self {
            Self::Argument(bytes) => Some(bytes),
            Self::Separator => None,
        }
    }
}

/// Splits a line as redis-cli does: blanks separate, '...' and "..." hold together, and "..." knows
/// \n \r \t \b \a \\ \" and \xHH.
fn words(text: &str) -> Result<Vec<Word>, &'static str> {
    let mut words = Vec::new();
    let mut rest = text.as_bytes().trim_ascii_start();
    while !rest.is_empty() {
        let (word, after) = match rest[0] {
            b'"' => double_quoted(&rest[1..])?,
            b'\'' => single_quoted(&rest[1..])?,
            _ => {
                let end = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
                let word = if &rest[..end] == b";" {
                    Word::Separator
                } else {
                    Word::Argument(rest[..end].to_vec())
                };
                (word, &rest[end..])
            }
        };
        if after.first().is_some_and(|byte| !byte.is_ascii_whitespace()) {
            return Err("a closing quote must be followed by a blank");
        }
        words.push(word);
        rest = after.trim_ascii_start();
    }
    Ok(words)
}

fn single_quoted(text: &[u8]) -> Result<(Word, &[u8]), &'static str> {
    let mut word = Vec::new();
    let mut at = 0;
    loop {
        match (text.get(at), text.get(at + 1)) {
            (None, _) => return Err("a quote is not closed"),
            (Some(b'\\'), Some(b'\'')) => {
                word.push(b'\'');
                at += 2;
            }
            (Some(b'\''), _) => return Ok((Word::Argument(word), &text[at + 1..])),
            (Some(&byte), _) => {
                word.push(byte);
                at += 1;
            }
        }
    }
}

fn double_quoted(text: &[u8]) -> Result<(Word, &[u8]), &'static str> {
    const OPEN: &str = "a quote is not closed";
    let mut word = Vec::new();
    let mut at = 0;
    loop {
        let byte = *text.get(at).ok_or(OPEN)?;
        at += 1;
        match byte {
            b'"' => return Ok((Word::Argument(word), &text[at..])),
            b'\\' => {
                let escaped = *text.get(at).ok_or(OPEN)?;
                at += 1;
                let hex = text.get(at..at + 2).and_then(|digits| {
                    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
                });
                word.push(match (escaped, hex) {
                    (b'x', Some(value)) => {
                        at += 2;
                        value
                    }
                    (b'n', _) => b'\n',
                    (b'r', _) => b'\r',
                    (b't', _) => b'\t',
                    (b'b', _) => 8,
                    (b'a', _) => 7,
                    (other, _) => other,
                });
            }
            byte => word.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Template {
        Template::parse(text, b"VALUE").expect(text)
    }

    #[test]
    fn a_command_is_laid_out_with_holes_where_digits_go() {
        let t = parse("SET __key__ __data__");
        assert_eq!(t.bytes, b"*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000000\r\n$5\r\nVALUE\r\n");
        assert_eq!(t.holes, [Hole { at: 22, width: 12, source: Source::Random }]);
        assert_eq!(&t.bytes[22..34], b"000000000000");
        assert_eq!((t.label.as_str(), t.replies), ("SET", 1));
    }

    #[test]
    fn placeholders_may_stand_inside_an_argument() {
        let t = parse("X a__rand_int__b__seq__ __nonce__ <__data__> __index__ __unknown__");
        let text = String::from_utf8(t.bytes.clone()).expect("ASCII");
        assert!(text.contains("$26\r\na000000000000b000000000000\r\n"), "{text}");
        assert!(text.contains("$16\r\n0000000000000000\r\n$7\r\n<VALUE>\r\n"), "{text}");
        assert!(text.ends_with("$11\r\n__unknown__\r\n"), "{text}");
        let sources: Vec<Source> = t.holes.iter().map(|hole| hole.source).collect();
        assert_eq!(sources, [Source::Random, Source::Sequence, Source::Nonce, Source::Index]);
        for hole in &t.holes {
            assert!(t.bytes[hole.at..hole.at + hole.width].iter().all(|byte| *byte == b'0'));
        }
    }

    #[test]
    fn quotes_hold_words_together() {
        let t = parse(r#"SET 'a b' "c\"\x41\n" '' ';' \x "#);
        assert_eq!(
            t.bytes,
            b"*6\r\n$3\r\nSET\r\n$3\r\na b\r\n$4\r\nc\"A\n\r\n$0\r\n\r\n$1\r\n;\r\n$2\r\n\\x\r\n"
        );
        for (text, why) in
            [("SET 'a", "not closed"), ("SET \"a", "not closed"), ("A 'b'c", "blank")]
        {
            let error = Template::parse(text, b"").expect_err(text).to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn several_commands_make_one_operation() {
        let t = parse("MULTI ; INCR n:__rand_int__ ; EXEC");
        assert_eq!((t.label.as_str(), t.replies), ("MULTI;INCR;EXEC", 3));
        assert_eq!(&t.bytes[t.holes[0].at - 2..t.holes[0].at], b"n:");
        for text in ["", "  ", "; PING", "PING ;", "PING ; ; PING"] {
            let error = Template::parse(text, b"").expect_err(text).to_string();
            assert!(error.contains("a command is missing"), "{error}");
        }
    }
}
