//! Expressions over the fields of a row: what APPLY computes and FILTER goes by.
//!
//! Reading is recursive descent with a bound on the depth and on the number of parts; computing
//! recurses no deeper than there are parts.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::functions::Function;
pub use super::value::Value;
use crate::types::number;

/// An expression.
#[derive(Clone, Debug)]
pub enum Expression {
    /// A value.
    Constant(Value),
    /// The field of this name.
    Field(Box<[u8]>),
    /// What is not true.
    Not(Box<Self>),
    /// Two of them.
    Pair(Operator, Box<[Self; 2]>),
    /// A function.
    Call(Function, Vec<Self>),
}

/// What joins two expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Power,
}

/// Where an expression finds fields.
pub trait Lookup {
    /// The value of a field, if there is one.
    fn find(&self, name: &[u8]) -> Option<Value>;
}

/// Why an expression has no value, as clients are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undefined(pub Cow<'static, str>);

impl Undefined {
    /// A text that is always the same.
    pub const fn text(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }

    fn missing(name: &[u8]) -> Self {
        let name = String::from_utf8_lossy(name);
        Self(Cow::Owned(alloc::format!(
            "{name}: has no value, consider using EXISTS if applicable"
        )))
    }
}

impl Expression {
    /// Reads an expression; otherwise says where and why that cannot be done.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let mut parser = Parser { text, at: 0, depth: 0, parts: 0 };
        let expression = parser.pair(0)?;
        parser.skip_blanks();
        if parser.at < text.len() { Err(parser.wrong()) } else { Ok(expression) }
    }

    /// Its value.
    pub fn value(&self, fields: &dyn Lookup) -> Result<Value, Undefined> {
        match self {
            Self::Constant(value) => Ok(value.clone()),
            Self::Field(name) => fields.find(name).ok_or_else(|| Undefined::missing(name)),
            Self::Not(inner) => Ok(Value::truth(!inner.value(fields)?.is_true())),
            Self::Pair(operator, sides) => pair_value(*operator, sides, fields),
            Self::Call(function, arguments) => {
                if function.asks_whether_there_is()
                    && let [Self::Field(name)] = arguments.as_slice()
                {
                    return Ok(Value::truth(fields.find(name).is_some_and(|v| v != Value::Null)));
                }
                if function.chooses()
                    && let [condition, yes, no] = arguments.as_slice()
                {
                    let is_true = condition.value(fields)?.is_true();
                    return if is_true { yes.value(fields) } else { no.value(fields) };
                }
                let values: Result<Vec<_>, _> = arguments
                    .iter()
                    .map(|argument| Ok(argument.value(fields)?.into_plain()))
                    .collect();
                function.value(&values?)
            }
        }
    }

    /// Shows the names of all fields that it mentions.
    pub fn each_field(&self, show: &mut dyn FnMut(&[u8])) {
        match self {
            Self::Constant(_) => {}
            Self::Field(name) => show(name),
            Self::Not(inner) => inner.each_field(show),
            Self::Pair(_, sides) => sides.iter().for_each(|side| side.each_field(show)),
            Self::Call(_, arguments) => arguments.iter().for_each(|one| one.each_field(show)),
        }
    }
}

fn pair_value(
    operator: Operator,
    [left, right]: &[Expression; 2],
    fields: &dyn Lookup,
) -> Result<Value, Undefined> {
    let left = left.value(fields)?.into_plain();
    match operator {
        Operator::Or if left.is_true() => return Ok(Value::truth(true)),
        Operator::And if !left.is_true() => return Ok(Value::truth(false)),
        _ => {}
    }
    let right = right.value(fields)?.into_plain();
    let order = || left.compare(&right);
    let is_ordering = matches!(
        operator,
        Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual
    );
    let truth = match operator {
        Operator::Or | Operator::And => right.is_true(),
        Operator::Equal => left.equals(&right),
        Operator::NotEqual => !left.equals(&right),
        _ if is_ordering && left.is_unlike(&right) => {
            return Err(Undefined::text("Error converting string"));
        }
        Operator::Less => order().is_lt(),
        Operator::LessOrEqual => order().is_le(),
        Operator::Greater => order().is_gt(),
        Operator::GreaterOrEqual => order().is_ge(),
        _ => return arithmetic(operator, &left, &right),
    };
    Ok(Value::truth(truth))
}

fn arithmetic(operator: Operator, left: &Value, right: &Value) -> Result<Value, Undefined> {
    const NO_NUMBER: Undefined = Undefined::text("Could not convert value to a number");
    let (Some(left), Some(right)) = (left.as_number(), right.as_number()) else {
        return Err(NO_NUMBER);
    };
    Ok(Value::Number(match operator {
        Operator::Add => left + right,
        Operator::Subtract => left - right,
        Operator::Multiply => left * right,
        Operator::Divide if right == 0.0 => f64::NAN,
        Operator::Divide => left / right,
        Operator::Remainder => {
            let whole = libm::trunc(right);
            if whole == 0.0 { f64::NAN } else { libm::trunc(left) % whole }
        }
        _ => libm::pow(left, right),
    }))
}

/// How deep expressions may be nested.
const DEPTH_MAX: usize = 64;
/// How many operators and values an expression may have: chains and parentheses together make it as
/// high as that.
const PARTS_MAX: usize = 512;

/// Operators by how loosely they bind, and within a row the longer ones first. As in RediSearch, those
/// of a row bind alike, from the left.
const LEVELS: [&[(&str, Operator)]; 4] = [
    &[("||", Operator::Or), ("&&", Operator::And)],
    &[
        ("==", Operator::Equal),
        ("!=", Operator::NotEqual),
        ("<=", Operator::LessOrEqual),
        (">=", Operator::GreaterOrEqual),
        ("<", Operator::Less),
        (">", Operator::Greater),
    ],
    &[("+", Operator::Add), ("-", Operator::Subtract)],
    &[
        ("*", Operator::Multiply),
        ("/", Operator::Divide),
        ("%", Operator::Remainder),
        ("^", Operator::Power),
    ],
];
/// What is denied is a comparison, not only its left side.
const LEVEL_OF_NOT: usize = 1;

struct Parser<'t> {
    text: &'t [u8],
    at: usize,
    depth: usize,
    parts: usize,
}

impl<'t> Parser<'t> {
    fn rest(&self) -> &'t [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip_blanks(&mut self) {
        self.at += self.rest().iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    }

    fn wrong(&self) -> String {
        let near = String::from_utf8_lossy(self.rest().get(..32).unwrap_or(self.rest()));
        alloc::format!("Syntax error at offset {} near '{near}'", self.at)
    }

    fn take(&mut self, symbol: &str) -> bool {
        self.skip_blanks();
        let found = self.rest().starts_with(symbol.as_bytes());
        if found {
            self.at += symbol.len();
        }
        found
    }

    fn expect(&mut self, symbol: &str) -> Result<(), String> {
        if self.take(symbol) { Ok(()) } else { Err(self.wrong()) }
    }

    /// Expressions joined by operators of this level or tighter ones.
    fn pair(&mut self, level: usize) -> Result<Expression, String> {
        let Some(operators) = LEVELS.get(level) else { return self.unary() };
        let mut left = self.pair(level + 1)?;
        while let Some((_, operator)) = operators.iter().find(|(symbol, _)| self.take(symbol)) {
            // What stands on the left is nested, too.
            self.count()?;
            let right = self.pair(level + 1)?;
            left = Expression::Pair(*operator, Box::new([left, right]));
        }
        Ok(left)
    }

    fn count(&mut self) -> Result<(), String> {
        self.parts += 1;
        if self.parts > PARTS_MAX {
            return Err(alloc::format!(
                "Expression is too large: it has more than {PARTS_MAX} parts"
            ));
        }
        Ok(())
    }

    fn unary(&mut self) -> Result<Expression, String> {
        self.count()?;
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.wrong());
        }
        let result = self.primary();
        self.depth -= 1;
        result
    }

    fn primary(&mut self) -> Result<Expression, String> {
        if self.take("!") {
            return Ok(Expression::Not(Box::new(self.pair(LEVEL_OF_NOT)?)));
        }
        if self.take("(") {
            let inner = self.pair(0)?;
            self.expect(")")?;
            return Ok(inner);
        }
        match self.rest().first() {
            Some(b'@') => self.field(),
            Some(quote @ (b'\'' | b'"')) => self.quoted(*quote),
            Some(b'-' | b'+' | b'.' | b'0'..=b'9') => self.number(),
            Some(letter) if letter.is_ascii_alphabetic() => self.named(),
            _ => Err(self.wrong()),
        }
    }

    fn name(&mut self) -> &'t [u8] {
        let is_letter =
            |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'_' || **byte >= 128;
        let len = self.rest().iter().take_while(is_letter).count();
        let name = self.rest().get(..len).unwrap_or_default();
        self.at += len;
        name
    }

    fn field(&mut self) -> Result<Expression, String> {
        self.at += 1;
        let mut name = Vec::new();
        loop {
            name.extend_from_slice(self.name());
            match self.rest() {
                [b'\\', escaped, ..] => {
                    name.push(*escaped);
                    self.at += 2;
                }
                _ => break,
            }
        }
        if name.is_empty() { Err(self.wrong()) } else { Ok(Expression::Field(name.into())) }
    }

    fn quoted(&mut self, quote: u8) -> Result<Expression, String> {
        self.at += 1;
        let mut text = Vec::new();
        loop {
            match self.rest() {
                [] => return Err(self.wrong()),
                [b'\\', escaped, ..] => {
                    text.push(*escaped);
                    self.at += 2;
                }
                [byte, ..] => {
                    self.at += 1;
                    if *byte == quote {
                        return Ok(Expression::Constant(Value::Text(text.into())));
                    }
                    text.push(*byte);
                }
            }
        }
    }

    fn number(&mut self) -> Result<Expression, String> {
        let rest = self.rest();
        let mut len = usize::from(matches!(rest.first(), Some(b'-' | b'+')));
        while let Some(byte) = rest.get(len) {
            let is_exponent_sign = matches!(byte, b'-' | b'+')
                && matches!(rest.get(len.wrapping_sub(1)), Some(b'e' | b'E'));
            if !byte.is_ascii_digit() && !matches!(byte, b'.' | b'e' | b'E') && !is_exponent_sign {
                break;
            }
            len += 1;
        }
        let digits = rest.get(..len).unwrap_or_default();
        let digits = digits.strip_prefix(b"+").unwrap_or(digits);
        let Some(value) = number::parse_f64(digits) else {
            // A sign in front of something else.
            if rest.first() == Some(&b'-') {
                self.at += 1;
                let minus = Expression::Constant(Value::Number(-1.0));
                let inner = self.unary()?;
                return Ok(Expression::Pair(Operator::Multiply, Box::new([minus, inner])));
            }
            return Err(self.wrong());
        };
        self.at += len;
        Ok(Expression::Constant(Value::Number(value)))
    }

    /// A function, or a word that stands for a value.
    fn named(&mut self) -> Result<Expression, String> {
        let from = self.at;
        let name = self.name();
        if !self.take("(") {
            let constant = match name.to_ascii_lowercase().as_slice() {
                b"null" => Value::Null,
                b"true" => Value::truth(true),
                b"false" => Value::truth(false),
                b"inf" => Value::Number(f64::INFINITY),
                _ => {
                    self.at = from;
                    return Err(self.wrong());
                }
            };
            return Ok(Expression::Constant(constant));
        }
        let Some(function) = Function::of_name(name) else {
            let name = String::from_utf8_lossy(name);
            return Err(alloc::format!("Unknown function name '{name}'"));
        };
        let mut arguments = Vec::new();
        if !self.take(")") {
            loop {
                arguments.push(self.pair(0)?);
                if !self.take(",") {
                    self.expect(")")?;
                    break;
                }
            }
        }
        if !function.accepts(arguments.len()) {
            return Err(function.refusal());
        }
        Ok(Expression::Call(function, arguments))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Row;

    impl Lookup for Row {
        fn find(&self, name: &[u8]) -> Option<Value> {
            match name {
                b"age" => Some(Value::text(b"19")),
                b"name" => Some(Value::text(b"foo")),
                _ => None,
            }
        }
    }

    fn value(text: &str) -> Value {
        let expression = Expression::parse(text.as_bytes()).expect("an expression");
        expression.value(&Row).unwrap_or_default()
    }

    #[test]
    fn operators_bind_as_usual() {
        assert_eq!(value("1 + 2 * 3"), Value::Number(7.0));
        assert_eq!(value("(1 + 2) * 3 - -4"), Value::Number(13.0));
        assert_eq!(value("2 ^ 3 % 5"), Value::Number(3.0));
        assert_eq!(value("2 * 3 ^ 2"), Value::Number(36.0));
        assert_eq!(value("1 || 0 && 0"), Value::truth(false));
        assert_eq!(value("!1 == 2"), Value::truth(true));
        assert_eq!(value("!(@age >= 19) || exists(@missing)"), Value::truth(false));
        assert_eq!(value("exists(@age)"), Value::truth(true));
        assert_eq!(value("@name=='foo' && @age < 20"), Value::truth(true));
        assert_eq!(value("@name + 1"), Value::Null);
        assert_eq!(value("upper(@name)"), Value::text(b"FOO"));
        assert_eq!(value("-@age"), Value::Number(-19.0));
    }

    #[test]
    fn what_has_no_value_says_why() {
        let why = |text: &str| {
            let expression = Expression::parse(text.as_bytes()).expect("an expression");
            expression.value(&Row).expect_err("no value").0
        };
        let missing = "missing: has no value, consider using EXISTS if applicable";
        assert_eq!(why("@missing"), missing);
        assert_eq!(why("!@missing"), missing);
        assert_eq!(why("exists(@missing + 1)"), missing);
        assert_eq!(why("@name + 1"), "Could not convert value to a number");
        assert_eq!(why("@name < 1"), "Error converting string");
    }

    #[test]
    fn what_is_wrong_or_too_deep_is_refused() {
        let deep = "(".repeat(100_000);
        let long = "1+".repeat(100_000) + "1";
        let mut nested = String::from("1");
        for _ in 0..60 {
            nested = alloc::format!("({nested}{})", "+1".repeat(60));
        }
        for text in ["", "1 +", "@", "foo(1)", "'abc", "1 2", "upper(1,2)", &deep, &long, &nested] {
            assert!(Expression::parse(text.as_bytes()).is_err(), "{text:.20}");
        }
    }
}
