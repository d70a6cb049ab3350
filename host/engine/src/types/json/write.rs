//! Value to text: compact, or laid out with strings of the caller's.

use alloc::vec::Vec;

use super::value::Json;
use crate::types::number;

/// How text is laid out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Layout<'l> {
    /// What stands once per level at the beginning of a line.
    pub indent: &'l [u8],
    /// What ends a line.
    pub newline: &'l [u8],
    /// What stands between a name's colon and its value.
    pub space: &'l [u8],
}

/// A value as compact text.
#[must_use]
pub fn compact(value: &Json) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out, value, &Layout::default());
    out
}

/// Appends a value as text.
pub fn write(out: &mut Vec<u8>, value: &Json, layout: &Layout<'_>) {
    Writer { out, layout, level: 0 }.value(value);
}

/// Appends values as the text of an array.
pub fn write_array<'v>(
    out: &mut Vec<u8>,
    values: impl Iterator<Item = &'v Json>,
    layout: &Layout<'_>,
) {
    Writer { out, layout, level: 0 }.array(values);
}

/// Appends names with their values, each a value or the text of an array of them, as an object.
pub fn write_object<'v>(
    out: &mut Vec<u8>,
    members: impl Iterator<Item = (&'v [u8], Shown<'v>)>,
    layout: &Layout<'_>,
) {
    let mut writer = Writer { out, layout, level: 0 };
    let value = |writer: &mut Writer<'_, '_>, shown: Shown<'v>| match shown {
        Shown::One(value) => writer.value(value),
        Shown::Many(values) => writer.array(values.into_iter()),
    };
    writer.object(members, value);
}

/// What a path found, as it is shown.
#[derive(Clone, Debug)]
pub enum Shown<'v> {
    /// A value.
    One(&'v Json),
    /// An array of values.
    Many(Vec<&'v Json>),
}

struct Writer<'o, 'l> {
    out: &'o mut Vec<u8>,
    layout: &'l Layout<'l>,
    level: usize,
}

impl Writer<'_, '_> {
    fn value(&mut self, value: &Json) {
        match value {
            Json::Null => self.out.extend_from_slice(b"null"),
            Json::Bool(true) => self.out.extend_from_slice(b"true"),
            Json::Bool(false) => self.out.extend_from_slice(b"false"),
            Json::Integer(value) => number::write_i64(self.out, *value),
            Json::Unsigned(value) => number::write_u64(self.out, *value),
            Json::Double(value) => write_double(self.out, *value),
            Json::Text(text) => write_text(self.out, text.as_bytes()),
            Json::Array(values) => self.array(values.iter()),
            Json::Object(object) => {
                let members = object.iter().map(|(name, value)| (name.as_bytes(), value));
                self.object(members, Self::value);
            }
        }
    }

    fn array<'v>(&mut self, values: impl Iterator<Item = &'v Json>) {
        self.open(b'[');
        let mut is_first = true;
        for value in values {
            self.separate(core::mem::take(&mut is_first));
            self.value(value);
        }
        self.close(b']', is_first);
    }

    fn object<'v, V>(
        &mut self,
        members: impl Iterator<Item = (&'v [u8], V)>,
        mut write: impl FnMut(&mut Self, V),
    ) {
        self.open(b'{');
        let mut is_first = true;
        for (name, value) in members {
            self.separate(core::mem::take(&mut is_first));
            write_text(self.out, name);
            self.out.push(b':');
            self.out.extend_from_slice(self.layout.space);
            write(self, value);
        }
        self.close(b'}', is_first);
    }

    fn open(&mut self, bracket: u8) {
        self.out.push(bracket);
        self.level += 1;
    }

    fn separate(&mut self, is_first: bool) {
        if !is_first {
            self.out.push(b',');
        }
        self.line();
    }

    fn close(&mut self, bracket: u8, is_empty: bool) {
        self.level -= 1;
        if !is_empty {
            self.line();
        }
        self.out.push(bracket);
    }

    #[inline]
    fn line(&mut self) {
        self.out.extend_from_slice(self.layout.newline);
        if !self.layout.indent.is_empty() {
            (0..self.level).for_each(|_| self.out.extend_from_slice(self.layout.indent));
        }
    }
}

/// Appends a finite number with as few digits as give the same number, always recognisable as one
/// with a fraction.
pub fn write_double(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
}

/// Appends a string with its quotes.
pub fn write_text(out: &mut Vec<u8>, text: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| matches!(byte, 0..0x20 | b'"' | b'\\')) {
        let (plain, special) = rest.split_at(at);
        out.extend_from_slice(plain);
        let Some((byte, after)) = special.split_first() else { break };
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            8 => out.extend_from_slice(b"\\b"),
            9 => out.extend_from_slice(b"\\t"),
            10 => out.extend_from_slice(b"\\n"),
            12 => out.extend_from_slice(b"\\f"),
            13 => out.extend_from_slice(b"\\r"),
            _ => {
                out.extend_from_slice(b"\\u00");
                let digits = [byte >> 4, byte & 15].map(|digit| HEX[usize::from(digit)]);
                out.extend_from_slice(&digits);
            }
        }
        rest = after;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::super::parse::parse;
    use super::*;

    fn laid_out(text: &str, layout: Layout<'_>) -> alloc::string::String {
        let mut out = Vec::new();
        write(&mut out, &parse(text).unwrap(), &layout);
        alloc::string::String::from_utf8(out).unwrap()
    }

    #[test]
    fn layouts_put_their_strings_where_redisjson_does() {
        let text = "{\"a\":[1,{}],\"b\":[]}";
        let layout = Layout { indent: b"_", newline: b"|", space: b"." };
        assert_eq!(laid_out(text, layout), "{|_\"a\":.[|__1,|__{}|_],|_\"b\":.[]|}");
        let layout = Layout { indent: b"_", ..Layout::default() };
        assert_eq!(laid_out(text, layout), "{_\"a\":[__1,__{}_],_\"b\":[]}");
        let layout = Layout { space: b" ", ..Layout::default() };
        assert_eq!(laid_out(text, layout), "{\"a\": [1,{}],\"b\": []}");
    }
}
