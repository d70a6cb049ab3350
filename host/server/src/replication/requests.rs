//! The commands of replication, for the client that asks.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use reef_engine::backend::CallStatus;
use reef_engine::client_info::ClientInfo;
use reef_engine::error::Error;
use reef_engine::replication::{CopiesWanted, CopyFrom, Failover, Introduction, Replication, Role};
use reef_engine::serving::Ending;
use reef_resp::Writer;

use super::primary_link::LinkState;
use super::stream::{Copier, Phase};
use crate::clock::now_ms;
use crate::server::Shared;
use crate::surroundings::WorkerHost;

impl WorkerHost<'_> {
    /// Changes what is known of the client as one that copies this server.
    fn with_copier(&self, change: impl FnOnce(&mut Copier)) {
        let peer = self.shared.post.clients.get(self.client).and_then(|card| card.peer);
        let mut history = self.shared.replication.stream.history();
        change(history.copiers.entry(self.client).or_insert_with(|| Copier::new(peer)));
    }
}

impl Replication for WorkerHost<'_> {
    fn role(&self) -> Role {
        self.shared.role()
    }

    fn follow(&mut self, primary: Option<(&[u8], u16)>) -> Result<bool, Error> {
        if self.shared.replication.handover.lock().is_on() {
            return Err(Error::FOLLOW_WHILE_FAILOVER);
        }
        let primary =
            primary.map(|(host, port)| (String::from_utf8_lossy(host).into_owned(), port));
        let changes = self.shared.follow(primary.clone(), false);
        if changes {
            self.shared.note_primary(primary.as_ref());
        }
        Ok(changes)
    }

    fn introduce(&mut self, introduction: Introduction<'_>) {
        self.became_copier = true;
        self.with_copier(|copier| match introduction {
            Introduction::Port(port) => copier.port = port,
            Introduction::Address(text) => {
                copier.address = Some(String::from_utf8_lossy(text).into_owned());
            }
            Introduction::EndMark => copier.knows_end_mark = true,
            Introduction::SecondId => copier.knows_second_id = true,
            Introduction::Tenants => copier.knows_tenants = true,
            Introduction::SnapshotOnly(only) => copier.snapshot_only = only,
            Introduction::Other => {}
        });
    }

    fn synchronise(&mut self, from: CopyFrom<'_>) -> Result<CallStatus, Error> {
        let replication = &self.shared.replication;
        if let CopyFrom::History { id, takes_over: true, .. } = from {
            if replication.stream.history().id.as_bytes() != id {
                return Err(Error::FAILOVER_ID);
            }
            if replication.is_replica() {
                self.shared.take_place_for(self.client);
                self.shared.note_primary(None);
            }
        }
        let is_linked = replication.is_linked.load(Ordering::Acquire);
        if replication.is_replica() && !is_linked {
            return Err(Error::NO_PRIMARY_LINK);
        }
        self.became_copier = true;
        let mut knows_tenants = false;
        self.with_copier(|copier| knows_tenants = copier.knows_tenants);
        if !knows_tenants && !self.shared.tenants.all().is_empty() {
            return Err(Error::FOREIGN_TO_TENANTS);
        }
        self.with_copier(|copier| {
            copier.is_old = from == CopyFrom::Nowhere;
            copier.phase = Phase::Waiting;
            copier.waits_since = now_ms();
            tracing::info!("Replica {} asks for synchronization", copier.name());
        });
        if let CopyFrom::History { id, offset, .. } = from
            && self.go_on(id, offset)
        {
            return Ok(CallStatus::Later);
        }
        tracing::info!("Full resync requested by client {}", self.client);
        if !self.shared.synchronise_when_due() {
            tracing::info!("Delay next BGSAVE for diskless SYNC");
        }
        Ok(CallStatus::Later)
    }

    fn acknowledge(&mut self, offset: u64, logged: Option<u64>) {
        let stream = &self.shared.replication.stream;
        let mut history = stream.history();
        let Some(copier) = history.copiers.get_mut(&self.client) else { return };
        copier.acknowledged = copier.acknowledged.max(offset);
        copier.logged = copier.logged.max(logged.unwrap_or(0));
        let was_silent = now_ms().since(std::mem::replace(&mut copier.heard_at, now_ms())) > 1000;
        if copier.phase == Phase::Loading {
            stream.go_online(&mut history, self.client);
        } else if was_silent {
            stream.count_good(&history);
        }
        drop(history);
        self.shared.check_waits();
    }

    fn wait_for_copies(
        &mut self,
        wanted: CopiesWanted,
        reply: &mut Writer,
    ) -> Result<CallStatus, Error> {
        let status = self.shared.wait_for_copies(self.client, wanted, reply)?;
        if status == CallStatus::Later {
            let timeout = wanted.timeout_ms.map(Duration::from_millis);
            self.waits_until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        }
        Ok(status)
    }

    fn fail_over(&mut self, how: Failover) -> Result<(), Error> {
        self.shared.fail_over(how)
    }

    fn abort_failover(&mut self) -> Result<(), Error> {
        self.shared.abort_failover()
    }
}

impl WorkerHost<'_> {
    /// Lets the client go on from where it is in a history, if that is still known.
    fn go_on(&self, id: &[u8], offset: i64) -> bool {
        let stream = &self.shared.replication.stream;
        // Offsets name the next byte and count from 1.
        let position = u64::try_from(offset).unwrap_or(0).saturating_sub(1);
        let mut history = stream.history();
        if offset < 1 || !history.has(id, position) {
            // Who knows nothing asks for everything, and is refused nothing.
            let is_refused = id != b"?";
            stream.partial_refused.fetch_add(u64::from(is_refused), Ordering::Relaxed);
            return false;
        }
        let (current, end) = (history.id.clone(), history.end);
        let Some(copier) = history.copiers.get_mut(&self.client) else { return false };
        copier.position = position;
        copier.acknowledged = position;
        tracing::info!(
            "Partial resynchronization request from {} accepted. Sending {} bytes of backlog \
             starting from offset {offset}.",
            copier.name(),
            end - position
        );
        let line = match copier.knows_second_id {
            true => format!("+CONTINUE {current}\r\n"),
            false => "+CONTINUE\r\n".to_owned(),
        };
        let bytes = line.into_bytes();
        self.shared
            .post
            .tell(self.client, |client| crate::mailbox::Message::Reply { client, bytes });
        stream.go_online(&mut history, self.client);
        stream.partial.fetch_add(1, Ordering::Relaxed);
        true
    }
}

impl Shared {
    /// What this server is.
    pub(crate) fn role(&self) -> Role {
        if let Some(primary) = &*self.replication.primary.lock() {
            let is_known = primary.link == LinkState::Connected;
            return Role::Replica {
                host: primary.host.clone(),
                port: primary.port,
                state: primary.link.word(),
                offset: is_known.then(|| self.replication.stream.end()),
            };
        }
        let history = self.replication.stream.history();
        let online = history.copiers.values().filter(|copier| copier.phase == Phase::Online);
        Role::Primary {
            offset: history.end,
            replicas: online
                .map(|copier| (copier.shown_address(), copier.port, copier.acknowledged))
                .collect(),
        }
    }

    /// The link to the primary as one of the clients, if it is up.
    pub(crate) fn primary_client(&self) -> Option<ClientInfo> {
        let database = self.replication.stream.history().database;
        self.replication.primary.lock().as_ref()?.as_client(database)
    }

    /// Breaks the link to the primary; it is made again.
    pub(crate) fn break_primary_link(&self) {
        if let Some(primary) = &*self.replication.primary.lock() {
            primary.break_link();
        }
    }

    /// Keeps in the configuration whom this server follows.
    fn note_primary(&self, primary: Option<&(String, u16)>) {
        if let Some(configuration) = self.configuration() {
            configuration.note_primary(primary);
        }
    }

    /// Becomes a replica of another server, or of none. `false`: it is that already.
    pub(crate) fn follow(&self, primary: Option<(String, u16)>, takes_over: bool) -> bool {
        self.change_primary(primary, takes_over, None)
    }

    /// Becomes a primary because the primary asks for it: `client` is to be a replica.
    fn take_place_for(&self, client: u64) {
        self.change_primary(None, false, Some(client));
    }

    fn change_primary(
        &self,
        primary: Option<(String, u16)>,
        takes_over: bool,
        newcomer: Option<u64>,
    ) -> bool {
        let mut current = self.replication.primary.lock();
        let is_same = match (&*current, &primary) {
            (None, None) => true,
            (Some(current), Some((host, port))) => current.host == *host && current.port == *port,
            _ => false,
        };
        if is_same {
            return false;
        }
        if let Some(old) = current.take() {
            old.break_off();
        }
        let shared: Arc<Self> = self.me();
        match primary {
            Some((host, port)) => {
                self.become_replica();
                *current = Some(super::Primary::begin(&shared, host, port, takes_over));
                drop(current);
                self.refuse_waits();
                self.end_blocked();
            }
            None => self.become_primary(newcomer),
        }
        // Commands that were stopped for a while look again.
        self.post.broadcast(|| crate::mailbox::Message::Resume);
        true
    }

    fn become_replica(&self) {
        let mut history = self.replication.stream.history();
        history.is_relayed = true;
        history.generation += 1;
        self.replication.is_linked.store(false, Ordering::Release);
        self.replication.is_replica.store(true, Ordering::Release);
        self.store.set_replica(true);
    }

    /// Ends all waits for keys: here the primary alone takes from them.
    pub(crate) fn end_blocked(&self) {
        for card in self.post.clients.all() {
            self.post.unblock(card.id, Ending::Demoted);
        }
    }

    /// All replicas must come back to hear of the new history, but for one that comes with it.
    fn become_primary(&self, newcomer: Option<u64>) {
        let stream = &self.replication.stream;
        let mut history = stream.history();
        let mut seed = crate::clock::now_us() ^ self.store.rules().hasher.hash(b"history");
        history.rename(crate::server::run_id(&mut seed));
        history.is_relayed = false;
        history.generation += 1;
        // From now on it is kept as long as a primary keeps it.
        history.deserted_at = now_ms();
        stream.forget_database(&mut history);
        stream.dismiss_all(&history, newcomer);
        self.replication.is_replica.store(false, Ordering::Release);
        self.store.set_replica(false);
        tracing::info!("MASTER MODE enabled");
    }
}
