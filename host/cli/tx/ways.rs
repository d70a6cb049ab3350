//! Four ways to keep the transactions and their indexes, for the benchmark: by the plugin, by a
//! server-side function, by MULTI/EXEC from the client, and by one command after the other.
//!
//! All four leave the same keys. Only the first two decide where the data is; the others read
//! first, and what they decide may be out of date when they write.

use redis::{Pipeline, Value};

use super::draft::{
    Draft, RELAYERS, count_key, lookup_key, moved, nonce_key, now_ms, status_key, tx_key,
};
use crate::cli::client::{Client, ClientError};

/// How transactions are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// `TX.*` commands.
    Plugin,
    /// A function library in Lua.
    Function,
    /// A transaction of the client's, in one round trip once it has read what it must.
    MultiExec,
    /// One command at a time.
    Individual,
}

impl Way {
    /// What it is called in tables.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plugin => "plugin",
            Self::Function => "function",
            Self::MultiExec => "MULTI/EXEC",
            Self::Individual => "individual",
        }
    }

    /// Creates one transaction.
    pub(super) fn create(self, client: &mut Client, draft: &Draft) -> Result<(), ClientError> {
        let Draft { id, relayer, nonce, to, value } = draft;
        match self {
            Self::Plugin => {
                let mut command = redis::cmd("TX.CREATE");
                command.arg(relayer).arg(*nonce).arg(to).arg(value).arg("ID").arg(id);
                client.run(&command)
            }
            Self::Function => {
                let mut command = redis::cmd("FCALL");
                command.arg("reef_tx_create").arg(6);
                command.arg(tx_key(id)).arg(lookup_key(id)).arg(nonce_key(relayer, *nonce));
                command.arg(status_key(relayer, "pending")).arg(RELAYERS).arg(count_key(relayer));
                command.arg(relayer).arg(id).arg(*nonce).arg(to).arg(value).arg(now_ms());
                client.run(&command)
            }
            _ => self.write(client, creation(draft)),
        }
    }

    /// Moves a transaction to a status and gives it a hash.
    pub(super) fn update(
        self,
        client: &mut Client,
        draft: &Draft,
        status: &str,
        hash: &str,
    ) -> Result<(), ClientError> {
        let Draft { id, relayer, .. } = draft;
        match self {
            Self::Plugin => client.call(&["TX.UPDATE", id, status, "HASH", hash]),
            Self::Function => {
                let mut command = redis::cmd("FCALL");
                command.arg("reef_tx_update").arg(1).arg(tx_key(id));
                command.arg(id).arg(status).arg(hash).arg(now_ms());
                client.run(&command)
            }
            _ => {
                let json: Vec<u8> = client.call(&["GET", &tx_key(id)])?;
                let (after, before) = moved(&json, status, Some(hash))
                    .ok_or_else(|| client.unexpected("a record that is none"))?;
                let mut pipe = redis::pipe();
                pipe.cmd("SET").arg(tx_key(id)).arg(after);
                pipe.cmd("SREM").arg(status_key(relayer, &before)).arg(id);
                pipe.cmd("SADD").arg(status_key(relayer, status)).arg(id);
                self.write(client, pipe)
            }
        }
    }

    /// Creates transactions of one relayer; returns their ids.
    pub(super) fn create_many(
        self,
        client: &mut Client,
        drafts: &[Draft],
    ) -> Result<Vec<String>, ClientError> {
        let Some(first) = drafts.first() else { return Ok(Vec::new()) };
        let relayer = &first.relayer;
        match self {
            Self::Plugin => {
                let mut command = redis::cmd("TX.BULKCREATE");
                command.arg(relayer);
                for draft in drafts {
                    command.arg(draft.nonce).arg(&draft.to).arg(&draft.value);
                }
                client.run(&command)
            }
            Self::Function => {
                let mut command = redis::cmd("FCALL");
                command.arg("reef_tx_create_many").arg(3).arg(RELAYERS).arg(count_key(relayer));
                command.arg(status_key(relayer, "pending")).arg(relayer).arg(now_ms());
                for draft in drafts {
                    command.arg(&draft.id).arg(draft.nonce).arg(&draft.to).arg(&draft.value);
                }
                client.run(&command)
            }
            _ => {
                let mut pipe = redis::pipe();
                drafts.iter().for_each(|draft| create_commands(&mut pipe, draft));
                self.write(client, pipe)?;
                Ok(drafts.iter().map(|draft| draft.id.clone()).collect())
            }
        }
    }

    /// Deletes transactions of one relayer.
    pub(super) fn delete_many(
        self,
        client: &mut Client,
        ids: &[String],
    ) -> Result<(), ClientError> {
        match self {
            Self::Plugin => {
                let mut command = redis::cmd("TX.DELETE");
                command.arg(ids);
                client.run::<Value>(&command)?;
            }
            Self::Function => {
                let mut command = redis::cmd("FCALL");
                command.arg("reef_tx_delete_many").arg(ids.len());
                ids.iter().for_each(|id| {
                    command.arg(tx_key(id));
                });
                command.arg(ids);
                client.run::<Value>(&command)?;
            }
            Self::MultiExec => {
                let mut command = redis::cmd("MGET");
                ids.iter().for_each(|id| {
                    command.arg(tx_key(id));
                });
                let records: Vec<Option<Vec<u8>>> = client.run(&command)?;
                let mut pipe = redis::pipe();
                for (id, json) in ids.iter().zip(records) {
                    let Some(json) = json else { continue };
                    deletion(&mut pipe, id, &json)
                        .ok_or_else(|| client.unexpected("a record that is none"))?;
                }
                self.write(client, pipe)?;
            }
            Self::Individual => {
                for id in ids {
                    let json: Option<Vec<u8>> = client.call(&["GET", &tx_key(id)])?;
                    let Some(json) = json else { continue };
                    let mut pipe = redis::pipe();
                    deletion(&mut pipe, id, &json)
                        .ok_or_else(|| client.unexpected("a record that is none"))?;
                    self.write(client, pipe)?;
                }
            }
        }
        Ok(())
    }

    /// The client's own writing: all at once, or one after the other.
    fn write(self, client: &mut Client, mut pipe: Pipeline) -> Result<(), ClientError> {
        if self == Self::MultiExec {
            return client.pipeline(pipe.atomic());
        }
        pipe.cmd_iter().try_for_each(|command| client.run(command))
    }
}

fn creation(draft: &Draft) -> Pipeline {
    let mut pipe = redis::pipe();
    create_commands(&mut pipe, draft);
    pipe
}

/// The six commands that create a transaction.
fn create_commands(pipe: &mut Pipeline, draft: &Draft) {
    let Draft { id, relayer, nonce, .. } = draft;
    pipe.cmd("SET").arg(tx_key(id)).arg(draft.json());
    pipe.cmd("SET").arg(lookup_key(id)).arg(relayer);
    pipe.cmd("SADD").arg(status_key(relayer, "pending")).arg(id);
    pipe.cmd("SET").arg(nonce_key(relayer, *nonce)).arg(id);
    pipe.cmd("SADD").arg(RELAYERS).arg(relayer);
    pipe.cmd("INCR").arg(count_key(relayer));
}

/// The three commands that delete one.
fn deletion(pipe: &mut Pipeline, id: &str, json: &[u8]) -> Option<()> {
    let record: serde_json::Value = serde_json::from_slice(json).ok()?;
    let relayer = record.get("relayer_id")?.as_str()?;
    let nonce = record.get("nonce")?.as_u64()?;
    let status = record.get("status")?.as_str()?;
    pipe.cmd("DEL").arg(tx_key(id)).arg(lookup_key(id)).arg(nonce_key(relayer, nonce));
    pipe.cmd("SREM").arg(status_key(relayer, status)).arg(id);
    pipe.cmd("DECR").arg(count_key(relayer));
    Some(())
}
