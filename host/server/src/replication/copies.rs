//! Clients that wait until others have what they wrote: WAIT and WAITAOF.

use std::sync::atomic::Ordering;

use reef_engine::backend::CallStatus;
use reef_engine::error::Error;
use reef_engine::replication::CopiesWanted;
use reef_engine::serving::Ending;
use reef_resp::Writer;

use super::stream::{CopyWait, History};
use crate::mailbox::Message;
use crate::server::Shared;

/// Asks replicas to say at once how far they have come.
pub(super) const GETACK: &[u8] = b"*3\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n$1\r\n*\r\n";

/// How many copies there are of something.
#[derive(Clone, Copy, Debug)]
struct Copies {
    /// Whether the log has it, if that matters.
    local: Option<bool>,
    replicas: u64,
}

impl Copies {
    fn are_enough(self, wanted: &CopiesWanted) -> bool {
        let is_logged = wanted.local_log != Some(true) || self.local == Some(true);
        is_logged && self.replicas >= wanted.replicas
    }

    fn say(self, reply: &mut Writer) {
        match self.local {
            None => reply.integer(self.replicas as i64),
            Some(local) => {
                reply.array(2);
                reply.integer(local.into());
                reply.integer(self.replicas as i64);
            }
        }
    }
}

impl Shared {
    /// Says how many copies there are of what was written up to now, or lets the client wait.
    pub(crate) fn wait_for_copies(
        &self,
        client: u64,
        wanted: CopiesWanted,
        reply: &mut Writer,
    ) -> Result<CallStatus, Error> {
        if wanted.local_log == Some(true) && !self.options().persistence.append_only {
            return Err(Error::WAITAOF_WITHOUT_LOG);
        }
        let stream = &self.replication.stream;
        let mut history = stream.history();
        let wait = CopyWait {
            client,
            position: history.end,
            log_position: self.store.log().appended(),
            wanted,
        };
        let copies = self.copies(&history, &wait);
        if copies.are_enough(&wanted) || !wanted.may_wait {
            copies.say(reply);
            return Ok(CallStatus::Done);
        }
        history.waits.push(wait);
        self.replication.has_waits.store(true, Ordering::Release);
        drop(history);
        if wanted.replicas > 0 {
            stream.say(GETACK);
        }
        Ok(CallStatus::Later)
    }

    fn copies(&self, history: &History, wait: &CopyWait) -> Copies {
        let log = self.store.log();
        Copies {
            local: wait.wanted.local_log.map(|_| log.is_on() && log.synced() >= wait.log_position),
            replicas: history.copies(wait.position, wait.wanted.logged),
        }
    }

    /// Answers those who have what they waited for. Cheap when nobody waits.
    pub(crate) fn check_waits(&self) {
        if !self.replication.has_waits.load(Ordering::Acquire) {
            return;
        }
        let mut guard = self.replication.stream.history();
        let waits = std::mem::take(&mut guard.waits);
        let (done, rest): (Vec<_>, Vec<_>) = waits
            .into_iter()
            .map(|wait| (self.copies(&guard, &wait), wait))
            .partition(|(copies, wait)| copies.are_enough(&wait.wanted));
        guard.waits = rest.into_iter().map(|(_, wait)| wait).collect();
        self.replication.has_waits.store(!guard.waits.is_empty(), Ordering::Release);
        drop(guard);
        for (copies, wait) in done {
            self.answer_wait(copies, &wait);
        }
    }

    fn answer_wait(&self, copies: Copies, wait: &CopyWait) {
        let mut reply = Writer::default();
        copies.say(&mut reply);
        let bytes = reply.take_data();
        self.post.tell(wait.client, |client| Message::Reply { client, bytes });
    }

    /// Ends a client's wait, if it waits for copies; gives what it hears.
    pub(crate) fn end_copy_wait(&self, client: u64, ending: Ending) -> Option<Vec<u8>> {
        let mut history = self.replication.stream.history();
        let index = history.waits.iter().position(|wait| wait.client == client)?;
        let wait = history.waits.swap_remove(index);
        let mut reply = Writer::default();
        match ending {
            Ending::TimedOut => self.copies(&history, &wait).say(&mut reply),
            Ending::Unblocked => reply.error(&Error::UNBLOCKED.to_string()),
            Ending::Demoted => reply.error(&Error::UNBLOCKED_BY_ROLE.to_string()),
        }
        Some(reply.take_data())
    }

    /// Lets a client that waits for copies go on. Whether it did wait.
    pub(crate) fn unblock_copy_wait(&self, client: u64, ending: Ending) -> bool {
        let Some(bytes) = self.end_copy_wait(client, ending) else { return false };
        self.post.tell(client, |client| Message::Reply { client, bytes });
        true
    }

    /// Ends all waits for the log with an error: there is none any more.
    pub(crate) fn refuse_log_waits(&self) {
        let mut history = self.replication.stream.history();
        let waits = std::mem::take(&mut history.waits);
        let (refused, rest): (Vec<_>, Vec<_>) =
            waits.into_iter().partition(|wait| wait.wanted.local_log == Some(true));
        history.waits = rest;
        drop(history);
        for wait in refused {
            let mut reply = Writer::default();
            reply.error(&Error::WAITAOF_WITHOUT_LOG.to_string());
            let bytes = reply.take_data();
            self.post.tell(wait.client, |client| Message::Reply { client, bytes });
        }
    }

    /// Ends all waits for copies with an error: this server is a replica now.
    pub(crate) fn refuse_waits(&self) {
        let waits = &self.replication.stream.history().waits;
        let clients: Vec<u64> = waits.iter().map(|wait| wait.client).collect();
        for client in clients {
            let ending = Ending::Demoted;
            self.post.tell(client, |client| Message::EndWait { client, ending });
        }
    }
}
