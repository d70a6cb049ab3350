//! Plugins of an engine without a server: it knows their commands, and hands their calls out.
//!
//! Who drives the engine takes a call with [`Solo::next_plugin_call`], lets a runtime run it, whose
//! batches come back through [`Solo::read`] and [`Solo::apply`], and brings the reply, or what the call is
//! to be parked on. Until there is a reply the client waits, and what it sends meanwhile waits with it.
//!
//! A parked call stands in the queues of its keys like everybody who waits. When it is woken, or its time
//! is over, it is handed out again.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::OnceCell;

use reef_resp::{OwnedArgv, Protocol, Writer};

use super::Solo;
use super::client::Waiting;
use crate::backend::{Caller, Park, PluginCommand};
use crate::clock::Millis;
use crate::command::{Command, Runner};
use crate::keyspace::{Journal, Shard};
use crate::parking::{Mark, Parking};
use crate::registry::{CommandRef, Registry};
use crate::session::Session;
use crate::waiters::Waiter;

/// A call of a plugin's command that passed the gates, or that goes on.
#[derive(Clone, Debug)]
pub struct PluginCall {
    /// Which command.
    pub command: PluginCommand,
    /// Who calls.
    pub caller: Caller,
    /// The command as it was sent.
    pub argv: OwnedArgv,
    /// What the client speaks.
    pub protocol: Protocol,
    /// Why it goes on, if it was parked.
    pub wake: Option<Woken>,
}

/// Why a parked call goes on.
#[derive(Clone, Debug)]
pub struct Woken {
    /// The key that was written; `None`: its time is over.
    pub key: Option<Box<[u8]>>,
    /// When the client called: milliseconds since 1970.
    pub invoked_ms: u64,
}

/// A call that nobody has taken.
pub(super) enum Coming {
    New(PluginCall),
    /// A parked call of this client, with this place among all who wait, goes on.
    Woken {
        client: u64,
        order: u64,
        key: Option<Box<[u8]>>,
    },
}

/// A call that somebody has taken and not ended.
pub(super) struct Running {
    command: CommandRef,
    argv: OwnedArgv,
    /// What was written before it began, and its place among all who wait.
    mark: Mark,
    order: u64,
    /// What it was parked as until now.
    parked: Option<Arc<Waiter>>,
}

impl Solo {
    /// Replaces the commands of plugins; who waits for one that is gone hears so. The error is a name that
    /// is taken; then nothing changes.
    pub fn set_plugin_commands(&mut self, commands: &[Arc<Command>]) -> Result<(), String> {
        self.registry = Registry::with_plugins(commands)?;
        let parked = self.clients.iter().filter_map(|(id, client)| match &client.waiting {
            Some((Waiting::Parked(waiter), _)) => Some((*id, waiter)),
            _ => None,
        });
        let is_orphan = |waiter: &Waiter| self.plugin_command(&waiter.argv).is_none();
        let orphans = parked.filter(|(_, waiter)| is_orphan(waiter)).map(|(id, _)| id);
        for id in orphans.collect::<Vec<_>>() {
            self.go_on(id, ORPHANED);
        }
        Ok(())
    }

    fn plugin_command(&self, argv: &OwnedArgv) -> Option<(CommandRef, PluginCommand)> {
        let command = self.registry.resolve(argv.as_argv()).ok().flatten()?;
        match command.runner {
            Runner::Plugin(plugin) => Some((command, plugin)),
            _ => None,
        }
    }

    /// Takes the call that came first among those which nobody has taken.
    pub fn next_plugin_call(&mut self) -> Option<PluginCall> {
        loop {
            let (call, parked) = match self.process.plugin_calls.pop_front()? {
                Coming::New(call) => (call, None),
                Coming::Woken { client, order, key } => {
                    // It may have ended since, and its client may wait for something else.
                    let Some(waiter) = self.parked(client, order) else { continue };
                    let Some(call) = self.woken(&waiter, key) else { continue };
                    (call, Some(waiter))
                }
            };
            let client = call.caller.client_id;
            let Some((command, _)) = self.plugin_command(&call.argv) else {
                self.go_on(client, ORPHANED);
                continue;
            };
            let mark = Mark::new(self.shards.iter_mut().map(Shard::clock).collect());
            let (argv, order) = (call.argv.clone(), self.rules.next_arrival());
            let running = Running { command, argv, mark, order, parked };
            self.process.running.insert(client, running);
            return Some(call);
        }
    }

    /// What a client's call with this place is parked as.
    fn parked(&self, client: u64, order: u64) -> Option<Arc<Waiter>> {
        match &self.clients.get(&client)?.waiting {
            Some((Waiting::Parked(waiter), _)) if waiter.order == order => Some(waiter.clone()),
            _ => None,
        }
    }

    fn woken(&mut self, waiter: &Waiter, key: Option<Box<[u8]>>) -> Option<PluginCall> {
        let client = self.clients.get_mut(&waiter.client)?;
        if let Some((_, deadline)) = &mut client.waiting {
            // It says anew how long it wants to wait.
            *deadline = None;
        }
        let user = client.session.user.clone();
        let invoked_ms = waiter.park()?.invoked_ms;
        Some(PluginCall {
            command: self.plugin_command(&waiter.argv)?.1,
            caller: Caller { client_id: waiter.client, user, database: waiter.database },
            argv: waiter.argv.clone(),
            protocol: waiter.protocol,
            wake: Some(Woken { key, invoked_ms }),
        })
    }

    /// Gives a client the reply to its call, if it is still there, and runs what it sent meanwhile.
    pub fn end_plugin_call(&mut self, client: u64, reply: &[u8]) {
        self.process.running.remove(&client);
        let waiting = self.clients.get(&client).and_then(|client| client.waiting.as_ref());
        if waiting.is_some_and(|(waiting, _)| waiting.is_for_plugin()) {
            self.go_on(client, reply);
        }
    }

    /// Parks a client's call, if it is still there: it is handed out again when one of its keys is written
    /// or its time is over. What was written since it was taken wakes it at once.
    pub fn park_plugin_call(&mut self, client: u64, park: Park) {
        let Some(running) = self.process.running.remove(&client) else { return };
        let Some(one) = self.clients.get(&client).filter(|one| one.waiting.is_some()) else {
            return;
        };
        let user = one.session.user.clone();
        let (session, protocol) = (Session::new(client, user.clone(), true), one.protocol);
        let Running { command, argv, mark, order, parked } = running;
        let database = parked.as_ref().map_or(one.session.database, |parked| parked.database);
        let deadline = park.deadline_ms.map(Millis::new);
        let parking = Parking { command, argv, park, mark, order };
        let mut shards = parking.shards(&self.rules);
        if let Some(parked) = &parked {
            shards = shards.union(parked.shards);
        }
        let caller = Caller { client_id: client, user, database };
        let place = OnceCell::new();
        self.run_planned(&caller, Journal::new(), shards, &mut Writer::default(), |cx| {
            let waiter = cx.park(parking, &session, (0, protocol), parked.as_deref());
            // It is parked once.
            let _ = place.set(waiter);
        });
        if let (Some(one), Some(waiter)) = (self.clients.get_mut(&client), place.into_inner()) {
            one.waiting = Some((Waiting::Parked(waiter), deadline));
        }
    }

    /// The time of a parked call is over, or an operator says so: it is handed out again.
    pub(super) fn time_out_call(&mut self, waiter: &Waiter) {
        let (client, order) = (waiter.client, waiter.order);
        if let Some(Some((_, deadline))) = self.clients.get_mut(&client).map(|one| &mut one.waiting)
        {
            *deadline = None;
        }
        if waiter.start() {
            self.process.plugin_calls.push_back(Coming::Woken { client, order, key: None });
        }
    }
}

/// What a client hears whose plugin is gone.
const ORPHANED: &[u8] = b"-UNBLOCKED the plugin of this command was unloaded\r\n";
