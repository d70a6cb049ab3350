//! What a query looks for, as a tree.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::numbers::NumericRange;
use super::schema::{FieldType, Schema};

/// A set of text fields.
pub type TextFields = u64;

/// Every text field.
pub const ALL_FIELDS: TextFields = TextFields::MAX;

/// A part of a query.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it looks for.
    pub kind: Kind,
    /// In which text fields.
    pub fields: TextFields,
    /// How much it counts.
    pub weight: f64,
    /// How many other words may stand between those of an intersection; none: any number.
    pub slop: Option<u32>,
    /// Whether the words of an intersection come in their order; none: as the whole query says.
    pub in_order: Option<bool>,
    /// Whether words are found that sound alike; none: where there are fields for it.
    pub phonetic: Option<bool>,
}

/// What a part of a query looks for.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Nothing can be found: all that was looked for are stop words.
    Nothing,
    /// Every document.
    All,
    /// A word.
    Word {
        /// The word in lower case.
        text: Vec<u8>,
        /// Whether other forms of it are found as well.
        is_expanded: bool,
    },
    /// Words in this order with nothing between them.
    Exact(Vec<Vec<u8>>),
    /// Documents that all of them find.
    And(Vec<Node>),
    /// Documents that one of them finds.
    Or(Vec<Node>),
    /// Documents that it does not find.
    Not(Box<Node>),
    /// All documents; those that it finds count more.
    Optional(Box<Node>),
    /// Words of this form.
    Pattern(Pattern),
    /// Words that so many changes of letters make one of this.
    Fuzzy(Vec<u8>, usize),
    /// A field with one of these tags.
    Tags(usize, Vec<Tag>),
    /// A field with a number in this range.
    Numeric(usize, NumericRange),
    /// A field with a position close to another.
    Geo(usize, Circle),
    /// Documents without a field.
    Missing(usize),
}

/// A form that words have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// They begin so.
    Prefix(Vec<u8>),
    /// They end so.
    Suffix(Vec<u8>),
    /// They have it in them.
    Infix(Vec<u8>),
    /// They are as this says, with `*` for any letters and `?` for one.
    Wildcard(Vec<u8>),
}

/// A tag that is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tag {
    /// This one.
    Is(Vec<u8>),
    /// Those of this form.
    Like(Pattern),
}

/// A circle on Earth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Circle {
    /// The centre's longitude.
    pub longitude: f64,
    /// Its latitude.
    pub latitude: f64,
    /// How far it reaches, in the unit.
    pub radius: f64,
    /// Metres in a unit.
    pub unit_m: f64,
}

impl Pattern {
    /// What every word of this form begins with.
    pub fn prefix(&self) -> &[u8] {
        match self {
            Self::Prefix(prefix) => prefix,
            Self::Suffix(_) | Self::Infix(_) => &[],
            Self::Wildcard(pattern) => {
                let special = |byte: &u8| matches!(byte, b'*' | b'?');
                let end = pattern.iter().position(special).unwrap_or(pattern.len());
                pattern.get(..end).unwrap_or_default()
            }
        }
    }

    /// Whether a word has this form.
    pub fn matches(&self, word: &[u8]) -> bool {
        match self {
            Self::Prefix(prefix) => word.starts_with(prefix),
            Self::Suffix(suffix) => word.ends_with(suffix),
            Self::Infix(part) => word.windows(part.len().max(1)).any(|window| window == part),
            Self::Wildcard(pattern) => matches_wildcard(pattern, word),
        }
    }

    /// How many letters of words it names.
    pub fn letters(&self) -> usize {
        match self {
            Self::Prefix(text) | Self::Suffix(text) | Self::Infix(text) | Self::Wildcard(text) => {
                text.iter().filter(|byte| !matches!(byte, b'*' | b'?')).count()
            }
        }
    }

    fn shown(&self) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match self {
            Self::Prefix(prefix) => format!("PREFIX{{{}*}}", text(prefix)),
            Self::Suffix(suffix) => format!("SUFFIX{{*{}}}", text(suffix)),
            Self::Infix(part) => format!("INFIX{{*{}*}}", text(part)),
            Self::Wildcard(pattern) => format!("WILDCARD{{{}}}", text(pattern)),
        }
    }
}

/// Whether a word is as a pattern of `*` and `?` says. Takes as long as both are long, multiplied, at
/// worst.
fn matches_wildcard(pattern: &[u8], word: &[u8]) -> bool {
    let (mut at, mut place) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while place < word.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, place));
                at += 1;
            }
            Some(byte) if *byte == b'?' || word.get(place) == Some(byte) => {
                at += 1;
                place += 1;
            }
            _ => {
                // The last star stands for one letter more.
                let Some((after, from)) = star else { return false };
                star = Some((after, from + 1));
                at = after + 1;
                place = from + 1;
            }
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(|byte| *byte == b'*')
}

impl Node {
    /// A part of a query that says nothing special.
    pub fn new(kind: Kind) -> Self {
        Self { kind, fields: ALL_FIELDS, weight: 1.0, slop: None, in_order: None, phonetic: None }
    }

    /// What it does not find, for which only the words themselves are looked for.
    pub fn denied(mut self) -> Kind {
        self.forbid_forms();
        Kind::Not(Box::new(self))
    }

    /// What need not be found, for which only the words themselves are looked for.
    pub fn optional(mut self) -> Kind {
        self.forbid_forms();
        Kind::Optional(Box::new(self))
    }

    fn forbid_forms(&mut self) {
        match &mut self.kind {
            Kind::Word { is_expanded, .. } => *is_expanded = false,
            Kind::And(nodes) | Kind::Or(nodes) => nodes.iter_mut().for_each(Self::forbid_forms),
            Kind::Not(node) | Kind::Optional(node) => node.forbid_forms(),
            _ => {}
        }
    }

    /// Says of its words whether others are found that sound alike, unless that was said before.
    pub fn set_phonetic(&mut self, phonetic: bool) {
        self.phonetic = self.phonetic.or(Some(phonetic));
        match &mut self.kind {
            Kind::And(nodes) | Kind::Or(nodes) => {
                nodes.iter_mut().for_each(|node| node.set_phonetic(phonetic));
            }
            Kind::Not(node) | Kind::Optional(node) => node.set_phonetic(phonetic),
            _ => {}
        }
    }

    /// Whether it looks for empty texts only in fields that are found by them.
    pub fn is_empty_where_possible(&self, emptiable: TextFields, schema: &Schema) -> bool {
        match &self.kind {
            Kind::Word { text, .. } => {
                // Nowhere in particular there may be none.
                !text.is_empty()
                    || matches!(self.fields, 0 | ALL_FIELDS)
                    || self.fields & emptiable != 0
            }
            Kind::Tags(field, tags) => {
                let is_empty = |tag: &Tag| matches!(tag, Tag::Is(text) if text.is_empty());
                let is_possible = || schema.fields.get(*field).is_some_and(|f| f.indexes_empty);
                !tags.iter().any(is_empty) || is_possible()
            }
            Kind::And(nodes) | Kind::Or(nodes) => {
                nodes.iter().all(|node| node.is_empty_where_possible(emptiable, schema))
            }
            Kind::Not(node) | Kind::Optional(node) => {
                node.is_empty_where_possible(emptiable, schema)
            }
            _ => true,
        }
    }

    /// Shows in which fields it matters where words stand, where something is said of that. Of the
    /// outermost part it is said in any case if `is_said`.
    pub fn each_placing(&self, is_said: bool, show: &mut dyn FnMut(TextFields)) {
        match &self.kind {
            Kind::And(nodes) => {
                if is_said || self.slop.is_some() || self.in_order.is_some() {
                    show(self.fields);
                }
                nodes.iter().for_each(|node| node.each_placing(false, show));
            }
            Kind::Or(nodes) => nodes.iter().for_each(|node| node.each_placing(false, show)),
            Kind::Not(node) | Kind::Optional(node) => node.each_placing(false, show),
            _ => {}
        }
    }

    /// Shows the fields in which words are looked for by how they go on rather than begin.
    pub fn each_affix(&self, show: &mut dyn FnMut(TextFields)) {
        match &self.kind {
            Kind::Pattern(Pattern::Prefix(_)) => {}
            Kind::Pattern(_) => show(self.fields),
            Kind::And(nodes) | Kind::Or(nodes) => {
                nodes.iter().for_each(|node| node.each_affix(show));
            }
            Kind::Not(node) | Kind::Optional(node) => node.each_affix(show),
            _ => {}
        }
    }

    /// Whether it says something of the sound of words only where there are fields for that.
    pub fn is_phonetic_where_possible(&self, sounding: TextFields) -> bool {
        let is_said = matches!(self.kind, Kind::Word { .. }) && self.phonetic.is_some();
        (!is_said || self.fields & sounding != 0)
            && match &self.kind {
                Kind::And(nodes) | Kind::Or(nodes) => {
                    nodes.iter().all(|node| node.is_phonetic_where_possible(sounding))
                }
                Kind::Not(node) | Kind::Optional(node) => node.is_phonetic_where_possible(sounding),
                _ => true,
            }
    }

    /// Confines it to some text fields.
    pub fn confine(&mut self, fields: TextFields) {
        self.fields &= fields;
        match &mut self.kind {
            Kind::And(nodes) | Kind::Or(nodes) => {
                nodes.iter_mut().for_each(|node| node.confine(fields));
            }
            Kind::Not(node) | Kind::Optional(node) => node.confine(fields),
            _ => {}
        }
    }

    /// Documents that all of these find.
    pub fn and(nodes: Vec<Self>) -> Self {
        Self::of_several(nodes, Kind::And)
    }

    /// Documents that one of these finds.
    pub fn or(nodes: Vec<Self>) -> Self {
        Self::of_several(nodes, Kind::Or)
    }

    /// Stop words have no part in it.
    fn of_several(mut nodes: Vec<Self>, kind: fn(Vec<Self>) -> Kind) -> Self {
        nodes.retain(|node| !matches!(node.kind, Kind::Nothing));
        match nodes.len() {
            0 => Self::new(Kind::Nothing),
            1 => nodes.pop().unwrap_or_else(|| Self::new(Kind::Nothing)),
            _ => Self::new(kind(nodes)),
        }
    }

    /// The tree as FT.EXPLAIN shows it.
    pub fn explain(&self, schema: &Schema, other_forms: &dyn Fn(&Self) -> Vec<Vec<u8>>) -> String {
        let mut out = String::new();
        self.explain_to(schema, other_forms, 0, &mut out);
        out
    }

    fn explain_to(
        &self,
        schema: &Schema,
        other_forms: &dyn Fn(&Self) -> Vec<Vec<u8>>,
        depth: usize,
        out: &mut String,
    ) {
        let pad = |out: &mut String, depth: usize| (0..depth).for_each(|_| out.push_str("  "));
        let fields = self.shown_fields(schema);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let name = |field: &usize| schema.fields.get(*field).map_or("".into(), |f| text(&f.name));
        pad(out, depth);
        out.push_str(&fields);
        let children = |out: &mut String, title: &str, nodes: &[Self]| {
            out.push_str(title);
            nodes.iter().for_each(|node| node.explain_to(schema, other_forms, depth + 1, out));
            pad(out, depth);
            out.push('}');
        };
        let words = |out: &mut String, title: &str, lines: &[String]| {
            out.push_str(title);
            for line in lines {
                pad(out, depth + 1);
                out.push_str(line);
                out.push('\n');
            }
            pad(out, depth);
            out.push('}');
        };
        match &self.kind {
            Kind::Nothing => out.push_str("<empty>"),
            Kind::All => out.push_str("<WILDCARD>"),
            Kind::Word { text: word, .. } => {
                let forms = other_forms(self);
                let forms = forms.iter().map(|form| format!("{}(expanded)", text(form)));
                let mut lines: Vec<String> = core::iter::once(text(word)).chain(forms).collect();
                if let [only] = lines.as_slice() {
                    out.push_str(only);
                } else {
                    lines.iter_mut().for_each(|line| line.insert_str(0, &fields));
                    words(out, "UNION {\n", &lines);
                }
            }
            Kind::Exact(exact) => {
                let lines = exact.iter().map(|word| format!("{fields}{}", text(word)));
                let lines: Vec<String> = lines.collect();
                words(out, "EXACT {\n", &lines);
            }
            Kind::And(nodes) => children(out, "INTERSECT {\n", nodes),
            Kind::Or(nodes) => children(out, "UNION {\n", nodes),
            Kind::Not(node) => children(out, "NOT{\n", core::slice::from_ref(node)),
            Kind::Optional(node) => children(out, "OPTIONAL{\n", core::slice::from_ref(node)),
            Kind::Pattern(pattern) => out.push_str(&pattern.shown()),
            Kind::Missing(field) => out.push_str(&format!("ISMISSING{{{}}}", name(field))),
            Kind::Fuzzy(word, _) => out.push_str(&format!("FUZZY{{{}}}", text(word))),
            Kind::Tags(field, tags) => {
                let shown = tags.iter().map(|tag| match tag {
                    Tag::Is(tag) if tag.is_empty() => "\"\"".into(),
                    Tag::Is(tag) => text(tag),
                    Tag::Like(pattern) => pattern.shown(),
                });
                words(out, &format!("TAG:@{} {{\n", name(field)), &shown.collect::<Vec<_>>());
            }
            Kind::Numeric(field, range) => out.push_str(&shown_range(&name(field), range)),
            Kind::Geo(field, circle) => {
                let Circle { longitude, latitude, radius, .. } = circle;
                let place = format!("{longitude:.6},{latitude:.6} --> {radius:.6}");
                out.push_str(&format!("GEO {}:{{{place} {}}}", name(field), unit_name(*circle)));
            }
        }
        self.explain_attributes(out);
        out.push('\n');
    }

    /// The text fields that it is confined to, as they stand in front of it.
    fn shown_fields(&self, schema: &Schema) -> String {
        let is_textual = !matches!(
            self.kind,
            Kind::Numeric(..) | Kind::Geo(..) | Kind::Tags(..) | Kind::Missing(_)
        );
        if self.fields == ALL_FIELDS || !is_textual {
            return String::new();
        }
        let named = schema.fields.iter().filter(|field| match field.kind {
            FieldType::Text { number, .. } => self.fields & 1 << number != 0,
            _ => false,
        });
        let named: Vec<_> = named.map(|field| String::from_utf8_lossy(&field.name)).collect();
        let named = if named.is_empty() { "NULL".into() } else { named.join("|") };
        format!("@{named}:")
    }

    fn explain_attributes(&self, out: &mut String) {
        let mut attributes = String::new();
        #[expect(clippy::float_cmp, reason = "one is what nobody changed")]
        if self.weight != 1.0 {
            attributes.push_str(&format!(" $weight: {};", self.weight));
        }
        if let Some(slop) = self.slop {
            attributes.push_str(&format!(" $slop: {slop};"));
        }
        if let Some(in_order) = self.in_order {
            attributes.push_str(&format!(" $inorder: {in_order};"));
        }
        if !attributes.is_empty() {
            out.push_str(&format!(" => {{{attributes} }}"));
        }
    }
}

fn shown_range(name: &str, range: &NumericRange) -> String {
    let sign = |is_exclusive| if is_exclusive { "<" } else { "<=" };
    let NumericRange { low, high } = range;
    let (before, behind) = (sign(low.is_exclusive), sign(high.is_exclusive));
    format!("NUMERIC {{{:.6} {before} @{name} {behind} {:.6}}}", low.value, high.value)
}

fn unit_name(circle: Circle) -> &'static str {
    match circle.unit_m as u32 {
        1000 => "km",
        1609 => "mi",
        0 => "ft",
        _ => "m",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_as_they_say() {
        let cases = [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*b*b*", "abab", true),
            ("ab", "abc", false),
            ("*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaac", false),
        ];
        for (pattern, word, expected) in cases {
            assert_eq!(
                matches_wildcard(pattern.as_bytes(), word.as_bytes()),
                expected,
                "{pattern}"
            );
        }
    }

    #[test]
    fn patterns_know_how_words_begin() {
        assert_eq!(Pattern::Wildcard(b"ab*c".to_vec()).prefix(), b"ab");
        assert_eq!(Pattern::Infix(b"ab".to_vec()).prefix(), b"");
        assert!(Pattern::Infix(b"bc".to_vec()).matches(b"abcd"));
        assert!(!Pattern::Suffix(b"bc".to_vec()).matches(b"abcd"));
    }
}
