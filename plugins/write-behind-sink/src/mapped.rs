//! Parts of a document as the columns of a row.
//!
//! The document is walked once, however many columns there are; what no column wants is skipped without
//! being looked at. A column whose value is missing or `null` is NULL if it may be, else the document
//! is rejected; so is one whose value is of another type. The last of two members with one name counts.

use std::fmt;

use reef_sdk::sink::{Changes, Column, Verdict};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::path::Step;
use crate::setting::{self, ColumnSetting};
use crate::value;

/// A mapping from documents to rows.
pub struct Mapped {
    columns: Vec<ColumnSetting>,
    root: Node,
}

/// What columns want below a value.
#[derive(Debug, Default)]
struct Node {
    /// The columns that want the value itself.
    wanted: Vec<usize>,
    members: Vec<(String, Self)>,
    elements: Vec<(usize, Self)>,
}

impl Mapped {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let columns = setting::columns(text)?;
        let mut root = Node::default();
        for (index, column) in columns.iter().enumerate() {
            let leaf = column.path.0.iter().fold(&mut root, Node::below);
            leaf.wanted.push(index);
        }
        Ok(Self { columns, root })
    }

    /// The columns after the id.
    pub(crate) fn columns(&self) -> impl Iterator<Item = Column> {
        self.columns.iter().map(|column| {
            let made = Column::new(column.name.clone(), column.kind);
            if column.nullable { made.nullable() } else { made }
        })
    }

    /// Adds the row of a document.
    pub(crate) fn row(&self, id: &[u8], image: &[u8], rows: &mut Changes) -> Verdict {
        let mut found = vec![None; self.columns.len()];
        if let Err(error) = self.walk(image, &mut found) {
            return Verdict::Reject(format!("not JSON: {error}"));
        }
        let mut row = rows.upsert(0).value(id);
        for (column, raw) in self.columns.iter().zip(found) {
            let raw = raw.filter(|raw| *raw != "null");
            let text = raw.map(|raw| value::text(raw, column.kind)).transpose();
            row = match text {
                Ok(Some(text)) => row.value(text.as_bytes()),
                Ok(None) if column.nullable => row.null(),
                Ok(None) => {
                    let ColumnSetting { name, path, .. } = column;
                    return Verdict::Reject(format!("column {name}: the document has no {path}"));
                }
                Err(reason) => {
                    return Verdict::Reject(format!("column {}: {reason}", column.name));
                }
            };
        }
        Verdict::Apply
    }

    fn walk<'d>(&self, image: &'d [u8], found: &mut [Option<&'d str>]) -> serde_json::Result<()> {
        let text = std::str::from_utf8(image).map_err(serde::de::Error::custom)?;
        let mut deserializer = serde_json::Deserializer::from_str(text);
        Walk { node: &self.root, found }.deserialize(&mut deserializer)?;
        deserializer.end()
    }
}

impl Node {
    /// The node one step below.
    fn below(&mut self, step: &Step) -> &mut Self {
        match step {
            Step::Member(name) => entry(&mut self.members, name),
            Step::Element(index) => entry(&mut self.elements, index),
        }
    }

    fn is_leaf(&self) -> bool {
        self.members.is_empty() && self.elements.is_empty()
    }
}

fn entry<'a, K: Clone + PartialEq>(list: &'a mut Vec<(K, Node)>, key: &K) -> &'a mut Node {
    let at = list.iter().position(|(there, _)| there == key).unwrap_or_else(|| {
        list.push((key.clone(), Node::default()));
        list.len() - 1
    });
    &mut list[at].1
}

/// Walks one value and notes what columns want of it.
struct Walk<'n, 'f, 'd> {
    node: &'n Node,
    found: &'f mut [Option<&'d str>],
}

impl<'d> DeserializeSeed<'d> for Walk<'_, '_, 'd> {
    type Value = ();

    fn deserialize<D: Deserializer<'d>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.node.wanted.is_empty() {
            return deserializer.deserialize_any(self);
        }
        let raw = <&RawValue as serde::Deserialize>::deserialize(deserializer)?.get();
        for column in &self.node.wanted {
            self.found[*column] = Some(raw);
        }
        if self.node.is_leaf() {
            return Ok(());
        }
        // Somebody wants a part of it as well.
        serde_json::Deserializer::from_str(raw)
            .deserialize_any(self)
            .map_err(serde::de::Error::custom)
    }
}

impl<'d> Visitor<'d> for Walk<'_, '_, 'd> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'d>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<Name<'d>>()? {
            match self.node.members.iter().find(|(there, _)| *there == *name.0) {
                Some((_, node)) => map.next_value_seed(Walk { node, found: &mut *self.found })?,
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'d>>(self, mut list: A) -> Result<(), A::Error> {
        for index in 0.. {
            let wanted = self.node.elements.iter().find(|(there, _)| *there == index);
            let there = match wanted {
                Some((_, node)) => {
                    list.next_element_seed(Walk { node, found: &mut *self.found })?.is_some()
                }
                None => list.next_element::<IgnoredAny>()?.is_some(),
            };
            if !there {
                break;
            }
        }
        Ok(())
    }

    // A scalar where columns want parts has none of them.
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// A member's name, borrowed if it has no escapes.
struct Name<'d>(std::borrow::Cow<'d, str>);

impl<'d> serde::Deserialize<'d> for Name<'d> {
    fn deserialize<D: Deserializer<'d>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'d> Visitor<'d> for Text {
            type Value = Name<'d>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, name: &'d str) -> Result<Name<'d>, E> {
                Ok(Name(name.into()))
            }

            fn visit_str<E>(self, name: &str) -> Result<Name<'d>, E> {
                Ok(Name(name.to_owned().into()))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(columns: &str, image: &str) -> String {
        let mut rows = Changes::default();
        match Mapped::parse(columns).unwrap().row(b"1", image.as_bytes(), &mut rows) {
            Verdict::Apply => rows.to_string(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn whole_and_part_may_both_be_wanted() {
        let columns = r#"[{"name": "all", "path": "a", "type": "json"}, {"name": "b", "path": "a.b"},
                          {"name": "second", "path": "a.c[1]", "type": "double"}]"#;
        let image = r#" {"x": [[["a"]]], "a": {"c": [1, 2.50], "b": "B"}} "#;
        assert_eq!(row(columns, image), r#"upsert 0 (1, {"c": [1, 2.50], "b": "B"}, B, 2.50)"#);
    }

    #[test]
    fn null_and_nothing_are_null_where_they_may_be() {
        let columns = r#"[{"name": "b", "path": "a.b", "nullable": true}]"#;
        for image in
            [r#"{"a":{"b":null}}"#, r#"{"a":{}}"#, r#"{"a":5}"#, r#"{}"#, "[]", "7", "null"]
        {
            assert_eq!(row(columns, image), "upsert 0 (1, NULL)", "{image}");
        }
    }

    #[test]
    fn the_last_of_two_members_counts() {
        let columns = r#"[{"name": "b", "path": "b", "type": "integer"}]"#;
        assert_eq!(row(columns, r#"{"b":1,"b":2}"#), "upsert 0 (1, 2)");
        assert_eq!(row(columns, r#"{"\u0062":3}"#), "upsert 0 (1, 3)");
    }

    #[test]
    fn deep_nesting_is_no_danger() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let columns = r#"[{"name": "b", "path": "b", "type": "integer", "nullable": true}]"#;
        assert_eq!(row(columns, &format!("{{\"x\":{deep},\"b\":1}}")), "upsert 0 (1, 1)");
    }
}
