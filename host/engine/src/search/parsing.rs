//! Reads queries: recursive descent with a bound on the depth and on the size.
//!
//! Dialect 2 and above: what stands side by side binds tighter than `|`, and a field's name, `-` and
//! `~` go with what comes next. Dialect 1: plain words side by side are one thing, `|` binds tighter
//! than other things side by side do, and `-` and `~` go with all that follows up to a sign that ends
//! it.

mod fields;
mod patterns;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::language::Language;
use super::query::{Kind, Node, Pattern};
use super::schema::Schema;
use super::tokens;
use crate::types::number;

/// Values for the names that a query mentions as `$name`.
pub type Parameters = BTreeMap<Vec<u8>, Vec<u8>>;

/// How a query is to be read.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// The fields that there are.
    pub schema: &'a Schema,
    /// Values for names.
    pub parameters: &'a Parameters,
    /// Which dialect of the language it is in.
    pub dialect: u8,
    /// Which language it is in.
    pub language: Language,
    /// Whether words are found only as they are.
    pub verbatim: bool,
    /// Whether stop words are looked for, too.
    pub keeps_stop_words: bool,
}

/// How deep a query may be nested.
const DEPTH_MAX: usize = 128;
/// How many parts a query may have.
const NODES_MAX: usize = 4096;

/// Reads a query; otherwise says where and why that cannot be done.
pub fn parse(text: &[u8], reading: Reading<'_>) -> Result<Node, String> {
    let mut parser = Parser { text, at: 0, depth: 0, nodes: 0, reading };
    parser.skip();
    if parser.rest().is_empty() {
        return Ok(Node::new(Kind::Nothing));
    }
    if parser.rest().trim_ascii() == b"*" {
        return Ok(Node::new(Kind::All));
    }
    let node = parser.alternatives()?;
    parser.skip();
    if parser.rest().is_empty() { Ok(node) } else { Err(parser.wrong()) }
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    depth: usize,
    nodes: usize,
    reading: Reading<'a>,
}

/// Signs that mean something outside of words.
fn is_sign(byte: u8) -> bool {
    matches!(
        byte,
        b'(' | b')'
            | b'{'
            | b'}'
            | b'['
            | b']'
            | b'|'
            | b'-'
            | b'~'
            | b'*'
            | b'%'
            | b'"'
            | b'\''
            | b'@'
            | b':'
            | b';'
            | b'$'
            | b'\\'
    )
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.rest().first().copied()
    }

    fn is_new(&self) -> bool {
        self.reading.dialect >= 2
    }

    /// Passes over blanks and punctuation that means nothing.
    fn skip(&mut self) {
        while let Some(byte) = self.peek() {
            let is_quiet = if byte == b'\\' {
                // In front of nothing that it could make a letter of.
                !self.begins_escaped()
            } else {
                tokens::is_separator(byte) && !is_sign(byte)
            };
            let is_arrow = self.rest().starts_with(b"=>");
            // A single quote is a sign only where phrases may stand in them.
            if is_arrow || !(is_quiet || byte == b'\'' && !self.is_new()) {
                return;
            }
            self.at += 1;
        }
    }

    fn wrong(&self) -> String {
        let rest = self.rest();
        let end = rest.iter().skip(1).position(|byte| tokens::is_separator(*byte));
        let near = rest.get(..end.map_or(rest.len(), |end| end + 1).min(64)).unwrap_or_default();
        format!("Syntax error at offset {} near {}", self.at, String::from_utf8_lossy(near))
    }

    fn take(&mut self, sign: &[u8]) -> bool {
        self.skip();
        let found = self.rest().starts_with(sign);
        if found {
            self.at += sign.len();
        }
        found
    }

    fn expect(&mut self, sign: &[u8]) -> Result<(), String> {
        if self.take(sign) { Ok(()) } else { Err(self.wrong()) }
    }

    fn count(&mut self, node: Kind) -> Result<Node, String> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(format!("Query is too large: it has more than {NODES_MAX} parts"));
        }
        Ok(Node::new(node))
    }

    fn is_at_end(&mut self) -> bool {
        self.skip();
        matches!(self.peek(), None | Some(b')' | b'|'))
    }

    /// Parts joined by `|` and by standing side by side.
    fn alternatives(&mut self) -> Result<Node, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(if self.is_new() {
                "Parser stack overflow. Try moving nested parentheses more to the left".into()
            } else {
                self.wrong()
            });
        }
        let node = if self.is_new() { self.alternatives_new() } else { self.alternatives_old() };
        self.depth -= 1;
        node
    }

    fn alternatives_new(&mut self) -> Result<Node, String> {
        let mut all = alloc::vec![self.sequence()?];
        while self.take(b"|") {
            all.push(self.sequence()?);
        }
        Ok(Node::or(all))
    }

    fn alternatives_old(&mut self) -> Result<Node, String> {
        self.sequence_old(b"")
    }

    /// Alternatives side by side, up to one of these signs.
    fn sequence_old(&mut self, ends: &[u8]) -> Result<Node, String> {
        let mut left: Option<Node> = None;
        loop {
            let mut chain = self.signed_old()?;
            while self.take(b"|") {
                let right = self.signed_old()?;
                chain = joined(chain, right, true);
            }
            let joint = match left {
                None => chain,
                Some(left) => joined(left, chain, false),
            };
            if self.is_at_end() || self.peek().is_some_and(|byte| ends.contains(&byte)) {
                return Ok(joint);
            }
            left = Some(joint);
        }
    }

    /// A part, or a sign in front of all that it goes with.
    fn signed_old(&mut self) -> Result<Node, String> {
        self.skip();
        let (sign, ends): (u8, &[u8]) = match self.rest() {
            // The sign of a number belongs to it.
            [b'-', digit, ..] if digit.is_ascii_digit() => return self.attributed(),
            [b'-', ..] => (b'-', b"\"-~"),
            [b'~', ..] => (b'~', b"~"),
            _ => return self.attributed(),
        };
        self.at += 1;
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.wrong());
        }
        let inner = self.sequence_old(ends)?;
        self.depth -= 1;
        if matches!(inner.kind, Kind::Nothing) {
            return Ok(inner);
        }
        self.count(if sign == b'-' { inner.denied() } else { inner.optional() })
    }

    fn sequence(&mut self) -> Result<Node, String> {
        let mut all = alloc::vec![self.signed()?];
        while !self.is_at_end() {
            all.push(self.signed()?);
        }
        Ok(Node::and(all))
    }

    /// A part with the signs in front of it and the attributes behind it.
    fn signed(&mut self) -> Result<Node, String> {
        self.skip();
        let (mut signs, depth) = (Vec::new(), self.depth);
        while let Some(sign @ (b'-' | b'~')) = self.peek() {
            signs.push(sign);
            self.at += 1;
            self.depth += 1;
            if self.depth > DEPTH_MAX {
                return Err(self.wrong());
            }
            self.skip();
        }
        let mut node = self.attributed()?;
        self.depth = depth;
        for sign in signs.into_iter().rev() {
            if matches!(node.kind, Kind::Nothing) {
                break;
            }
            node = self.count(if sign == b'-' { node.denied() } else { node.optional() })?;
        }
        Ok(node)
    }

    fn attributed(&mut self) -> Result<Node, String> {
        let mut node = self.primary()?;
        while self.take(b"=>") {
            self.skip();
            if self.peek() == Some(b'[') {
                return Err("Vector queries are not supported".into());
            }
            self.expect(b"{")?;
            while !self.take(b"}") {
                self.attribute(&mut node)?;
                if !self.take(b";") {
                    self.expect(b"}")?;
                    break;
                }
            }
        }
        Ok(node)
    }

    fn attribute(&mut self, node: &mut Node) -> Result<(), String> {
        self.expect(b"$")?;
        let name = self.name().to_ascii_lowercase();
        self.expect(b":")?;
        self.skip();
        let from = self.at;
        let len = self.rest().iter().take_while(|byte| !matches!(byte, b';' | b'}')).count();
        let value = self.rest().get(..len).unwrap_or_default().trim_ascii();
        self.at += len;
        let value = match value.strip_prefix(b"$") {
            Some(name) => self.parameter(name)?,
            None => value.to_vec(),
        };
        let wrong = || {
            let (name, value) = (String::from_utf8_lossy(&name), String::from_utf8_lossy(&value));
            format!("Invalid value ({value}) for `{name}` at offset {from}")
        };
        match name.as_slice() {
            b"weight" => {
                let weight = number::parse_f64(&value).filter(|weight| *weight >= 0.0);
                node.weight = weight.ok_or_else(wrong)?;
            }
            b"slop" => {
                let slop = number::parse_i64(&value).ok_or_else(wrong)?;
                node.slop = u32::try_from(slop).ok();
            }
            b"inorder" => node.in_order = Some(parse_bool(&value).ok_or_else(wrong)?),
            b"phonetic" => node.set_phonetic(parse_bool(&value).ok_or_else(wrong)?),
            _ => {
                return Err(format!("Invalid attribute {}", String::from_utf8_lossy(&name)));
            }
        }
        Ok(())
    }

    fn primary(&mut self) -> Result<Node, String> {
        self.skip();
        match self.peek() {
            Some(b'(') => self.group(),
            Some(b'"') => self.exact(b'"'),
            Some(b'\'') if self.is_new() => self.exact(b'\''),
            Some(b'@') => self.modified(),
            Some(b'%') => self.fuzzy(),
            Some(b'*') => self.affixed(),
            Some(b'$') if self.is_new() => self.named_word(),
            Some(b'w') if self.is_new() && self.rest().starts_with(b"w'") => self.wildcard(),
            Some(b'i' | b'I') if self.is_new() && self.names_missing() => self.missing(),
            Some(byte) if !is_sign(byte) || self.begins_escaped() => self.words(),
            // A number below zero, in the old dialect.
            Some(b'-') if !self.is_new() => self.words(),
            _ => Err(self.wrong()),
        }
    }

    fn begins_escaped(&self) -> bool {
        matches!(self.rest(), [b'\\', next, ..] if next.is_ascii_punctuation() || *next == b' ')
    }

    fn group(&mut self) -> Result<Node, String> {
        self.expect(b"(")?;
        if self.is_new() && self.take(b"*") {
            self.skip();
            if self.take(b")") {
                return self.count(Kind::All);
            }
            self.at -= 1;
        }
        if self.take(b")") {
            return Ok(Node::new(Kind::Nothing));
        }
        let node = self.alternatives()?;
        self.expect(b")")?;
        Ok(node)
    }

    /// Whether what comes next is not a word but asks for documents without a field.
    fn names_missing(&self) -> bool {
        const NAME: &[u8] = b"ismissing";
        let rest = self.rest();
        let is_named = rest.get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME));
        is_named && rest.get(NAME.len()..).unwrap_or_default().trim_ascii_start().starts_with(b"(")
    }

    /// `ismissing(@field)`.
    fn missing(&mut self) -> Result<Node, String> {
        self.name();
        self.expect(b"(")?;
        self.expect(b"@")?;
        let name = self.name();
        self.expect(b")")?;
        let mut text = Vec::new();
        tokens::unescape(name, &mut text);
        let name = String::from_utf8_lossy(&text);
        let Some((place, field)) = self.reading.schema.field(&text) else {
            return Ok(Node::new(Kind::Nothing));
        };
        if !field.indexes_missing {
            return Err(format!(
                "'ismissing' requires field '{name}' to be defined with 'INDEXMISSING'"
            ));
        }
        self.count(Kind::Missing(place))
    }

    /// The text up to an unescaped quote.
    fn quoted(&mut self, quote: u8) -> Result<&'a [u8], String> {
        let from = self.at;
        self.at += 1;
        let start = self.at;
        loop {
            match self.rest() {
                [] => {
                    self.at = from;
                    return Err(self.wrong());
                }
                [b'\\', _, ..] => self.at += 2,
                [byte, ..] => {
                    self.at += 1;
                    if *byte == quote {
                        return Ok(self.text.get(start..self.at - 1).unwrap_or_default());
                    }
                }
            }
        }
    }

    fn exact(&mut self, quote: u8) -> Result<Node, String> {
        let text = self.quoted(quote)?;
        let text = match text.strip_prefix(b"$") {
            Some(name) if self.is_new() && name.iter().all(|byte| !tokens::is_separator(*byte)) => {
                self.parameter(name)?
            }
            _ => text.to_vec(),
        };
        let mut words = self.reading.language.words_in_a_row(&text);
        words.retain(|word| !self.is_stop_word(word));
        if text.is_empty() && self.is_new() {
            return self.count(Kind::Word { text, is_expanded: false });
        }
        match words.len() {
            0 => Ok(Node::new(Kind::Nothing)),
            1 if !self.is_new() => {
                self.count(Kind::Word { text: words.remove(0), is_expanded: false })
            }
            _ => self.count(Kind::Exact(words)),
        }
    }

    fn is_stop_word(&self, word: &[u8]) -> bool {
        !self.reading.keeps_stop_words && self.reading.schema.stop_words.contain(word)
    }

    /// The letters of a word, as they are written.
    fn name(&mut self) -> &'a [u8] {
        let from = self.at;
        if !self.is_new()
            && let [b'-', digit, ..] = self.rest()
            && digit.is_ascii_digit()
        {
            self.at += 1;
        }
        while let Some(byte) = self.peek() {
            if self.begins_escaped() {
                self.at += 2;
            } else if byte == b'\\' || tokens::is_separator(byte) {
                break;
            } else {
                self.at += 1;
            }
        }
        self.text.get(from..self.at).unwrap_or_default()
    }

    /// A word, and in the old dialect all plain words behind it.
    fn words(&mut self) -> Result<Node, String> {
        let mut all = Vec::new();
        loop {
            let name = self.name();
            if name.is_empty() {
                return Err(self.wrong());
            }
            if self.peek() == Some(b'*') {
                self.at += 1;
                let prefix = unescaped(name);
                all.push(self.count(Kind::Pattern(Pattern::Prefix(prefix)))?);
            } else {
                all.push(self.word(name)?);
            }
            if self.is_new() {
                break;
            }
            self.skip();
            if self.peek().is_none_or(is_sign) || self.rest().starts_with(b"=>") {
                break;
            }
        }
        Ok(Node::and(all))
    }

    fn word(&mut self, name: &[u8]) -> Result<Node, String> {
        let text = unescaped(name);
        if self.is_stop_word(&text) {
            return Ok(Node::new(Kind::Nothing));
        }
        self.whole_word(text)
    }

    /// A word, or what must stand in a row to be one.
    fn whole_word(&mut self, text: Vec<u8>) -> Result<Node, String> {
        let language = self.reading.language;
        if language.is_cut() && !text.is_ascii() {
            let row = language.words_in_a_row(&text);
            if row.len() > 1 {
                return self.count(Kind::Exact(row));
            }
        }
        self.count(Kind::Word { text, is_expanded: !self.reading.verbatim })
    }

    fn parameter(&self, name: &[u8]) -> Result<Vec<u8>, String> {
        let found = self.reading.parameters.get(name).cloned();
        found.ok_or_else(|| format!("No such parameter `{}`", String::from_utf8_lossy(name)))
    }

    fn named_word(&mut self) -> Result<Node, String> {
        self.at += 1;
        let name = self.name();
        let text = self.parameter(name)?;
        if self.peek() == Some(b'*') {
            self.at += 1;
            return self.count(Kind::Pattern(Pattern::Prefix(unescaped(&text))));
        }
        self.word(&text)
    }
}

fn joined(left: Node, right: Node, is_or: bool) -> Node {
    let mut all = Vec::new();
    match left {
        // A chain of one kind is one node, however long it is.
        Node { kind: Kind::Or(nodes), slop: None, in_order: None, .. } if is_or => all = nodes,
        Node { kind: Kind::And(nodes), slop: None, in_order: None, .. } if !is_or => all = nodes,
        other => all.push(other),
    }
    all.push(right);
    if is_or { Node::or(all) } else { Node::and(all) }
}

fn unescaped(name: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    tokens::unescape(name, &mut text);
    tokens::lower(&mut text);
    text.truncate(tokens::WORD_BYTES_MAX);
    text
}

/// A number as queries write it.
pub fn parse_number(text: &[u8]) -> Option<f64> {
    let unsigned = text.strip_prefix(b"+").unwrap_or(text);
    number::parse_f64(unsigned).filter(|value| !value.is_nan())
}

fn parse_bool(text: &[u8]) -> Option<bool> {
    match text.to_ascii_lowercase().as_slice() {
        b"true" | b"1" => Some(true),
        b"false" | b"0" => Some(false),
        _ => None,
    }
}

/// How many metres a unit of length has.
pub fn unit_m(name: &[u8]) -> Option<f64> {
    match name.to_ascii_lowercase().as_slice() {
        b"m" => Some(1.0),
        b"km" => Some(1000.0),
        b"mi" => Some(1609.34),
        b"ft" => Some(0.3048),
        _ => None,
    }
}
