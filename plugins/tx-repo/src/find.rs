//! `TX.GET` and `TX.BYNONCE`: one transaction.

use reef_sdk::{Answer, Call, Host, Query, Result};

use crate::input;
use crate::key::Keys;

/// `TX.GET`
pub(crate) fn get(call: &mut Call<'_>) -> Result<Answer> {
    let keys = Keys::of(call.host)?;
    let id = input::name(&mut call.arguments)?;
    call.arguments.end()?;
    keys.check_id(id)?;
    record(call.host, keys, id)
}

/// `TX.BYNONCE`
pub(crate) fn by_nonce(call: &mut Call<'_>) -> Result<Answer> {
    let keys = Keys::of(call.host)?;
    let relayer = input::name(&mut call.arguments)?;
    let nonce = call.arguments.u64()?;
    call.arguments.end()?;
    keys.check_relayer(relayer)?;
    let mut query = Query::new();
    query.get(keys.nonce(relayer, nonce));
    let view = call.host.read(&query)?;
    match view.cursor().bulk()? {
        Some(id) => record(call.host, keys, input::named(id)?),
        None => Ok(Answer::nil()),
    }
}

fn record(host: &mut dyn Host, keys: Keys, id: &str) -> Result<Answer> {
    let mut query = Query::new();
    query.get(keys.tx(id));
    let view = host.read(&query)?;
    Ok(view.cursor().bulk()?.map_or_else(Answer::nil, Answer::bulk))
}
