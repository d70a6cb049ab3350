//! What a query looks for by its form: how words begin, end or go on, and words that are almost these.

use alloc::string::String;
use alloc::vec::Vec;

use super::super::query::{Kind, Node, Pattern};
use super::super::tokens;
use super::{Parser, unescaped};

impl Parser<'_> {
    /// `*end` or `*middle*`.
    pub(super) fn affixed(&mut self) -> Result<Node, String> {
        let pattern = self.affix()?;
        self.count(Kind::Pattern(pattern))
    }

    pub(super) fn affix(&mut self) -> Result<Pattern, String> {
        let from = self.at;
        self.at += 1;
        let is_parameter = self.is_new() && self.peek() == Some(b'$');
        self.at += usize::from(is_parameter);
        let name = self.name();
        if name.is_empty() {
            self.at = from;
            return Err(self.wrong());
        }
        let text = if is_parameter { self.parameter(name)? } else { name.to_vec() };
        let text = unescaped(&text);
        if self.peek() == Some(b'*') {
            self.at += 1;
            return Ok(Pattern::Infix(text));
        }
        Ok(Pattern::Suffix(text))
    }

    pub(super) fn wildcard(&mut self) -> Result<Node, String> {
        self.at += 1;
        let mut pattern = self.wildcard_text()?;
        tokens::lower(&mut pattern);
        self.count(Kind::Pattern(Pattern::Wildcard(pattern)))
    }

    /// What stands in the quotes of a wildcard, or the parameter that it names. A backslash only says
    /// that what follows it is part of it.
    pub(super) fn wildcard_text(&mut self) -> Result<Vec<u8>, String> {
        let text = self.quoted(b'\'')?;
        let text = match text.strip_prefix(b"$") {
            Some(name)
                if !name.is_empty() && name.iter().all(|byte| !tokens::is_separator(*byte)) =>
            {
                self.parameter(name)?
            }
            _ => text.to_vec(),
        };
        let mut bytes = text.iter().copied();
        let mut out = Vec::new();
        while let Some(byte) = bytes.next() {
            out.push(if byte == b'\\' { bytes.next().unwrap_or(byte) } else { byte });
        }
        Ok(out)
    }

    pub(super) fn fuzzy(&mut self) -> Result<Node, String> {
        let (from, rest) = (self.at, self.rest());
        let distance = rest.iter().take_while(|byte| **byte == b'%').count();
        self.at += distance;
        let is_parameter = self.is_new() && self.peek() == Some(b'$');
        self.at += usize::from(is_parameter);
        let name = self.name();
        let word = if is_parameter { self.parameter(name)? } else { name.to_vec() };
        let word = unescaped(&word);
        let closing = self.rest().iter().take_while(|byte| **byte == b'%').count();
        if word.is_empty() || distance > 3 || closing < distance {
            self.at = from;
            return Err(self.wrong());
        }
        self.at += distance;
        self.count(Kind::Fuzzy(word, distance))
    }
}
