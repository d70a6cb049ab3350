//! Snapshots for replicas that have nothing: one for all who wait, straight to their sockets.
//!
//! A snapshot begins a while after it was asked for, so that more replicas may come. A replica that
//! cannot read a snapshot of unknown length is sent one from a file, at once. While a replica does not
//! take what it is sent, the snapshot waits; if it takes nothing for too long it is closed.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reef_storage::SnapshotFile;

use super::ReplicationOptions;
use super::feeding::Parcel;
use super::stream::{Copier, Phase};
use crate::clock::now_ms;
use crate::mailbox::Message;
use crate::persistence::{PersistenceOptions, begin_snapshot};
use crate::server::{Shared, run_id};
use crate::tenants::begin_copying;

/// Bytes on their way to a replica that it has not taken.
const UNDERWAY_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// A replica that is sent a snapshot.
struct Receiver {
    client: u64,
    sent: u64,
    taken: Arc<AtomicU64>,
    is_gone: bool,
}

/// All replicas that are sent one snapshot.
struct Receivers<'a> {
    shared: &'a Shared,
    all: Vec<Receiver>,
    timeout: Duration,
}

impl Shared {
    /// Asks for a snapshot for all replicas that wait, if one of them waits for long enough, or enough
    /// of them. Whether it is time.
    pub(crate) fn synchronise_when_due(&self) -> bool {
        let options = self.options().replication.clone();
        let now = now_ms();
        let history = self.replication.stream.history();
        let is_waiting = |copier: &&Copier| copier.phase == Phase::Waiting;
        let waiting = || history.copiers.values().filter(is_waiting);
        let is_impatient = |copier: &Copier| {
            let waited_s = now.since(copier.waits_since) / 1000;
            copier.takes_file(&options) || waited_s >= options.synchronisation_delay_s
        };
        let most = options.synchronised_max;
        let are_enough = most > 0 && waiting().count() >= most;
        let is_due = are_enough || waiting().any(is_impatient);
        drop(history);
        if is_due && !self.replication.is_synchronising.swap(true, Ordering::AcqRel) {
            self.saver.synchronise(Box::new(Self::synchronise_all));
        }
        is_due
    }

    fn synchronise_all(&self) {
        // Whoever comes from here on has to ask again.
        self.replication.is_synchronising.store(false, Ordering::Release);
        let options = self.options().replication.clone();
        let waiting = |from_file: bool| {
            let history = self.replication.stream.history();
            let copiers = history.copiers.iter();
            let waiting = copiers.filter(|(_, copier)| {
                copier.phase == Phase::Waiting && copier.takes_file(&options) == from_file
            });
            waiting.map(|(client, _)| *client).collect::<Vec<u64>>()
        };
        for (clients, from_file) in [(waiting(false), false), (waiting(true), true)] {
            if clients.is_empty() {
                continue;
            }
            let result = self.synchronise(&clients, from_file);
            if let Err(error) = result {
                tracing::warn!("replicas are not synchronised: {error}");
                for client in clients {
                    self.post.tell(client, Message::Close);
                }
            }
        }
    }

    fn synchronise(&self, clients: &[u64], from_file: bool) -> io::Result<()> {
        let target = if from_file { "disk" } else { "replicas sockets" };
        tracing::info!("Starting BGSAVE for SYNC with target: {target}");
        let timeout = Duration::from_secs(self.options().replication.timeout_s.max(1));
        let mut receivers = Receivers::new(self, clients, timeout);
        let options = self.options().persistence.clone();
        let begun = self.begin_synchronisation(clients, &options);
        if from_file {
            let path = options.dir.join(format!("temp-{}-replica.rdb", std::process::id()));
            let mut file = SnapshotFile::create(self.saver.disk.clone(), path.clone())?;
            let mut sink = |bytes: &[u8]| file.write(bytes);
            begun.write(self.saver.cancelled(), &mut sink)?;
            receivers.send_file(self.saver.disk.len(&path)?, &mut *self.saver.disk.read(&path)?)?;
        } else {
            let mut seed = crate::clock::now_us();
            let mark = run_id(&mut seed);
            receivers.send(format!("$EOF:{mark}\r\n").as_bytes())?;
            let mut sink = |bytes: &[u8]| receivers.send(bytes);
            begun.write(self.saver.cancelled(), &mut sink)?;
            receivers.send(mark.as_bytes())?;
        }
        self.end_synchronisation(clients, from_file);
        Ok(())
    }

    /// Begins a snapshot and notes its place in the stream, from which the replicas go on.
    fn begin_synchronisation(
        &self,
        clients: &[u64],
        options: &PersistenceOptions,
    ) -> crate::persistence::Begun {
        let replication = &self.replication;
        let begun = self.freeze(|held| {
            let mut history = replication.stream.history();
            replication.stream.begin(&mut history);
            begin_copying(held);
            let (id, end) = (history.id.clone(), history.end);
            for client in clients {
                let Some(copier) = history.copiers.get_mut(client) else { continue };
                copier.phase = Phase::Receiving;
                copier.position = end;
                let bytes = match copier.is_old {
                    true => Vec::new(),
                    false => format!("+FULLRESYNC {id} {end}\r\n").into_bytes(),
                };
                self.post.tell(*client, |client| Message::Reply { client, bytes });
            }
            let aux = history.origin();
            drop(history);
            begin_snapshot(held, options, &[&aux[..], &self.notices()].concat())
        });
        replication.stream.full.fetch_add(clients.len() as u64, Ordering::Relaxed);
        begun
    }

    fn end_synchronisation(&self, clients: &[u64], from_file: bool) {
        let stream = &self.replication.stream;
        let mut history = stream.history();
        for client in clients {
            let Some(copier) = history.copiers.get_mut(client) else { continue };
            copier.heard_at = now_ms();
            if copier.snapshot_only {
                // It closes when it has all.
                continue;
            }
            // What follows a mark too closely would be taken for part of the snapshot.
            copier.phase = Phase::Loading;
            if from_file {
                stream.go_online(&mut history, *client);
            }
        }
    }
}

impl Copier {
    /// Whether it is sent its snapshot from a file.
    fn takes_file(&self, options: &ReplicationOptions) -> bool {
        !options.is_diskless || !self.knows_end_mark
    }
}

impl<'a> Receivers<'a> {
    fn new(shared: &'a Shared, clients: &[u64], timeout: Duration) -> Self {
        let receiver = |client: &u64| Receiver {
            client: *client,
            sent: 0,
            taken: Arc::default(),
            is_gone: false,
        };
        Self { shared, all: clients.iter().map(receiver).collect(), timeout }
    }

    fn send_file(&mut self, len: u64, reader: &mut dyn Read) -> io::Result<()> {
        self.send(format!("${len}\r\n").as_bytes())?;
        let mut buffer = vec![0; 256 * 1024];
        loop {
            match reader.read(&mut buffer)? {
                0 => return Ok(()),
                count => self.send(&buffer[..count])?,
            }
        }
    }

    /// Sends to all who are still there; an error if nobody is.
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let bytes: Arc<[u8]> = bytes.into();
        for receiver in &mut self.all {
            if receiver.is_gone {
                continue;
            }
            receiver.is_gone = !receiver.has_room(self.shared, self.timeout);
            if receiver.is_gone {
                self.shared.post.tell(receiver.client, Message::Close);
                continue;
            }
            receiver.sent += bytes.len() as u64;
            let parcel = Parcel { bytes: bytes.clone(), taken: receiver.taken.clone() };
            let client = receiver.client;
            self.shared.post.tell(client, |client| Message::Parcel { client, parcel });
        }
        if self.all.iter().all(|receiver| receiver.is_gone) {
            return Err(io::Error::other("nobody is there any more who wants it"));
        }
        Ok(())
    }
}

impl Receiver {
    /// Waits until not too much is under way. `false`: it is gone, or takes nothing.
    fn has_room(&self, shared: &Shared, timeout: Duration) -> bool {
        let mut since = Instant::now();
        let mut least = u64::MAX;
        loop {
            let Some(card) = shared.post.clients.get(self.client) else { return false };
            let in_mail = self.sent - self.taken.load(Ordering::Acquire);
            let underway = in_mail + card.output_bytes.load(Ordering::Relaxed);
            if underway < UNDERWAY_BYTES_MAX {
                return true;
            }
            if underway < least {
                (least, since) = (underway, Instant::now());
            }
            if since.elapsed() > timeout || shared.stopping.load(Ordering::Acquire) {
                return false;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
