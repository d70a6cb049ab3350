//! Replication and saving of an engine without a server: nobody copies it, and it copies nobody.
//!
//! It may be told to follow another server: then it is a replica whose primary never answers. What
//! it saves it keeps in memory.

use alloc::string::String;
use alloc::vec::Vec;

use reef_resp::Writer;

use super::client::Waiting;
use super::deadline;
use super::process::ProcessHost;
use crate::backend::CallStatus;
use crate::error::Error;
use crate::replication::{CopiesWanted, CopyFrom, Failover, Introduction, Replication, Role};

impl Replication for ProcessHost<'_> {
    fn role(&self) -> Role {
        match &self.process.primary {
            Some((host, port)) => {
                Role::Replica { host: host.clone(), port: *port, state: "connect", offset: None }
            }
            None => Role::Primary { offset: 0, replicas: Vec::new() },
        }
    }

    fn follow(&mut self, primary: Option<(&[u8], u16)>) -> Result<bool, Error> {
        let primary =
            primary.map(|(host, port)| (String::from_utf8_lossy(host).into_owned(), port));
        let changes = self.process.primary != primary;
        if changes && primary.is_some() {
            self.end_waits();
        }
        self.process.primary = primary;
        Ok(changes)
    }

    fn synchronise(&mut self, from: CopyFrom<'_>) -> Result<CallStatus, Error> {
        match from {
            // There is no history that anybody could know of.
            CopyFrom::History { takes_over: true, .. } => Err(Error::FAILOVER_ID),
            // As a primary, too: there is nothing to send a copy through.
            _ => Err(Error::NO_PRIMARY_LINK),
        }
    }

    fn introduce(&mut self, _: Introduction<'_>) {}

    fn acknowledge(&mut self, _: u64, _: Option<u64>) {}

    fn wait_for_copies(
        &mut self,
        wanted: CopiesWanted,
        reply: &mut Writer,
    ) -> Result<CallStatus, Error> {
        if wanted.local_log == Some(true) {
            return Err(Error::WAITAOF_WITHOUT_LOG);
        }
        if wanted.replicas == 0 || !wanted.may_wait {
            say_none(wanted, reply);
            return Ok(CallStatus::Done);
        }
        let mut farewell = Writer::new(reply.protocol());
        say_none(wanted, &mut farewell);
        let waiting = Waiting::Copies(reply.protocol(), farewell.take_data());
        self.told.waiting = Some((waiting, deadline(self.process.now, wanted.timeout_ms)));
        Ok(CallStatus::Later)
    }

    fn fail_over(&mut self, _: Failover) -> Result<(), Error> {
        match self.process.primary {
            Some(_) => Err(Error::FAILOVER_ON_REPLICA),
            None => Err(Error::FAILOVER_WITHOUT_REPLICAS),
        }
    }

    fn abort_failover(&mut self) -> Result<(), Error> {
        Err(Error::NO_FAILOVER)
    }
}

/// Says that there is no copy.
fn say_none(wanted: CopiesWanted, reply: &mut Writer) {
    if wanted.local_log.is_some() {
        reply.array(2);
        reply.integer(0);
    }
    reply.integer(0);
}
