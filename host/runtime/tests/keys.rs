//! A backend of a few commands over a map: enough to see what plugins do to data.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;
use reef_engine::backend::{
    Backend, Batch, Caller, CommandColumns, Items, OnError, Outcome, StepError,
};
use reef_engine::command::Command;
use reef_engine::grants::Grants;
use reef_resp::Writer;

type Map = BTreeMap<Vec<u8>, (Vec<u8>, u64)>;

/// Keys with versions, and the plugins' command table.
#[derive(Default)]
pub(crate) struct Keys {
    map: Mutex<Map>,
    table: Mutex<Vec<Arc<Command>>>,
    next_version: AtomicU64,
    now_ms: AtomicU64,
    /// Steps so far, and what is done at the beginning of each.
    steps: AtomicU64,
    at_step: Mutex<Option<Box<AtStep>>>,
}

type AtStep = dyn Fn(u64) + Send;

impl Keys {
    pub(crate) fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.map.lock().get(key.as_bytes()).map(|(value, _)| value.clone())
    }

    /// The entry of a plugin's command.
    pub(crate) fn command(&self, name: &str) -> Option<Arc<Command>> {
        self.table.lock().iter().find(|command| command.name == name).cloned()
    }

    /// Has `done` with the number of each step that begins, from 1 on, while a guest waits for it.
    pub(crate) fn at_each_step(&self, done: impl Fn(u64) + Send + 'static) {
        self.steps.store(0, Relaxed);
        *self.at_step.lock() = Some(Box::new(done));
    }

    /// Steps since [`at_each_step`](Self::at_each_step).
    pub(crate) fn steps(&self) -> u64 {
        self.steps.load(Relaxed)
    }

    fn begin_step(&self) {
        let number = self.steps.fetch_add(1, Relaxed) + 1;
        if let Some(done) = &*self.at_step.lock() {
            done(number);
        }
    }

    fn run(&self, map: &mut Map, argv: &[&[u8]], reply: &mut Writer) -> Result<(), String> {
        match argv {
            [b"SET", key, value] => {
                let version = self.next_version.fetch_add(1, Relaxed) + 1;
                map.insert(key.to_vec(), (value.to_vec(), version));
                reply.ok();
            }
            [b"GET", key] => match map.get(*key) {
                Some((value, _)) => reply.bulk(value),
                None => reply.nil(),
            },
            // A list is its elements, each with a comma behind it.
            [b"RPUSH", key, value] => {
                let (list, version) = map.entry(key.to_vec()).or_default();
                list.extend_from_slice(value);
                list.push(b',');
                *version = self.next_version.fetch_add(1, Relaxed) + 1;
                reply.integer(list.iter().filter(|byte| **byte == b',').count() as i64);
            }
            [b"LLEN", key] => {
                let list = map.get(*key).map_or(&[][..], |(list, _)| list);
                reply.integer(list.iter().filter(|byte| **byte == b',').count() as i64);
            }
            [b"INCR", ..] => return Err("ERR value is not an integer or out of range".into()),
            _ => return Err("ERR unknown command".into()),
        }
        Ok(())
    }
}

/// The commands of columns; an error when they do not add up.
fn split<'a>(columns: CommandColumns<'a>) -> Result<Vec<Vec<&'a [u8]>>, StepError> {
    let forged = || StepError::Other("ERR columns do not add up".into());
    let count: u64 = columns.counts.iter().map(|count| u64::from(*count)).sum();
    if count != columns.lengths.len() as u64 {
        return Err(forged());
    }
    let mut items =
        Items { lengths: columns.lengths, data: columns.data }.iter().ok_or_else(forged)?;
    Ok(columns.counts.iter().map(|count| items.by_ref().take(*count as usize).collect()).collect())
}

fn allowed(grants: &Grants, argv: &[&[u8]]) -> Result<(), StepError> {
    let name = argv.first().copied().unwrap_or_default();
    let native = Command::natives().find(|(_, command)| command.name.as_bytes() == name);
    let granted = native.is_some_and(|(id, _)| grants.allow_command(id));
    if granted && argv.get(1).is_none_or(|key| grants.allow_key(key)) {
        return Ok(());
    }
    Err(StepError::AccessDenied(String::from_utf8_lossy(name).into_owned()))
}

impl Backend for Keys {
    fn read(
        &self,
        _caller: &Caller,
        grants: &Grants,
        commands: CommandColumns<'_>,
        watch: Items<'_>,
        replies: &mut Writer,
        versions: &mut Vec<u64>,
    ) -> Result<(), StepError> {
        self.begin_step();
        let mut map = self.map.lock();
        for argv in split(commands)? {
            allowed(grants, &argv)?;
            self.run(&mut map, &argv, replies)
                .map_err(|text| StepError::InvalidCommand(0, text))?;
        }
        let watch = watch.iter().ok_or(StepError::Other("ERR watch does not add up".into()))?;
        versions.extend(watch.map(|key| map.get(key).map_or(0, |(_, version)| *version)));
        Ok(())
    }

    fn apply(
        &self,
        _caller: &Caller,
        grants: &Grants,
        batch: &Batch<'_>,
        replies: &mut Writer,
    ) -> Result<Outcome, StepError> {
        self.begin_step();
        let mut map = self.map.lock();
        let forged = || StepError::Other("ERR guards do not add up".into());
        let keys = batch.guards.keys.iter().ok_or_else(forged)?;
        if batch.guards.versions.len() != batch.guards.keys.lengths.len() {
            return Err(forged());
        }
        let holds = |(key, version): (&[u8], &u64)| {
            map.get(key).map_or(0, |(_, version)| *version) == *version
        };
        let pairs = keys.zip(batch.guards.versions);
        let stale: Vec<u32> =
            (0..).zip(pairs).filter(|(_, pair)| !holds(*pair)).map(|(index, _)| index).collect();
        if !stale.is_empty() {
            return Ok(Outcome::Stale(stale));
        }
        let before = map.clone();
        for (index, argv) in (0..).zip(split(batch.commands)?) {
            let done = allowed(grants, &argv).and_then(|()| {
                self.run(&mut map, &argv, replies)
                    .map_err(|text| StepError::RolledBack(index, text))
            });
            match done {
                Err(StepError::RolledBack(_, text)) if batch.on_error == OnError::KeepGoing => {
                    replies.error(&text);
                }
                Err(error) => {
                    *map = before;
                    return Err(error);
                }
                Ok(()) => {}
            }
        }
        Ok(Outcome::Applied)
    }

    fn waiting(&self, _caller: &Caller, _grants: &Grants, _key: &[u8]) -> Result<u64, StepError> {
        Ok(0)
    }

    fn set_plugin_commands(&self, commands: Vec<Arc<Command>>) -> Result<(), String> {
        let mut names: Vec<&str> = commands.iter().map(|command| command.name.as_ref()).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("command '{}' is there already", twice[0]));
        }
        let native = Command::natives().find(|(_, native)| names.contains(&native.name.as_ref()));
        if let Some((_, native)) = native {
            return Err(format!("command '{}' is native", native.name));
        }
        *self.table.lock() = commands;
        Ok(())
    }

    fn now_ms(&self) -> u64 {
        self.now_ms.fetch_add(1, Relaxed) + 1_000
    }
}
