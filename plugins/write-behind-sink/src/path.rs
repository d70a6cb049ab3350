//! Where in a document a column's value stands: members by name, elements by index.
//!
//! `$.user.id`, `user.id`, `$.tags[0]`, `$["a b"].c`. A path leads to one value at most: there is
//! nothing to search for, no filter, no wildcard.

use std::fmt;

/// One step down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Member(String),
    Element(usize),
}

/// Steps from the document's root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path(pub(crate) Vec<Step>);

impl Path {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let refused = || format!("`{text}` is not a path to one value");
        let mut rest = text.strip_prefix('$').unwrap_or(text);
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, left) = match rest.strip_prefix('[') {
                Some(inside) => bracket(inside),
                None => member(rest, steps.is_empty() && !text.starts_with('$')),
            }
            .ok_or_else(refused)?;
            steps.push(step);
            rest = left;
        }
        if steps.is_empty() { Err(refused()) } else { Ok(Self(steps)) }
    }
}

/// `name`, with a dot before it unless it is the first.
fn member(text: &str, is_first: bool) -> Option<(Step, &str)> {
    let name = match text.strip_prefix('.') {
        Some(name) => name,
        None if is_first => text,
        None => return None,
    };
    let end = name.find(['.', '[']).unwrap_or(name.len());
    let (name, rest) = name.split_at(end);
    let is_plain = !name.is_empty() && !name.contains(['*', '?', '@', ']', '"', '\'']);
    is_plain.then(|| (Step::Member(name.into()), rest))
}

/// What stands in brackets: an index, or a quoted name.
fn bracket(inside: &str) -> Option<(Step, &str)> {
    let quote = inside.chars().next().filter(|first| ['"', '\''].contains(first));
    if let Some(quote) = quote {
        let (name, rest) = inside[1..].split_once(quote)?;
        return Some((Step::Member(name.into()), rest.strip_prefix(']')?));
    }
    let (index, rest) = inside.split_once(']')?;
    Some((Step::Element(index.parse().ok()?), rest))
}

impl fmt::Display for Path {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Member(name) if at == 0 => out.write_str(name)?,
                Step::Member(name) => write!(out, ".{name}")?,
                Step::Element(index) => write!(out, "[{index}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_members_and_elements() {
        for (text, said) in [
            ("$.user.id", "user.id"),
            ("user.id", "user.id"),
            (".user", "user"),
            ("$.tags[0]", "tags[0]"),
            ("$['a b'].c", "a b.c"),
            ("$[\"a.b\"][2]", "a.b[2]"),
        ] {
            assert_eq!(Path::parse(text).unwrap().to_string(), said);
        }
    }

    #[test]
    fn what_may_lead_to_many_is_refused() {
        for text in ["", "$", "$..a", "$.*", "a[*]", "a[-1]", "a[?(@.b)]", "$.a[", "$['a]", "a]"] {
            assert!(Path::parse(text).is_err(), "{text}");
        }
    }
}
