//! Writers of a demonstration, and the ledger of what they were told: every number that a server
//! acknowledged must be there later, each whole.
//!
//! A writer counts upwards. One kind writes each number to keys of two slots by MULTI/EXEC, the other
//! creates a transaction with it as nonce: a plugin's batch of six keys. When a writer is not answered
//! it stops; its last number may then be there or not.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::Scope;

use crate::cli::Failure;
use crate::cli::client::{Client, ClientError, Server};
use crate::cli::tx::audit;
use crate::cli::tx::draft::nonce_key;
use crate::cli::tx::faults;

/// How long a writer waits for the replicas, per number.
const WAIT_MS: &str = "2000";

/// What writers were told.
pub(super) struct Ledger {
    writers: Vec<Writer>,
}

struct Writer {
    name: String,
    kind: Kind,
    tried: AtomicU64,
    acknowledged: AtomicU64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Multi,
    Plugin,
}

/// What became of the numbers.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    /// So many are there.
    pub(super) there: u64,
    /// So many were acknowledged and are missing.
    pub(super) lost: u64,
    /// So many are there only in part.
    pub(super) by_half: u64,
    /// So many were never tried, or are there twice.
    pub(super) invented: u64,
}

impl Findings {
    /// Whether all is as it must be.
    pub(super) fn are_good(&self) -> bool {
        *self == Self { there: self.there, ..Self::default() }
    }
}

impl Ledger {
    /// So many writers, every second one by a plugin.
    pub(super) fn new(writers: usize) -> Self {
        let writers = (0..writers).map(|index| Writer {
            name: format!("writer-{index}"),
            kind: if index % 2 == 0 { Kind::Multi } else { Kind::Plugin },
            tried: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
        });
        Self { writers: writers.collect() }
    }

    /// Lets all write until the server is gone. What fewer than this many replicas have is not taken
    /// for acknowledged.
    pub(super) fn write<'scope, 'env>(
        &'env self,
        scope: &'scope Scope<'scope, 'env>,
        server: &Server,
        replicas: u64,
    ) -> Result<(), ClientError> {
        for writer in &self.writers {
            let client = server.connect()?;
            scope.spawn(move || writer.write(client, replicas));
        }
        Ok(())
    }

    /// How many numbers were acknowledged.
    pub(super) fn acknowledged(&self) -> u64 {
        self.writers.iter().map(|writer| writer.acknowledged.load(Ordering::Acquire)).sum()
    }

    /// How many were tried.
    pub(super) fn tried(&self) -> u64 {
        self.writers.iter().map(|writer| writer.tried.load(Ordering::Acquire)).sum()
    }

    /// Looks what is there, by plain commands and by `TX.VERIFY`; nobody may write meanwhile. From
    /// then on what is there counts as acknowledged.
    pub(super) fn check(&self, client: &mut Client) -> Result<Findings, Failure> {
        let mut findings = Findings::default();
        for writer in &self.writers {
            writer.check(client, &mut findings)?;
        }
        let damage = faults(client, None)?.len() + audit::whole_database(client)?.faults.len();
        findings.by_half += damage as u64;
        Ok(findings)
    }
}

impl Writer {
    fn write(&self, mut client: Client, replicas: u64) {
        loop {
            let number = self.tried.load(Ordering::Acquire) + 1;
            self.tried.store(number, Ordering::Release);
            match self.step(&mut client, number, replicas) {
                Ok(true) => self.acknowledged.store(number, Ordering::Release),
                Ok(false) => {}
                Err(_) => return,
            }
        }
    }

    /// Writes one number; gives whether enough replicas have it.
    fn step(&self, client: &mut Client, number: u64, replicas: u64) -> Result<bool, ClientError> {
        match self.kind {
            Kind::Multi => {
                let mut pipe = redis::pipe();
                pipe.atomic().cmd("SET").arg(self.last_key()).arg(number);
                pipe.cmd("RPUSH").arg(self.all_key()).arg(number);
                client.pipeline::<redis::Value>(&pipe)?;
            }
            Kind::Plugin => {
                let nonce = number.to_string();
                let words = ["TX.CREATE", &self.name, &nonce, "0x1234abcd", "1"];
                client.call::<redis::Value>(&words)?;
            }
        }
        if replicas == 0 {
            return Ok(true);
        }
        let reached: u64 = client.call(&["WAIT", &replicas.to_string(), WAIT_MS])?;
        Ok(reached >= replicas)
    }

    fn check(&self, client: &mut Client, findings: &mut Findings) -> Result<(), ClientError> {
        let tried = self.tried.load(Ordering::Acquire);
        let acknowledged = self.acknowledged.load(Ordering::Acquire);
        let numbers = match self.kind {
            Kind::Multi => {
                let last: Option<u64> = client.call(&["GET", &self.last_key()])?;
                let all: Vec<u64> = client.call(&["LRANGE", &self.all_key(), "0", "-1"])?;
                findings.by_half += u64::from(last != all.last().copied());
                all
            }
            Kind::Plugin => {
                let mut pipe = redis::pipe();
                (1..=tried + 1).for_each(|nonce| {
                    pipe.cmd("EXISTS").arg(nonce_key(&self.name, nonce));
                });
                let there: Vec<bool> = client.pipeline(&pipe)?;
                (1..).zip(there).filter(|(_, is_there)| *is_there).map(|(n, _)| n).collect()
            }
        };
        let there = numbers.len() as u64;
        let in_order = numbers.iter().copied().eq(1..=there);
        findings.there += there;
        findings.lost += acknowledged.saturating_sub(there);
        findings.invented += there.saturating_sub(tried) + u64::from(!in_order);
        self.acknowledged.store(there, Ordering::Release);
        self.tried.store(there, Ordering::Release);
        Ok(())
    }

    fn last_key(&self) -> String {
        format!("last:{}", self.name)
    }

    fn all_key(&self) -> String {
        format!("all:{}", self.name)
    }
}
