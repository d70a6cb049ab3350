//! RDV.FIELDS, RDV.RESULT, RDV.RESULTS: what the participants measured, with checked fields.

use reef_sdk::{Answer, Call, Error, Query, Reply, Result};

use crate::key::{CORRUPT, Counted, Kind, Name, Run};
use crate::refusal;
use crate::round::{Lack, Round, Seconds, Verdict, hash_field, hash_length, on_run};

/// Fields of one result.
const FIELDS_MAX: usize = 128;

/// What a field may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Int,
    Float,
    Bool,
    Text,
}

impl Type {
    const WORDS: [(&'static str, Self); 4] =
        [("INT", Self::Int), ("FLOAT", Self::Float), ("BOOL", Self::Bool), ("TEXT", Self::Text)];

    fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, one)| *one == self).map_or("", |(word, _)| word)
    }

    fn of_word(word: &[u8]) -> Option<Self> {
        let found = Self::WORDS.iter().find(|(one, _)| one.as_bytes() == word);
        found.map(|(_, one)| *one)
    }

    /// The error is what it should be.
    fn check(self, value: &[u8]) -> Result<(), &'static str> {
        let text = std::str::from_utf8(value).map_err(|_| "it is not text")?;
        match self {
            Self::Int => text.parse::<i64>().map(drop).map_err(|_| "it is not an integer"),
            Self::Float => match text.parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(()),
                _ => Err("it is not a number"),
            },
            Self::Bool if matches!(text, "true" | "false") => Ok(()),
            Self::Bool => Err("it is neither true nor false"),
            Self::Text => Ok(()),
        }
    }
}

/// `RDV.FIELDS run name field INT|FLOAT|BOOL|TEXT [field INT|FLOAT|BOOL|TEXT ...]`
pub(crate) fn fields(call: &mut Call<'_>) -> Result<Answer> {
    let arguments = &mut call.arguments;
    let (run, name) = (arguments.parse::<Run<'_>>()?, arguments.parse::<Name<'_>>()?);
    let mut fields: Vec<(Name<'_>, Type)> = Vec::new();
    while !arguments.is_empty() {
        fields.push((arguments.parse()?, arguments.choice(&Type::WORDS)?));
    }
    if fields.is_empty() || fields.len() > FIELDS_MAX {
        return Err(Error::SYNTAX);
    }
    on_run(call, run, None, |round| {
        if hash_length(round.host, run.key(Kind::Fields, name.0))? == 0 {
            round.count()?;
        }
        round.amend("DEL", Kind::Fields, name.0);
        for (field, kind) in &fields {
            round.write("HSET", Kind::Fields, name.0).arg(field.0).arg(kind.word());
        }
        Ok(Verdict::Done(Answer::ok()))
    })
}

/// `RDV.RESULT run name by field value [field value ...]`
pub(crate) fn result(call: &mut Call<'_>) -> Result<Answer> {
    let arguments = &mut call.arguments;
    let (run, name) = (arguments.parse::<Run<'_>>()?, arguments.parse::<Name<'_>>()?);
    let by = arguments.parse::<Name<'_>>()?;
    let mut values: Vec<(&[u8], &[u8])> = Vec::new();
    while !arguments.is_empty() {
        values.push((arguments.parse::<Name<'_>>()?.0, arguments.value()?));
    }
    if values.is_empty() || values.len() > FIELDS_MAX {
        return Err(Error::SYNTAX);
    }
    on_run(call, run, None, |round| {
        check(round, name, &values)?;
        let encoded = encode(&values);
        round.check_value(&encoded)?;
        let key = run.key(Kind::Results, name.0);
        let mut count = hash_length(round.host, key)?;
        let is_new = hash_field(round.host, key, by)?.is_none();
        round.write("HSET", Kind::Results, name.0).arg(by.0).arg(encoded);
        if is_new {
            round.count()?;
            count += 1;
            round.reach(Counted::Results(name), count)?;
        }
        Ok(Verdict::Done(Answer::of(count)))
    })
}

/// Whether a result has the fields that were declared, if any were, and no others.
fn check(round: &mut Round<'_>, name: Name<'_>, values: &[(&[u8], &[u8])]) -> Result<()> {
    for (index, (field, _)) in values.iter().enumerate() {
        if values.iter().take(index).any(|(before, _)| before == field) {
            return Err(refusal::bad_field(field, "it is given twice"));
        }
    }
    let mut query = Query::new();
    query.command("HGETALL").arg(round.run.key(Kind::Fields, name.0));
    let view = round.host.read(&query)?;
    let mut cursor = view.cursor();
    let mut declared = Vec::new();
    for _ in 0..cursor.elements()? / 2 {
        let field = cursor.value::<&[u8]>()?;
        declared.push((field, Type::of_word(cursor.value()?).ok_or(CORRUPT)?));
    }
    if declared.is_empty() {
        return Ok(());
    }
    for (field, value) in values {
        let Some((_, kind)) = declared.iter().find(|(one, _)| one == field) else {
            return Err(refusal::bad_field(field, "it was not declared"));
        };
        kind.check(value).map_err(|reason| refusal::bad_field(field, reason))?;
    }
    let missing = declared.iter().find(|(one, _)| values.iter().all(|(field, _)| field != one));
    match missing {
        Some((field, _)) => Err(refusal::bad_field(field, "it is missing")),
        None => Ok(()),
    }
}

/// `RDV.RESULTS run name [COUNT n] [WAIT seconds]`
pub(crate) fn results(call: &mut Call<'_>) -> Result<Answer> {
    let arguments = &mut call.arguments;
    let (run, name) = (arguments.parse::<Run<'_>>()?, arguments.parse::<Name<'_>>()?);
    let (mut wanted, mut wait) = (None, None);
    while !arguments.is_empty() {
        if let Some(number) = arguments.option::<u64>("COUNT")? {
            wanted = Some(number);
        } else if let Some(seconds) = arguments.option::<Seconds>("WAIT")? {
            wait = Some(seconds);
        } else {
            return Err(Error::SYNTAX);
        }
    }
    let wanted = wanted.or(wait.map(|_| 1));
    let invoked_ms = call.host.invoked_ms();
    on_run(call, run, wait, |round| {
        let key = run.key(Kind::Results, name.0);
        if let Some(wanted) = wanted {
            round.check_number(wanted)?;
            let count = hash_length(round.host, key)?;
            if count < wanted {
                let waited_ms = round.now_ms.saturating_sub(invoked_ms);
                let numbers = (count, wanted);
                let error = refusal::too_few("NORESULTS", (run, name), waited_ms, numbers);
                return Ok(Lack::of_number(run, Counted::Results(name), wanted, error));
            }
        }
        let mut query = Query::new();
        query.command("HGETALL").arg(key);
        let view = round.host.read(&query)?;
        say(&view.cursor().bulks()?).map(Verdict::Done)
    })
}

/// Results by who reported them, each a map.
fn say(pairs: &[Option<&[u8]>]) -> Result<Answer> {
    let mut all = Vec::new();
    for pair in pairs.chunks_exact(2) {
        let [Some(by), Some(encoded)] = pair else { return Err(CORRUPT) };
        all.push((*by, decode(encoded).ok_or(CORRUPT)?));
    }
    all.sort_unstable();
    let mut reply = Reply::new();
    reply.array(all.len());
    for (by, values) in all {
        reply.array(2).bulk(by).pairs(values.len());
        for (field, value) in values {
            reply.bulk(field).bulk(value);
        }
    }
    Ok(reply.into())
}

/// Fields and values, each with its length in front.
fn encode(values: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for part in values.iter().flat_map(|(field, value)| [field, value]) {
        out.extend_from_slice(format!("{}:", part.len()).as_bytes());
        out.extend_from_slice(part);
    }
    out
}

fn decode(mut bytes: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let mut parts = Vec::new();
    while !bytes.is_empty() {
        let colon = bytes.iter().position(|byte| *byte == b':')?;
        let length: usize = std::str::from_utf8(bytes.get(..colon)?).ok()?.parse().ok()?;
        let (part, rest) = bytes.get(colon + 1..)?.split_at_checked(length)?;
        parts.push(part);
        bytes = rest;
    }
    Some(parts.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_reported_comes_back() {
        let values: [(&[u8], &[u8]); 2] = [(b"a", b"1:2"), (b"b:", b"")];
        assert_eq!(decode(&encode(&values)).as_deref(), Some(values.as_slice()));
        assert_eq!(decode(b"9:a"), None);
    }

    #[test]
    fn fields_hold_what_their_type_says() {
        let good =
            [(Type::Int, "-3"), (Type::Float, "1e-3"), (Type::Bool, "true"), (Type::Text, "")];
        let bad =
            [(Type::Int, "3.5"), (Type::Float, "NaN"), (Type::Bool, "yes"), (Type::Float, "")];
        for (kind, value) in good {
            assert_eq!(kind.check(value.as_bytes()), Ok(()), "{value}");
            assert_eq!(Type::of_word(kind.word().as_bytes()), Some(kind));
        }
        for (kind, value) in bad {
            assert!(kind.check(value.as_bytes()).is_err(), "{value}");
        }
        assert!(Type::Text.check(b"\xff").is_err());
    }
}
