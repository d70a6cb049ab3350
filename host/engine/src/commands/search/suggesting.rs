//! FT.SUG*: suggestions for what somebody begins to type. They are values of keys and have nothing to
//! do with indexes.

use reef_resp::Writer;

use crate::args::Args;
use crate::error::Error;
use crate::step::Cx;
use crate::types::number;
use crate::types::suggestions::{Suggestion, Suggestions, Wanted};

/// `key text score [INCR] [PAYLOAD payload]`.
pub(super) fn add(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, text, score) = (args.bytes()?, args.bytes()?, args.bytes()?);
    let (mut is_increment, mut payload) = (false, None);
    while !args.is_done() {
        match args.one_of(&["INCR", "PAYLOAD"]) {
            Some(0) => is_increment = true,
            Some(_) => payload = Some(args.maybe().ok_or(Error::NO_PAYLOAD)?),
            None => {
                let word = args.bytes()?;
                args.skip_rest();
                return Err(Error::unknown_word(word));
            }
        }
    }
    let score = number::parse_f64(score).filter(|score| !score.is_nan());
    let score = score.ok_or(Error::BAD_SUGGESTION_SCORE)? as f32;
    if !Suggestions::is_fit(text) {
        // Nothing is kept, and nobody is told so.
        let len = cx.keys.collection::<Suggestions>(key)?.map_or(0, Suggestions::len);
        cx.reply.integer(len as i64);
        return Ok(());
    }
    let payload = payload.filter(|payload| !payload.is_empty());
    let len = cx.keys.edit_or_create::<Suggestions, _>(key, "sugadd", |suggestions| {
        let before = suggestions.get(text);
        let old = before.map_or(0.0, |before| before.score);
        let kept = before.and_then(|before| before.payload.clone());
        let sum = if is_increment { old + score } else { score };
        // Infinities that cancel each other out leave no number.
        let score = if sum.is_nan() { old } else { sum };
        suggestions.put(text, Suggestion { score, payload: payload.map(Into::into).or(kept) });
        Ok(suggestions.len())
    })?;
    cx.reply.integer(len as i64);
    Ok(())
}

pub(super) fn delete(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, text) = (args.bytes()?, args.bytes()?);
    let taken =
        cx.keys.edit::<Suggestions, _>(key, "sugdel", |suggestions| Ok(suggestions.take(text)))?;
    cx.reply.integer(i64::from(taken.unwrap_or(false)));
    Ok(())
}

pub(super) fn length(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let len = cx.keys.collection::<Suggestions>(args.bytes()?)?.map_or(0, Suggestions::len);
    cx.reply.integer(len as i64);
    Ok(())
}

/// `key typed [FUZZY] [MAX count] [WITHSCORES] [TRIM] [WITHPAYLOADS]`.
pub(super) fn get(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    /// Longest beginning, in bytes.
    const TYPED_BYTES_MAX: usize = 199;
    const WORDS: [&str; 6] = ["FUZZY", "MAX", "WITHSCORES", "OPTIMIZE", "TRIM", "WITHPAYLOADS"];
    let (key, typed) = (args.bytes()?, args.bytes()?);
    if typed.len() > TYPED_BYTES_MAX {
        args.skip_rest();
        return Err(Error::BEGINNING_TOO_LONG);
    }
    let mut wanted = Wanted { is_fuzzy: false, count: 5, is_trimmed: false };
    let (mut with_scores, mut with_payloads) = (false, false);
    while !args.is_done() {
        match args.one_of(&WORDS) {
            Some(0) => wanted.is_fuzzy = true,
            Some(1) => {
                let count = args.maybe().and_then(number::parse_i64);
                let count = count.filter(|count| (1..=i64::from(u32::MAX)).contains(count));
                wanted.count = count.ok_or_else(|| Error::bad_arguments("MAX"))? as usize;
            }
            Some(2) => with_scores = true,
            Some(3) => {}
            Some(4) => wanted.is_trimmed = true,
            Some(_) => with_payloads = true,
            None => {
                let word = args.bytes()?;
                args.skip_rest();
                return Err(Error::unrecognized_word(word));
            }
        }
    }
    let Some(suggestions) = cx.keys.collection::<Suggestions>(key)? else {
        cx.reply.nil();
        return Ok(());
    };
    let found = suggestions.find(typed, wanted).ok_or(Error::BEGINNING_TOO_LONG)?;
    cx.reply.array(found.len() * (1 + usize::from(with_scores) + usize::from(with_payloads)));
    for one in &found {
        cx.reply.bulk(&one.text);
        if with_scores {
            say_score(cx.reply, one.score.into());
        }
        if with_payloads {
            match &one.entry.payload {
                Some(payload) => cx.reply.bulk(payload),
                None => cx.reply.nil(),
            }
        }
    }
    Ok(())
}

fn say_score(reply: &mut Writer, score: f64) {
    let mut text = alloc::vec::Vec::new();
    number::write_f64_shortest(&mut text, score);
    reply.double(score, &text);
}
