//! What a query looks for in fields of a certain kind: tags, numbers, places, and text in fields that it
//! names.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::super::numbers::{Limit, NumericRange};
use super::super::part::fold_tag;
use super::super::query::{Circle, Kind, Node, Pattern, Tag, TextFields};
use super::super::schema::FieldType;
use super::super::tokens;
use super::{DEPTH_MAX, NODES_MAX, Parser, parse_number, unit_m};

/// A tag as it is written.
#[derive(Default)]
struct Written {
    text: Vec<u8>,
    /// Whether it goes on as it likes.
    ends_open: bool,
    /// Whether words of it stand for others.
    names_parameters: bool,
}

impl<'a> Parser<'a> {
    /// A field's name, or several, and what is looked for there.
    pub(super) fn modified(&mut self) -> Result<Node, String> {
        self.at += 1;
        let first = self.field_name()?;
        let mut names = alloc::vec![first];
        while self.is_alternative_name() {
            self.expect(b"|")?;
            self.skip();
            self.at += usize::from(self.peek() == Some(b'@'));
            names.push(self.field_name()?);
        }
        if let [name] = names.as_slice() {
            let name = name.clone();
            if let Some(node) = self.comparison(&name)? {
                return Ok(node);
            }
        }
        self.expect(b":")?;
        self.skip();
        match (self.peek(), names.as_slice()) {
            (Some(b'{'), [name]) => self.tags(name),
            (Some(b'['), [name]) => self.range(name),
            _ => self.text_in(&names),
        }
    }

    /// Whether another name follows, rather than another part of the query.
    fn is_alternative_name(&mut self) -> bool {
        let at = self.at;
        let found = self.take(b"|") && {
            self.skip();
            self.at += usize::from(self.peek() == Some(b'@'));
            !self.name().is_empty() && {
                self.skip();
                matches!(self.peek(), Some(b':' | b'|'))
            }
        };
        self.at = at;
        found
    }

    fn field_name(&mut self) -> Result<Vec<u8>, String> {
        let name = self.name();
        let mut text = Vec::new();
        tokens::unescape(name, &mut text);
        if text.is_empty() { Err(self.wrong()) } else { Ok(text) }
    }

    /// A field of this name by which documents are found. Nothing is found by any other.
    fn known(&self, name: &[u8]) -> Option<(usize, &'a FieldType)> {
        let (place, field) = self.reading.schema.field(name)?;
        field.is_indexed.then_some((place, &field.kind))
    }

    fn text_in(&mut self, names: &[Vec<u8>]) -> Result<Node, String> {
        let mut fields: TextFields = 0;
        for name in names {
            if let Some((_, FieldType::Text { number, .. })) = self.known(name) {
                fields |= 1 << number;
            }
        }
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.wrong());
        }
        let mut node = self.signed()?;
        self.depth -= 1;
        node.confine(fields);
        Ok(node)
    }

    /// `@number >= 5` and the like.
    fn comparison(&mut self, name: &[u8]) -> Result<Option<Node>, String> {
        let from = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
        let signs: [&[u8]; 6] = [b"==", b"!=", b">=", b"<=", b">", b"<"];
        let found = signs.into_iter().find(|sign| self.rest().starts_with(sign));
        let Some(sign) = found.filter(|_| self.is_new()) else {
            self.at = from;
            return Ok(None);
        };
        self.at += sign.len();
        let value = self.limit_value()?;
        let Some((place, FieldType::Numeric)) = self.known(name) else {
            return Ok(Some(Node::new(Kind::Nothing)));
        };
        let at = |value, is_exclusive| Limit { value, is_exclusive };
        let (low, high) = (at(f64::NEG_INFINITY, false), at(f64::INFINITY, false));
        let range = match sign {
            b">=" => NumericRange { low: at(value, false), high },
            b">" => NumericRange { low: at(value, true), high },
            b"<=" => NumericRange { low, high: at(value, false) },
            b"<" => NumericRange { low, high: at(value, true) },
            _ => NumericRange { low: at(value, false), high: at(value, false) },
        };
        let node = self.count(Kind::Numeric(place, range))?;
        Ok(Some(if sign == b"!=" { self.count(node.denied())? } else { node }))
    }

    fn tags(&mut self, name: &[u8]) -> Result<Node, String> {
        self.expect(b"{")?;
        let known = self.known(name);
        let case_sensitive =
            matches!(known, Some((_, FieldType::Tag { case_sensitive: true, .. })));
        let mut tags = Vec::new();
        loop {
            tags.push(self.tag(case_sensitive)?);
            if tags.len() > NODES_MAX {
                return Err(self.wrong());
            }
            if !self.take(b"|") {
                self.expect(b"}")?;
                break;
            }
        }
        match known {
            Some((place, FieldType::Tag { .. })) => self.count(Kind::Tags(place, tags)),
            _ => Ok(Node::new(Kind::Nothing)),
        }
    }

    fn skip_blanks(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn tag(&mut self, case_sensitive: bool) -> Result<Tag, String> {
        self.skip_blanks();
        if self.is_new() && self.rest().starts_with(b"w'") {
            self.at += 1;
            let pattern = fold_tag(&self.wildcard_text()?, case_sensitive);
            self.skip_blanks();
            if !matches!(self.peek(), Some(b'|' | b'}')) {
                return Err(self.wrong());
            }
            return Ok(Tag::Like(Pattern::Wildcard(pattern)));
        }
        let starts_open = self.peek() == Some(b'*');
        let from = self.at;
        self.at += usize::from(starts_open);
        if let Some(quote @ (b'"' | b'\'')) = self.peek()
            && self.is_new()
        {
            let mut text = Vec::new();
            tokens::unescape(self.quoted(quote)?, &mut text);
            let ends_open = self.peek() == Some(b'*');
            self.at += usize::from(ends_open);
            self.skip_blanks();
            if !matches!(self.peek(), Some(b'|' | b'}')) {
                return Err(self.wrong());
            }
            if !case_sensitive {
                tokens::lower(&mut text);
            }
            return Ok(of_form(text, starts_open, ends_open));
        }
        let Written { text, ends_open, names_parameters } = self.tag_text()?;
        let text = if names_parameters { self.parameters_in(&text)? } else { text };
        let text = fold_tag(&text, case_sensitive);
        if text.is_empty() && !names_parameters {
            self.at = from;
            return Err(self.wrong());
        }
        Ok(of_form(text, starts_open, ends_open))
    }

    /// A tag's text as it is written without quotes.
    fn tag_text(&mut self) -> Result<Written, String> {
        let mut written = Written::default();
        while let Some(byte) = self.peek() {
            match byte {
                b'|' | b'}' => break,
                b'\\' if self.begins_escaped() => {
                    written.text.extend(self.rest().get(1));
                    self.at += 2;
                    continue;
                }
                b'*' => written.ends_open = true,
                b'\'' | b'"' if self.is_new() => return Err(self.wrong()),
                _ if written.ends_open && !byte.is_ascii_whitespace() => return Err(self.wrong()),
                _ => {
                    let begins = written.text.last().is_none_or(u8::is_ascii_whitespace);
                    written.names_parameters |= byte == b'$' && begins && self.is_new();
                    written.text.push(byte);
                }
            }
            self.at += 1;
        }
        Ok(written)
    }

    /// Words of which some name parameters, with what these stand for.
    fn parameters_in(&self, text: &[u8]) -> Result<Vec<u8>, String> {
        let words = text.trim_ascii().split(u8::is_ascii_whitespace);
        let values = words.map(|word| match word.strip_prefix(b"$") {
            Some(name) => self.parameter(name),
            None => Ok(word.to_vec()),
        });
        Ok(values.collect::<Result<Vec<_>, _>>()?.join(&b' '))
    }

    /// A range of numbers, or a circle.
    fn range(&mut self, name: &[u8]) -> Result<Node, String> {
        self.expect(b"[")?;
        let mut limits = Vec::new();
        let mut unit = None;
        loop {
            self.skip();
            if self.peek() == Some(b']') {
                self.at += 1;
                break;
            }
            if limits.len() >= 3 {
                unit = Some(self.unit()?);
                self.expect(b"]")?;
                break;
            }
            let is_exclusive = self.take(b"(");
            limits.push(Limit { value: self.limit_value()?, is_exclusive });
        }
        let known = self.known(name);
        match (limits.as_slice(), unit, known) {
            ([only], None, Some((place, FieldType::Numeric)))
                if self.is_new() && !only.is_exclusive =>
            {
                self.count(Kind::Numeric(place, NumericRange { low: *only, high: *only }))
            }
            ([low, high], None, Some((place, FieldType::Numeric))) => {
                self.count(Kind::Numeric(place, NumericRange { low: *low, high: *high }))
            }
            ([_, _, radius], Some(_), _) if radius.value <= 0.0 => {
                Err("Invalid GeoFilter radius".into())
            }
            ([longitude, latitude, _], Some(_), _)
                if longitude.value.abs() > 180.0 || latitude.value.abs() > 90.0 =>
            {
                Err("Invalid GeoFilter lat/lon".into())
            }
            ([longitude, latitude, radius], Some(unit_m), Some((place, FieldType::Geo))) => {
                let circle = Circle {
                    longitude: longitude.value,
                    latitude: latitude.value,
                    radius: radius.value,
                    unit_m,
                };
                self.count(Kind::Geo(place, circle))
            }
            ([_, _], None, _) | ([_, _, _], Some(_), _) => Ok(Node::new(Kind::Nothing)),
            _ => Err(self.wrong()),
        }
    }

    fn unit(&mut self) -> Result<f64, String> {
        let is_parameter = self.is_new() && self.take(b"$");
        let name = self.name();
        let name = if is_parameter { self.parameter(name)? } else { name.to_vec() };
        unit_m(&name).ok_or_else(|| "Invalid GeoFilter unit".into())
    }

    /// A number, an infinity or a parameter.
    fn limit_value(&mut self) -> Result<f64, String> {
        // Blanks and quiet signs between numbers, but no point of a fraction.
        while let [byte, rest @ ..] = self.rest()
            && (byte.is_ascii_whitespace()
                || *byte == b','
                || *byte == b'.' && !rest.first().is_some_and(u8::is_ascii_digit))
        {
            self.at += 1;
        }
        let (from, rest) = (self.at, self.rest());
        let sign_len = usize::from(matches!(rest.first(), Some(b'-' | b'+')));
        let sign = if rest.first() == Some(&b'-') { -1.0 } else { 1.0 };
        if self.is_new() && rest.get(sign_len) == Some(&b'$') {
            self.at += sign_len + 1;
            let name = self.name();
            let text = self.parameter(name)?;
            let value = parse_number(&text).ok_or_else(|| {
                format!("Invalid numeric value ({})", String::from_utf8_lossy(&text))
            });
            return value.map(|value| sign * value);
        }
        let len = number_len(rest);
        self.at += len;
        parse_number(rest.get(..len).unwrap_or_default()).ok_or_else(|| {
            self.at = from;
            self.wrong()
        })
    }
}

/// How long the number is that a text begins with.
fn number_len(text: &[u8]) -> usize {
    let sign = usize::from(matches!(text.first(), Some(b'-' | b'+')));
    let digits = |from: usize| {
        let rest = text.get(from..).unwrap_or_default();
        rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
    };
    let letters = text.get(sign..sign + 3).unwrap_or_default();
    if letters.eq_ignore_ascii_case(b"inf") {
        return sign + 3;
    }
    let mut len = sign + digits(sign);
    let has_fraction = text.get(len) == Some(&b'.');
    let fraction = if has_fraction { digits(len + 1) } else { 0 };
    len += if fraction > 0 { fraction + 1 } else { 0 };
    if matches!(text.get(len), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(text.get(len + 1), Some(b'-' | b'+')));
        let exponent = digits(len + 1 + sign);
        len += if exponent > 0 { 1 + sign + exponent } else { 0 };
    }
    len
}

/// A tag, or tags of this form.
fn of_form(text: Vec<u8>, starts_open: bool, ends_open: bool) -> Tag {
    match (starts_open, ends_open) {
        (false, false) => Tag::Is(text),
        (false, true) => Tag::Like(Pattern::Prefix(text)),
        (true, false) => Tag::Like(Pattern::Suffix(text)),
        (true, true) => Tag::Like(Pattern::Infix(text)),
    }
}
