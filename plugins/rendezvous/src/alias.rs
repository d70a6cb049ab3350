//! RDV.ALIAS: plain keys that stand for one another, so that programs meet which use different ones.
//!
//! An alias is a group of keys, each in the form of those who *read* it: a LIST (`BLPOP`, `LPOP`,
//! `LRANGE`) or a STRING (`GET`). Programs know nothing of it: whatever they do to one of the keys with
//! plain commands is a moment later true of all of them, by the plugin's trigger.
//!
//! What exactly is true:
//! - what is added to one key (`RPUSH`, `SET`) is added to all, in each one's form: a STRING shows the
//!   last one. So a `SET` on a LIST key becomes an element that `BLPOP` gets, instead of WRONGTYPE;
//! - what is taken from one (`BLPOP`, `LPOP`, `DEL`, expiry) is taken from all;
//! - the original is never delayed: whoever waits for the very key that is written is served by that
//!   write. Copies follow after the event, usually within a millisecond;
//! - so within that moment two takers of two names may both get one element. Nothing is lost: an
//!   element goes from the group only when somebody took it or removed it;
//! - a program that writes a key in one form while it stands in the other still gets WRONGTYPE from
//!   its own command: `RPUSH` on a STRING key that has a value.
//!
//! Which keys may have aliases the operator says, in the configuration value `alias`: globs with
//! blanks between. Only of those is the plugin told. On a cluster the keys must share a slot.

use reef_sdk::{
    Answer, Attempt, Batch, Call, Error, Event, Host, Outcome, Query, Result, transact,
};

use crate::key::{CORRUPT, Name};
use crate::refusal;
use crate::round::Seconds;

/// Elements of a group.
const ITEMS_MAX: usize = 1_000;
/// Keys of a group.
const KEYS_MAX: usize = 16;
/// How soon it is looked again whether a copy was taken at once, in milliseconds.
const CHECK_MS: u64 = 1;
/// The key that expires then.
const CHECK: &str = "rdv:alias:check:";

/// In which form a key is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    List,
    Text,
}

const FORMS: [(&str, Form); 2] = [("LIST", Form::List), ("STRING", Form::Text)];

/// What a key holds.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    Nothing,
    List(Vec<Vec<u8>>),
    Text(Vec<u8>),
}

fn of_key(key: &[u8]) -> Vec<u8> {
    [b"rdv:alias:of:", key].concat()
}

fn members_of(group: &[u8]) -> Vec<u8> {
    [b"rdv:alias:members:", group].concat()
}

fn items_of(group: &[u8]) -> Vec<u8> {
    [b"rdv:alias:items:", group].concat()
}

/// `RDV.ALIAS name [TTL seconds] LIST|STRING key [LIST|STRING key ...]`
pub(crate) fn alias(call: &mut Call<'_>) -> Result<Answer> {
    let arguments = &mut call.arguments;
    let Name(group) = arguments.parse()?;
    let ttl = arguments.option::<Seconds>("TTL")?.map(Seconds::lasting).transpose()?;
    let mut members: Vec<(Form, &[u8])> = Vec::new();
    while !arguments.is_empty() {
        let form = arguments.choice(&FORMS)?;
        let Name(key) = arguments.parse()?;
        if members.iter().any(|(_, before)| *before == key) {
            return Err(refusal::bad_alias(key, "it is given twice"));
        }
        members.push((form, key));
    }
    if members.is_empty() || members.len() > KEYS_MAX {
        return Err(Error::SYNTAX);
    }
    let patterns = call.host.config("alias").unwrap_or_default();
    for (_, key) in &members {
        let is_heard_of = patterns.split_whitespace().any(|one| glob(one.as_bytes(), key));
        if !is_heard_of {
            let reason = "not among the configured keys: CONFIG alias 'pattern ...' when loading";
            return Err(refusal::bad_alias(key, reason));
        }
    }
    let end_ms = ttl.map(|ttl_ms| call.host.now_ms() + ttl_ms);
    dissolve(call.host, group)?;
    transact(call.host, |host| bind(host, group, &members, end_ms))?;
    transact(call.host, |host| {
        let batch = align(host, group)?;
        if batch.is_empty() {
            return Ok(Attempt::Done(()));
        }
        host.apply(&batch).map(attempt).map_err(Into::into)
    })?;
    Ok(Answer::ok())
}

/// Writes down which keys make up a group.
fn bind(
    host: &mut dyn Host,
    group: &[u8],
    members: &[(Form, &[u8])],
    end_ms: Option<u64>,
) -> Result<Attempt<()>> {
    let mut query = Query::new();
    for (_, key) in members {
        query.get(of_key(key)).watch(of_key(key));
    }
    let view = host.read(&query)?;
    let mut cursor = view.cursor();
    let mut batch = Batch::new();
    for (index, (form, key)) in members.iter().enumerate() {
        if cursor.bulk()?.is_some() {
            return Err(refusal::bad_alias(key, "it belongs to another alias"));
        }
        let word = FORMS.iter().find(|(_, one)| one == form).map_or("", |(word, _)| word);
        batch.guard(of_key(key), view.version(index));
        batch.set(of_key(key), group);
        batch.command("HSET").arg(members_of(group)).arg(key).arg(word);
    }
    if let Some(end_ms) = end_ms {
        let own = members.iter().map(|(_, key)| of_key(key));
        for key in own.chain([members_of(group)]) {
            batch.command("PEXPIREAT").arg(key).arg(end_ms);
        }
    }
    host.apply(&batch).map(attempt).map_err(Into::into)
}

fn attempt(outcome: Outcome) -> Attempt<()> {
    match outcome {
        Outcome::Applied(_) => Attempt::Done(()),
        Outcome::Stale(_) => Attempt::Stale,
    }
}

/// `RDV.UNALIAS name`
pub(crate) fn unalias(call: &mut Call<'_>) -> Result<Answer> {
    let Name(group) = call.arguments.parse()?;
    call.arguments.end()?;
    dissolve(call.host, group).map(|keys| Answer::integer(i64::from(keys > 0)))
}

/// Ends a group; how many keys it had. What they hold they keep.
fn dissolve(host: &mut dyn Host, group: &[u8]) -> Result<usize> {
    let members = members(host, group)?;
    let mut batch = Batch::new();
    let own = members.iter().map(|(_, key)| of_key(key));
    batch.run("DEL", own.chain([members_of(group), items_of(group)]));
    host.apply(&batch)?.applied()?;
    Ok(members.len())
}

fn members(host: &mut dyn Host, group: &[u8]) -> Result<Vec<(Form, Vec<u8>)>> {
    let mut query = Query::new();
    query.command("HGETALL").arg(members_of(group));
    let view = host.read(&query)?;
    let mut cursor = view.cursor();
    let mut members = Vec::new();
    for _ in 0..cursor.elements()? / 2 {
        let key = cursor.value::<&[u8]>()?.to_vec();
        let form = match cursor.value::<&[u8]>()? {
            b"LIST" => Form::List,
            b"STRING" => Form::Text,
            _ => return Err(CORRUPT),
        };
        members.push((form, key));
    }
    members.sort_unstable_by(|one, other| one.1.cmp(&other.1));
    Ok(members)
}

/// Something happened to a key that may belong to a group, or a group is to be looked at again.
pub(crate) fn react(host: &mut dyn Host, event: &Event<'_>) -> Result<Batch> {
    if let Some(group) = event.key.strip_prefix(CHECK.as_bytes()) {
        return align(host, group);
    }
    let mut query = Query::new();
    query.get(of_key(event.key));
    let view = host.read(&query)?;
    match view.cursor().bulk()? {
        Some(group) => align(host, group),
        None => Ok(Batch::new()),
    }
}

/// A group as it was found: what its keys hold, and what they held when all agreed.
struct Group {
    members: Vec<(Form, Vec<u8>)>,
    contents: Vec<(Form, Content)>,
    items: Vec<Vec<u8>>,
    /// Of the keys in order, the items, and the members.
    versions: Vec<u64>,
    /// When it ends, in milliseconds since 1970, if it does.
    end_ms: Option<u64>,
}

impl Group {
    fn read(host: &mut dyn Host, group: &[u8]) -> Result<Self> {
        let members = members(host, group)?;
        let mut query = Query::new();
        for (_, key) in &members {
            query.command("TYPE").arg(key);
            query.watch(key);
        }
        query.command("LRANGE").arg(items_of(group)).arg("0").arg("-1");
        query.command("PTTL").arg(members_of(group));
        query.watch(items_of(group)).watch(members_of(group));
        let types = host.read(&query)?;
        let mut cursor = types.cursor();
        let mut query = Query::new();
        let mut kinds = Vec::new();
        for (_, key) in &members {
            let kind = cursor.value::<&[u8]>()?;
            if kind == b"list" {
                query.command("LRANGE").arg(key).arg("0").arg(ITEMS_MAX);
            } else if kind == b"string" {
                query.get(key);
            }
            kinds.push(kind);
        }
        let items: Vec<Vec<u8>> = cursor.value()?;
        let left_ms = u64::try_from(cursor.value::<i64>()?).ok();
        let end_ms = left_ms.map(|left_ms| host.now_ms() + left_ms);
        let view = host.read(&query)?;
        let mut cursor = view.cursor();
        let mut contents = Vec::new();
        for ((form, _), kind) in members.iter().zip(kinds) {
            let content = match kind {
                b"list" => Content::List(cursor.value()?),
                b"string" => Content::Text(cursor.value()?),
                // What is neither is nobody's address.
                _ => Content::Nothing,
            };
            contents.push((*form, content));
        }
        let versions = (0..members.len() + 2).map(|index| types.version(index)).collect();
        Ok(Self { members, contents, items, versions, end_ms })
    }

    /// Demands that nothing has changed since.
    fn guard(&self, batch: &mut Batch, group: &[u8]) {
        let keys = self.members.iter().map(|(_, key)| key.clone());
        let keys = keys.chain([items_of(group), members_of(group)]);
        for (key, version) in keys.zip(&self.versions) {
            batch.guard(key, *version);
        }
    }
}

/// Makes all keys of a group say what has happened to any of them.
fn align(host: &mut dyn Host, group: &[u8]) -> Result<Batch> {
    let found = Group::read(host, group)?;
    let merged = merge(&found.items, &found.contents);
    if merged.len() > ITEMS_MAX {
        return Err(refusal::bad_alias(group, "its keys hold too much"));
    }
    let mut batch = Batch::new();
    let mut has_added = false;
    for ((_, key), (form, content)) in found.members.iter().zip(&found.contents) {
        let wanted = in_form(*form, &merged);
        if wanted != *content {
            change(&mut batch, key, content, &wanted);
            has_added |= wanted != Content::Nothing;
        }
    }
    if merged != found.items {
        batch.del(items_of(group));
        if !merged.is_empty() {
            batch.command("RPUSH").arg(items_of(group)).args(&merged);
            if let Some(end_ms) = found.end_ms {
                batch.command("PEXPIREAT").arg(items_of(group)).arg(end_ms);
            }
        }
    }
    if !batch.is_empty() {
        found.guard(&mut batch, group);
    }
    if has_added {
        // Whoever waits for a copy takes it at once, and of that nobody tells.
        let check = [CHECK.as_bytes(), group].concat();
        batch.command("SET").arg(check).arg("1").arg("PX").arg(CHECK_MS);
    }
    Ok(batch)
}

/// Makes a key hold something else. What only grows is only added to: who waits for it gets the new.
fn change(batch: &mut Batch, key: &[u8], content: &Content, wanted: &Content) {
    let there = match content {
        Content::List(there) => there.as_slice(),
        _ => &[],
    };
    match wanted {
        Content::Text(text) => {
            batch.set(key, text);
        }
        Content::List(all) => {
            let more = all.strip_prefix(there).filter(|_| !there.is_empty());
            if more.is_none() {
                batch.del(key);
            }
            batch.command("RPUSH").arg(key).args(more.unwrap_or(all));
        }
        Content::Nothing => {
            batch.del(key);
        }
    }
}

/// What a key in this form holds if the group has these.
fn in_form(form: Form, items: &[Vec<u8>]) -> Content {
    match (form, items.last()) {
        (_, None) => Content::Nothing,
        (Form::Text, Some(last)) => Content::Text(last.clone()),
        (Form::List, Some(_)) => Content::List(items.to_vec()),
    }
}

/// What the group has after what happened to its keys since it had `items`.
fn merge(items: &[Vec<u8>], contents: &[(Form, Content)]) -> Vec<Vec<u8>> {
    let mut merged = items.to_vec();
    for (form, content) in contents {
        let before: Vec<Vec<u8>> = match in_form(*form, items) {
            Content::Nothing => Vec::new(),
            Content::Text(text) => vec![text],
            Content::List(all) => all,
        };
        let after: Vec<Vec<u8>> = match content {
            Content::Nothing => Vec::new(),
            Content::Text(text) => vec![text.clone()],
            Content::List(all) => all.clone(),
        };
        for lost in without(&before, &after) {
            if let Some(index) = merged.iter().position(|item| *item == lost) {
                merged.remove(index);
            }
        }
        merged.extend(without(&after, &before));
    }
    merged
}

/// The elements of one list that another has not, or not so often.
fn without(list: &[Vec<u8>], other: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut other = other.to_vec();
    let mut rest = Vec::new();
    for item in list {
        match other.iter().position(|one| one == item) {
            Some(index) => drop(other.swap_remove(index)),
            None => rest.push(item.clone()),
        }
    }
    rest
}

/// Whether a text is matched by a glob of `*` and `?`.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut from) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while from < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[from] => {
                at += 1;
                from += 1;
            }
            _ => match star {
                Some((back, begin)) => {
                    at = back + 1;
                    from = begin + 1;
                    star = Some((back, begin + 1));
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(items: &[&str]) -> Vec<Vec<u8>> {
        items.iter().map(|item| item.as_bytes().to_vec()).collect()
    }

    #[test]
    fn what_happened_to_one_key_happens_to_the_group() {
        let full = |items: &[&str]| (Form::List, Content::List(list(items)));
        let text = |item: &str| (Form::Text, Content::Text(item.into()));
        let nothing = |form| (form, Content::Nothing);
        // Pushed to one, to both at once, taken from one, set on a list, removed.
        assert_eq!(merge(&[], &[full(&["a"]), nothing(Form::List)]), list(&["a"]));
        assert_eq!(merge(&[], &[full(&["a"]), full(&["b"])]), list(&["a", "b"]));
        let both = list(&["a", "b"]);
        assert_eq!(merge(&both, &[full(&["b"]), full(&["a", "b"])]), list(&["b"]));
        assert_eq!(merge(&both, &[full(&["a", "b"]), text("b")]), both);
        assert_eq!(merge(&both, &[full(&["a", "b"]), text("c")]), list(&["a", "c"]));
        assert_eq!(merge(&both, &[(Form::List, Content::Text(b"c".to_vec()))]), list(&["c"]));
        assert_eq!(merge(&both, &[nothing(Form::List), full(&["a", "b"])]), list(&[]));
        // The same element twice is two elements.
        assert_eq!(merge(&list(&["a"]), &[full(&["a", "a"])]), list(&["a", "a"]));
    }

    #[test]
    fn globs_match_as_keys_do() {
        for (pattern, text, matches) in [
            ("listenerAddr", "listenerAddr", true),
            ("listenerAddr", "listenerAddr2", false),
            ("*_listener_multiaddr", "ab12_listener_multiaddr", true),
            ("*_listener_multiaddr", "listener_multiaddr", false),
            ("a*b?c*", "axxbbyc", true),
            ("*", "", true),
            ("?", "", false),
        ] {
            assert_eq!(glob(pattern.as_bytes(), text.as_bytes()), matches, "{pattern} {text}");
        }
    }
}
