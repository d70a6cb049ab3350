//! Reads paths: a cursor over the text and one function per part of the grammar.
//!
//! Blanks may stand between parts. The first byte of a part decides what it is, so nothing is read
//! twice, and reading takes time in proportion to the text. What it says of errors is what RedisJSON
//! says: the position and what could have stood there.

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::filter::{Comparison, Filter, Operator, Term};
use super::{Expected, FILTERS_MAX, Numbered, PARENTHESES_MAX, PathError, Selector, Slice};
use crate::types::json::text::Text;
use crate::types::json::value::Json;

/// The cursor.
pub(super) struct Parser<'t> {
    text: &'t str,
    at: usize,
    filters: usize,
    parentheses: usize,
    numbered: Numbered,
}

impl<'t> Parser<'t> {
    /// Reads a whole path in its new form.
    pub(super) fn parse(text: &'t str) -> Result<(Vec<Selector>, Numbered), PathError> {
        let numbered = Numbered::default();
        let mut parser = Self { text, at: 0, filters: 0, parentheses: 0, numbered };
        parser.take(b'$');
        let selectors = parser.steps()?;
        if parser.peek().is_some() {
            let expected = if selectors.is_empty() { Expected::Start } else { Expected::Step };
            return Err(parser.unexpected(parser.at, expected));
        }
        Ok((selectors, parser.numbered))
    }

    // ---- the cursor ----------------------------------------------------------------------

    fn rest(&self) -> &'t [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// The next byte that is not a blank.
    fn peek(&mut self) -> Option<u8> {
        let blanks = self.rest().iter().take_while(|byte| **byte == b' ').count();
        self.at += blanks;
        self.rest().first().copied()
    }

    /// Takes the next byte if it is this one.
    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    /// Takes these bytes if they come next.
    fn take_word(&mut self, word: &str) -> bool {
        self.peek();
        let is_next = self.rest().starts_with(word.as_bytes());
        if is_next {
            self.at += word.len();
        }
        is_next
    }

    /// Takes bytes as long as they are wanted.
    fn take_while(&mut self, is_wanted: impl Fn(u8) -> bool) -> &'t [u8] {
        let rest = self.rest();
        let length = rest.iter().take_while(|byte| is_wanted(**byte)).count();
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    fn unexpected(&self, position: usize, expected: Expected) -> PathError {
        // Whatever the position, it is a place between characters for who prints it.
        let position = (0..=position).rev().find(|at| self.text.is_char_boundary(*at)).unwrap_or(0);
        PathError::Unexpected { path: self.text.to_string(), position, expected }
    }

    // ---- steps ---------------------------------------------------------------------------

    /// Steps as long as there are any.
    fn steps(&mut self) -> Result<Vec<Selector>, PathError> {
        let mut steps = Vec::new();
        match self.peek() {
            Some(b'*') => {
                self.at += 1;
                steps.push(Selector::All);
            }
            Some(byte) if is_plain(byte) => steps.push(self.name()),
            _ => {}
        }
        loop {
            match self.peek() {
                Some(b'.') => {
                    self.at += 1;
                    self.dotted(&mut steps)?;
                }
                Some(b'[') => steps.push(self.bracket()?),
                _ => return Ok(steps),
            }
        }
    }

    /// What comes behind a dot.
    fn dotted(&mut self, steps: &mut Vec<Selector>) -> Result<(), PathError> {
        if self.rest().first() == Some(&b'.') {
            self.at += 1;
            steps.push(Selector::Descend);
        }
        let step = match self.peek() {
            Some(b'*') => {
                self.at += 1;
                Selector::All
            }
            Some(b'[') => self.bracket()?,
            Some(byte) if is_plain(byte) => self.name(),
            _ => return Err(self.unexpected(self.at, Expected::Name)),
        };
        steps.push(step);
        Ok(())
    }

    fn name(&mut self) -> Selector {
        Selector::Name(self.take_while(is_plain).into())
    }

    fn bracket(&mut self) -> Result<Selector, PathError> {
        let before = self.at;
        self.at += 1;
        let first = self.peek();
        let start = self.at;
        let (selector, unclosed) = match first {
            Some(b'?') => {
                self.at += 1;
                (self.filtered()?, None)
            }
            Some(b'*') => {
                self.at += 1;
                (Selector::All, Some(Expected::BracketAfterStar))
            }
            Some(b'"' | b'\'') => match self.names() {
                Some(selector) => (selector, Some(Expected::BracketAfterName)),
                None => return Err(self.unexpected(start, Expected::Bracket)),
            },
            Some(b':' | b'-' | b'0'..=b'9') => self.numbers(start)?,
            _ => return Err(self.unexpected(start, Expected::Bracket)),
        };
        if self.take(b']') {
            return Ok(selector);
        }
        Err(match (unclosed, &selector) {
            (Some(expected), _) => self.unexpected(start, expected),
            (None, Selector::Filter(_)) => self.unexpected(self.at, self.filter_end(&selector)),
            (None, _) if before == 1 => self.unexpected(before, Expected::Start),
            (None, _) => self.unexpected(before, Expected::Step),
        })
    }

    /// Quoted names; nothing if one of them does not end.
    fn names(&mut self) -> Option<Selector> {
        let first = self.quoted()?;
        let mut names = Vec::new();
        while self.peek() == Some(b',') {
            let comma = self.at;
            self.at += 1;
            self.peek();
            let Some(name) = self.quoted() else {
                self.at = comma;
                break;
            };
            names.push(name);
        }
        if names.is_empty() {
            return Some(Selector::Name(first));
        }
        names.insert(0, first);
        Some(Selector::Names(names))
    }

    /// A quoted string, in which a backslash precedes backslashes and such quotes.
    fn quoted(&mut self) -> Option<Text> {
        let quote = *self.rest().first().filter(|byte| matches!(byte, b'"' | b'\''))?;
        let body = self.rest().get(1..)?;
        let plain = body.iter().position(|byte| *byte == quote || *byte == b'\\')?;
        if body.get(plain) == Some(&quote) {
            self.at += plain + 2;
            return body.get(..plain).map(Text::from);
        }
        let mut unquoted = Vec::new();
        let mut bytes = body.iter().enumerate();
        while let Some((index, byte)) = bytes.next() {
            if *byte == quote {
                self.at += index + 2;
                return Some(unquoted[..].into());
            }
            let byte = if *byte == b'\\' {
                bytes
                    .next()
                    .map(|(_, next)| *next)
                    .filter(|next| *next == b'\\' || *next == quote)?
            } else {
                *byte
            };
            unquoted.push(byte);
        }
        None
    }

    /// Indices, or a slice; and what to say if no bracket closes it.
    fn numbers(&mut self, start: usize) -> Result<(Selector, Option<Expected>), PathError> {
        let first = match self.peek() {
            Some(b':') => None,
            _ => Some(self.number().ok_or_else(|| self.unexpected(start, Expected::Bracket))?),
        };
        if self.take(b':') {
            return Ok((Selector::Slice(self.slice(first)?), None));
        }
        let Some(first) = first else { return Err(self.unexpected(start, Expected::Bracket)) };
        let mut indices = Vec::new();
        while self.take(b',') {
            self.peek();
            indices.push(self.number().ok_or_else(|| self.unexpected(self.at, Expected::Number))?);
        }
        if indices.is_empty() {
            return Ok((Selector::Index(first), Some(Expected::BracketAfterNumber)));
        }
        indices.insert(0, first);
        Ok((Selector::Indices(indices), Some(Expected::BracketAfterNumber)))
    }

    /// What comes behind the first colon of a slice.
    fn slice(&mut self, start: Option<i64>) -> Result<Slice, PathError> {
        let end = match self.peek() {
            Some(b'-' | b'0'..=b'9') => {
                Some(self.number().ok_or_else(|| self.unexpected(self.at, Expected::Number))?)
            }
            Some(b':' | b']') => None,
            _ => return Err(self.unexpected(self.at, Expected::Number)),
        };
        let mut step = 1;
        if self.take(b':') {
            match self.peek() {
                Some(b'1'..=b'9') => {
                    step = self.number().and_then(|step| usize::try_from(step).ok()).unwrap_or(1);
                }
                Some(b']') => {}
                _ => return Err(self.unexpected(self.at, Expected::PositiveNumber)),
            }
        }
        Ok(Slice { start, end, step })
    }

    /// An integer; one that does not fit is the largest.
    fn number(&mut self) -> Option<i64> {
        let is_negative = self.rest().first() == Some(&b'-');
        let digits = self.rest().get(usize::from(is_negative)..).unwrap_or_default();
        let length = match digits.first()? {
            b'0' => 1,
            b'1'..=b'9' => digits.iter().take_while(|byte| byte.is_ascii_digit()).count(),
            _ => return None,
        };
        self.at += usize::from(is_negative) + length;
        let mut value = 0_i64;
        for digit in digits.get(..length)? {
            value = value.saturating_mul(10).saturating_add(i64::from(digit - b'0'));
        }
        Some(if is_negative { -value } else { value })
    }

    // ---- filters -------------------------------------------------------------------------

    fn filtered(&mut self) -> Result<Selector, PathError> {
        if self.filters == FILTERS_MAX {
            return Err(PathError::TooDeep);
        }
        self.filters += 1;
        let filter = self.filter()?;
        self.filters -= 1;
        Ok(Selector::Filter(Box::new(filter)))
    }

    /// Tests joined by `&&`, which binds closer, and `||`.
    fn filter(&mut self) -> Result<Filter, PathError> {
        let mut any = Vec::new();
        let mut all = alloc::vec![self.test()?];
        loop {
            if self.take_word("&&") {
                all.push(self.test()?);
            } else if self.take_word("||") {
                any.push(joined(core::mem::take(&mut all), Filter::All));
                all.push(self.test()?);
            } else {
                break;
            }
        }
        any.push(joined(all, Filter::All));
        Ok(joined(any, Filter::Any))
    }

    fn test(&mut self) -> Result<Filter, PathError> {
        if self.peek() != Some(b'(') {
            return self.comparison();
        }
        if self.parentheses == PARENTHESES_MAX {
            return Err(PathError::TooDeep);
        }
        self.at += 1;
        self.parentheses += 1;
        let filter = self.filter()?;
        self.parentheses -= 1;
        if !self.take(b')') {
            let expected = end_of(&filter);
            return Err(self.unexpected(self.at, expected));
        }
        // Nothing can be said of what stands within any more.
        Ok(Filter::All(alloc::vec![filter]))
    }

    fn comparison(&mut self) -> Result<Filter, PathError> {
        let Some(left) = self.term()? else {
            return Err(self.unexpected(self.at, Expected::Test));
        };
        let Some(operator) = self.operator() else { return Ok(Filter::Exists(left)) };
        let Some(right) = self.term()? else {
            return Err(self.unexpected(self.at, Expected::Term));
        };
        let pattern = self.numbered.patterns;
        self.numbered.patterns += usize::from(operator == Operator::Matches);
        Ok(Filter::Compare(Comparison { left, operator, right, pattern }))
    }

    fn operator(&mut self) -> Option<Operator> {
        const OPERATORS: [(&str, Operator); 7] = [
            (">=", Operator::NotBelow),
            (">", Operator::Above),
            ("<=", Operator::NotAbove),
            ("<", Operator::Below),
            ("==", Operator::Equal),
            ("!=", Operator::Different),
            ("=~", Operator::Matches),
        ];
        OPERATORS.iter().find(|(word, _)| self.take_word(word)).map(|(_, operator)| *operator)
    }

    fn term(&mut self) -> Result<Option<Term>, PathError> {
        let term = match self.peek() {
            Some(b'@') => {
                self.at += 1;
                Term::Current(self.steps()?)
            }
            Some(b'$') => {
                self.at += 1;
                let steps = self.steps()?;
                self.numbered.roots += 1;
                Term::Root(self.numbered.roots - 1, steps)
            }
            Some(b'"' | b'\'') => match self.quoted() {
                Some(text) => Term::Literal(Json::Text(text)),
                None => return Ok(None),
            },
            Some(b'-' | b'0'..=b'9') => match self.decimal() {
                Some(number) => Term::Literal(number),
                None => return Ok(None),
            },
            _ if self.take_word("true") => Term::Literal(Json::Bool(true)),
            _ if self.take_word("false") => Term::Literal(Json::Bool(false)),
            _ if self.take_word("null") => Term::Literal(Json::Null),
            _ => return Ok(None),
        };
        Ok(Some(term))
    }

    /// A number, perhaps with a fraction.
    fn decimal(&mut self) -> Option<Json> {
        let start = self.at;
        self.number()?;
        let fraction = self.rest().strip_prefix(b".").unwrap_or_default();
        let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits > 0 {
            self.at += 1 + digits;
        }
        let text = self.text.get(start..self.at)?;
        match text.parse() {
            Ok(integer) => Some(Json::Integer(integer)),
            Err(_) => text.parse().ok().filter(|value: &f64| value.is_finite()).map(Json::Double),
        }
    }

    fn filter_end(&self, selector: &Selector) -> Expected {
        if let Selector::Filter(filter) = selector { end_of(filter) } else { Expected::Relation }
    }
}

/// One filter as it is, several joined.
fn joined(mut filters: Vec<Filter>, join: fn(Vec<Filter>) -> Filter) -> Filter {
    match filters.pop() {
        Some(only) if filters.is_empty() => only,
        last => {
            filters.extend(last);
            join(filters)
        }
    }
}

/// What could come behind a filter: that depends on how its last test ends.
fn end_of(filter: &Filter) -> Expected {
    let (term, has_operator) = match filter {
        Filter::Exists(term) => (term, false),
        Filter::Compare(comparison) => (&comparison.right, true),
        Filter::All(filters) if filters.len() == 1 => return Expected::Relation,
        Filter::All(filters) | Filter::Any(filters) => {
            return filters.last().map_or(Expected::Relation, end_of);
        }
    };
    let steps = match term {
        Term::Literal(_) => None,
        Term::Current(steps) | Term::Root(_, steps) => Some(steps.is_empty()),
    };
    match (has_operator, steps) {
        (false, None) => Expected::Operator,
        (false, Some(true)) => Expected::OperatorOrStart,
        (false, Some(false)) => Expected::OperatorOrStep,
        (true, None) => Expected::Relation,
        (true, Some(true)) => Expected::RelationOrStart,
        (true, Some(false)) => Expected::RelationOrStep,
    }
}

/// Whether a byte can stand in a name without quotes.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_`~+#%$^/:".contains(&byte)
}
