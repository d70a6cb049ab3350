//! A usage line read as the tree of arguments that COMMAND DOCS tells.
//!
//! The line is the only source: `[x]` may be left out, `<a|b>` is a choice, `[x ...]` repeats what
//! stands before it, upper-case words are keywords, others stand for values. What kind of value
//! follows from the name. Lines come from the table and from plugins: a broken one gives fewer
//! arguments, never an error.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::command::{Command, Flags, Group};

/// What stands at an argument's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A value, called this.
    Value,
    /// Nothing but the keyword.
    Keyword,
    /// One of these.
    OneOf(Vec<Argument>),
    /// All of these in a row.
    Block(Vec<Argument>),
}

/// An argument, or a group of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    /// What a value is called; of a group, its keywords or values.
    pub name: Box<str>,
    /// The keyword in front of it, or the keyword that it is.
    pub token: Option<Box<str>>,
    /// What stands there.
    pub kind: Kind,
    /// Whether it may be left out.
    pub optional: bool,
    /// Whether it may be repeated.
    pub multiple: bool,
    /// Whether the keyword is repeated too.
    pub multiple_token: bool,
}

/// Deepest nesting that is read; what is deeper is left out.
const DEPTH_MAX: usize = 16;

/// Reads a usage line.
pub fn parse(usage: &str) -> Vec<Argument> {
    let words = split(usage);
    let mut parser = Parser { words: &words, at: 0, depth: 0 };
    let mut arguments = parser.sequence().items;
    while parser.at < words.len() {
        // A bracket that nothing opened, or a choice outside of any.
        parser.at += 1;
        arguments.extend(parser.sequence().items);
    }
    arguments
}

/// Words, brackets, bars and dots.
fn split(usage: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = usage.trim_start();
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '[' | ']' | '<' | '>' | '|' => 1,
            _ => {
                rest.find(|c: char| c.is_whitespace() || "[]<>|".contains(c)).unwrap_or(rest.len())
            }
        };
        let (word, behind) = rest.split_at(end.max(first.len_utf8()));
        words.push(word);
        rest = behind.trim_start();
    }
    words
}

struct Parser<'a> {
    words: &'a [&'a str],
    at: usize,
    depth: usize,
}

/// Arguments in a row, and whether dots followed.
#[derive(Default)]
struct Sequence {
    items: Vec<Argument>,
    repeated: bool,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&str> {
        self.words.get(self.at).copied()
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.peek() == Some(word);
        self.at += usize::from(found);
        found
    }

    /// Arguments up to a bar, a closing bracket or the end.
    fn sequence(&mut self) -> Sequence {
        let mut sequence = Sequence::default();
        // Where the values behind the latest keyword begin, and whether that takes more.
        let mut keyword: Option<usize> = None;
        while let Some(word) = self.peek() {
            match word {
                "|" | "]" | ">" => break,
                "[" | "<" if self.depth == DEPTH_MAX => self.at += 1,
                "..." => {
                    self.at += 1;
                    sequence.repeated = true;
                }
                "[" => {
                    let (choice, repeated) = self.bracketed("]");
                    let from = keyword.unwrap_or(sequence.items.len());
                    if repeated && repeat(&mut sequence.items, from, &choice) {
                        continue;
                    }
                    finish_keyword(&mut sequence.items, &mut keyword);
                    if repeated && repeat(&mut sequence.items, 0, &choice) {
                        continue;
                    }
                    sequence.items.extend(group(choice).map(|argument| Argument {
                        optional: true,
                        multiple: argument.multiple || repeated,
                        ..argument
                    }));
                }
                "<" => {
                    if keyword.is_some_and(|from| sequence.items.len() > from) {
                        end_keyword(&mut sequence.items, &mut keyword);
                    }
                    let (choice, repeated) = self.bracketed(">");
                    sequence.items.extend(group(choice).map(|argument| Argument {
                        multiple: argument.multiple || repeated,
                        ..argument
                    }));
                }
                word if is_keyword(word) => {
                    finish_keyword(&mut sequence.items, &mut keyword);
                    sequence.items.push(Argument::keyword(word));
                    keyword = Some(sequence.items.len());
                    self.at += 1;
                }
                word => {
                    sequence.items.push(Argument::value(word));
                    self.at += 1;
                }
            }
        }
        finish_keyword(&mut sequence.items, &mut keyword);
        sequence
    }

    /// What stands in brackets, as the alternatives of a choice, and whether it is repeated.
    fn bracketed(&mut self, end: &str) -> (Vec<Argument>, bool) {
        self.at += 1;
        self.depth += 1;
        let mut alternatives = Vec::new();
        let mut repeated = false;
        loop {
            let sequence = self.sequence();
            let more = self.take("|");
            // In a choice the dots are about one alternative only.
            let alone = alternatives.is_empty() && !more;
            repeated |= sequence.repeated && alone;
            alternatives.extend(Argument::block(sequence.items).map(|argument| Argument {
                multiple: argument.multiple || sequence.repeated && !alone,
                ..argument
            }));
            if !more {
                break;
            }
        }
        self.take(end);
        self.depth -= 1;
        (alternatives, repeated)
    }
}

/// Upper-case words are keywords, and so are the signs that Redis uses like words.
fn is_keyword(word: &str) -> bool {
    let letters = word.chars().any(|c| c.is_ascii_alphabetic());
    let upper = !word.chars().any(|c| c.is_ascii_lowercase());
    upper && (letters || matches!(word, "=" | "~" | "*" | "$" | "\"\""))
}

/// Joins the keyword with the values behind it: one is the keyword's, several are a block.
fn finish_keyword(items: &mut Vec<Argument>, keyword: &mut Option<usize>) {
    let Some(from) = keyword.take() else { return };
    let mut values = items.split_off(from);
    let Some(mut token) = items.pop() else { return };
    match values.len() {
        0 => {}
        1 => {
            let mut value = values.remove(0);
            if value.token.is_none() && !value.optional {
                value.token = token.token;
                items.push(value);
                return;
            }
            values.push(value);
        }
        _ => {
            token.name = joined(&values, "-");
            token.kind = Kind::Block(values);
            items.push(token);
            return;
        }
    }
    items.push(token);
    items.extend(values);
}

/// Behind a keyword's values a choice stands for itself, as in `BYRADIUS radius <M|KM>`; then the
/// keyword is the first value's alone.
fn end_keyword(items: &mut Vec<Argument>, keyword: &mut Option<usize>) {
    let Some(from) = keyword.take() else { return };
    let (front, values) = items.split_at_mut(from);
    let (Some(word), Some(value)) = (front.last(), values.first_mut()) else { return };
    if value.token.is_none() && !value.optional {
        value.token = word.token.clone();
        items.remove(from - 1);
    }
}

/// Marks what stands at the end of `items` (not before `from`) as repeated, if `again` says the
/// same. Whether it does.
fn repeat(items: &mut Vec<Argument>, from: usize, again: &[Argument]) -> bool {
    let [again] = again else { return false };
    if let Some(last) = items.last_mut() {
        let same = last.kind == again.kind && last.name == again.name;
        let block = matches!((&last.kind, &again.kind), (Kind::Block(a), Kind::Block(b)) if a == b);
        if (same || block) && (again.token.is_none() || again.token == last.token) {
            last.multiple = true;
            last.multiple_token = again.token.is_some();
            return true;
        }
    }
    let Kind::Block(parts) = &again.kind else { return false };
    let start = items.len().saturating_sub(parts.len());
    if start < from || again.token.is_some() || items[start..] != **parts {
        return false;
    }
    let parts = items.split_off(start);
    items.extend(Argument::block(parts).map(|block| Argument { multiple: true, ..block }));
    true
}

/// Alternatives as one argument.
fn group(mut alternatives: Vec<Argument>) -> Option<Argument> {
    if alternatives.len() <= 1 {
        return alternatives.pop();
    }
    let name = joined(&alternatives, "-or-");
    Some(Argument { kind: Kind::OneOf(alternatives), ..Argument::value(&name) })
}

/// A name for a group: the names of its parts.
fn joined(parts: &[Argument], between: &str) -> Box<str> {
    const NAME_BYTES_MAX: usize = 64;
    let mut name = String::new();
    for part in parts {
        if !name.is_empty() {
            name.push_str(between);
        }
        name.push_str(&part.name);
    }
    if name.len() > NAME_BYTES_MAX { "option".into() } else { name.into() }
}

impl Argument {
    fn value(name: &str) -> Self {
        Self {
            name: name.into(),
            token: None,
            kind: Kind::Value,
            optional: false,
            multiple: false,
            multiple_token: false,
        }
    }

    fn keyword(word: &str) -> Self {
        let name = word.to_ascii_lowercase();
        Self { token: Some(word.into()), kind: Kind::Keyword, ..Self::value(&name) }
    }

    /// Several arguments as one.
    fn block(mut parts: Vec<Self>) -> Option<Self> {
        match parts.len() {
            0 | 1 => parts.pop(),
            _ => {
                let name = joined(&parts, "-");
                Some(Self { kind: Kind::Block(parts), ..Self::value(&name) })
            }
        }
    }
}

impl fmt::Display for Argument {
    /// As a part of a usage line: reading that gives the argument back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = match &self.kind {
            Kind::Value => self.name.clone().into_string(),
            Kind::Keyword => String::new(),
            Kind::OneOf(choice) => {
                let bar = line(choice, "|");
                let bare = self.optional && self.token.is_none() && !self.multiple;
                if bare { bar } else { alloc::format!("<{bar}>") }
            }
            Kind::Block(parts) => line(parts, " "),
        };
        let full = match &self.token {
            Some(token) if body.is_empty() => token.clone().into_string(),
            Some(token) => alloc::format!("{token} {body}"),
            None => body.clone(),
        };
        let again = if self.multiple_token { &full } else { &body };
        match (self.multiple, self.optional) {
            (false, false) => f.write_str(&full),
            (false, true) => write!(f, "[{full}]"),
            (true, false) => write!(f, "{full} [{again} ...]"),
            (true, true) => write!(f, "[{full} [{again} ...]]"),
        }
    }
}

/// Arguments as a usage line.
pub fn line(arguments: &[Argument], between: &str) -> String {
    let mut line = String::new();
    for (index, argument) in arguments.iter().enumerate() {
        if index > 0 {
            line.push_str(between);
        }
        // Writing to a string cannot fail.
        let _ = fmt::write(&mut line, format_args!("{argument}"));
    }
    line
}

/// The type of a value as COMMAND DOCS names it. The name decides; a few names mean different
/// things in different commands.
pub fn type_name(argument: &Argument, command: &Command) -> &'static str {
    match &argument.kind {
        Kind::Keyword => "pure-token",
        Kind::OneOf(_) => "oneof",
        Kind::Block(_) => "block",
        Kind::Value => value_type(&argument.name, command),
    }
}

const KEYS: &str = "key key1 key2 destination destkey dst newkey source sourcekey src";
const INTEGERS: &str = "bit bits client-id count cursor db decrement destination-db end \
    entries-added entries-read frequency increment index index1 index2 len limit maxage \
    milliseconds min-idle-time min-match-len ms num-matches numfields numkeys numlocal numreplicas offset \
    port protover rank seconds start stop timeout ttl version weight slot start-slot end-slot \
    cluster_bus_port config-epoch";
const DOUBLES: &str = "height latitude longitude radius score width";
const TIMES: &str = "unix-time-milliseconds unix-time-seconds";

fn value_type(name: &str, command: &Command) -> &'static str {
    let is_in = |names: &str| names.split_whitespace().any(|other| other == name);
    let stream = command.group == Group::Stream;
    let own = command.name.as_ref();
    match name {
        "increment" if own.ends_with("FLOAT") => "double",
        "timeout" if command.flags.has(Flags::BLOCKING) => "double",
        "min" | "max" => {
            let by_score = own.ends_with("BYSCORE") || own == "ZCOUNT";
            if by_score { "double" } else { "string" }
        }
        "start" | "end" if stream => "string",
        "start" | "stop" if own == "ZRANGE" => "string",
        "min-idle-time" if own != "XPENDING" => "string",
        "value" if command.group == Group::Bitmap => "integer",
        "key" if own == "KEYSLOT" => "string",
        "pattern" => "pattern",
        _ if is_in(KEYS) => "key",
        _ if is_in(INTEGERS) => "integer",
        _ if is_in(DOUBLES) => "double",
        _ if is_in(TIMES) => "unix-time",
        _ => "string",
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn check(usage: &str) -> Vec<Argument> {
        let arguments = parse(usage);
        assert_eq!(line(&arguments, " "), usage);
        assert_eq!(parse(&line(&arguments, " ")), arguments);
        arguments
    }

    #[test]
    fn usage_lines_are_read_and_written_back() {
        for usage in [
            "",
            "key",
            "key value [NX|XX] [GET] [EX seconds|PX milliseconds|KEEPTTL]",
            "key [key ...]",
            "key value [key value ...]",
            "[pattern [pattern ...]]",
            "key numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM|MIN|MAX>]",
            "key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC|DESC]",
            "key [NX|XX] [GT|LT] [CH] [INCR] score member [score member ...]",
            "[TYPE <NORMAL|PUBSUB>] [ID client-id [client-id ...]]",
            "key [<MAXLEN|MINID> [=|~] threshold [LIMIT count]] <*|id> field value [field value ...]",
            "[COUNT count] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]",
            "key [GET encoding offset|[OVERFLOW <WRAP|SAT>] <SET encoding offset value|INCRBY encoding offset increment>]",
            "<LIB-NAME libname|LIB-VER libver>",
            "[protover [AUTH username password] [SETNAME clientname]]",
            "key [COUNT count [ANY]]",
            "<BYRADIUS radius <M|KM>|BYBOX width height <M|KM>> [ASC|DESC]",
            "[FILTERBY <MODULE module-name|ACLCAT category|PATTERN pattern>]",
            "[username] password",
            "name <path|bytes> [CONFIG key value [key value ...]]",
        ] {
            check(usage);
        }
    }

    #[test]
    fn all_usage_lines_of_the_table_are_written_the_same_way() {
        for (_, command) in Command::natives_and_subcommands() {
            let name = command.full_name();
            // Its new form is a choice of options that repeats as a whole, which no line can say
            // without saying it twice.
            if name != "client|kill" {
                assert_eq!(line(&parse(&command.usage), " "), command.usage, "{name}");
            }
        }
    }

    #[test]
    fn the_tree_is_that_of_redis() {
        let value = Argument::value;
        let count = Argument { token: Some("COUNT".into()), optional: true, ..value("count") };
        let keys = Argument { multiple: true, ..value("key") };
        assert_eq!(check("key [key ...] [COUNT count]"), [keys, count]);
        let pair = Argument::block(vec![value("score"), value("member")]).unwrap();
        assert_eq!(&*pair.name, "score-member");
        let pairs = Argument { multiple: true, ..pair };
        assert_eq!(check("score member [score member ...]"), [pairs]);
        let limit = &check("[LIMIT offset count]")[0];
        assert_eq!(limit.kind, Kind::Block(vec![value("offset"), value("count")]));
        assert_eq!((limit.token.as_deref(), limit.optional), (Some("LIMIT"), true));
        let get = &check("[GET pattern [GET pattern ...]]")[0];
        assert!(get.optional && get.multiple && get.multiple_token);
        let choice = &check("[NX|XX]")[0];
        let alternatives = vec![Argument::keyword("NX"), Argument::keyword("XX")];
        assert_eq!((&choice.kind, choice.optional), (&Kind::OneOf(alternatives), true));
    }

    #[test]
    fn broken_lines_give_fewer_arguments_and_never_an_error() {
        for usage in ["]", "[", "<|", "a ]] b", "[[[[ x", "...", "a|b", "[a ...", "| | |", "é <ü"]
        {
            parse(usage);
        }
        let deep: String = "[".repeat(100_000);
        assert!(parse(&deep).is_empty());
    }
}
