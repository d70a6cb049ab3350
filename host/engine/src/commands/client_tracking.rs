//! CLIENT TRACKING and its relatives: what a client caches of what it reads, and who tells it to
//! forget. The tables are in [`Tracking`](crate::tracking::Tracking).

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::client::subcommand;
use crate::args::Args;
use crate::command::Command;
use crate::error::Error;
use crate::session::Caching;
use crate::step::Cx;
use crate::tracking::{self, Scope, Seat, TrackingOptions, TrackingState};

pub(super) const TRACKING: Command = subcommand("TRACKING", track, -3)
    .usage("<ON|OFF> [REDIRECT client-id] [PREFIX prefix [PREFIX prefix ...]] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]")
    .since("6.0.0", "O(1). Some options may introduce additional complexity.")
    .summary("Controls server-assisted client-side caching for the connection.");

pub(super) const CACHING: Command = subcommand("CACHING", caching, 3)
    .usage("<YES|NO>")
    .since("6.0.0", "O(1)")
    .summary("Instructs the server whether to track the keys in the next request.");

pub(super) const GETREDIR: Command =
    subcommand("GETREDIR", get_redirection, 2).since("6.0.0", "O(1)").summary(
        "Returns the client ID to which the connection's tracking notifications are redirected.",
    );

pub(super) const TRACKINGINFO: Command = subcommand("TRACKINGINFO", info, 2)
    .since("6.2.0", "O(1)")
    .summary("Returns information about server-assisted client-side caching for the connection.");

/// What CLIENT TRACKING was given.
#[derive(Default)]
struct Wish<'a> {
    redirect: Option<Seat>,
    broadcast: bool,
    opt_in: bool,
    opt_out: bool,
    no_loop: bool,
    prefixes: Vec<&'a [u8]>,
}

impl Wish<'_> {
    fn scope(&self) -> Scope {
        match (self.broadcast, self.opt_in, self.opt_out) {
            (true, ..) => Scope::Broadcast,
            (_, true, _) => Scope::OptIn,
            (.., true) => Scope::OptOut,
            _ => Scope::Read,
        }
    }

    /// Refuses what does not go together, or not with how the client tracks already.
    fn check(&self, before: Option<&TrackingState>) -> Result<(), Error> {
        if !self.broadcast && !self.prefixes.is_empty() {
            return Err(Error::PREFIX_WITHOUT_BROADCAST);
        }
        let before = before.map(|state| &state.options);
        let was = |scope: Scope| before.is_some_and(|options| options.scope == scope);
        if before.is_some() && was(Scope::Broadcast) != self.broadcast {
            return Err(Error::BROADCAST_SWITCHED);
        }
        if self.broadcast && (self.opt_in || self.opt_out) {
            return Err(Error::OPTIONS_OF_BROADCAST);
        }
        if self.opt_in && self.opt_out {
            return Err(Error::OPT_IN_AND_OUT);
        }
        if self.opt_in && was(Scope::OptOut) || self.opt_out && was(Scope::OptIn) {
            return Err(Error::OPTION_SWITCHED);
        }
        let none = BTreeSet::new();
        let existing = before.map_or(&none, |options| &options.prefixes);
        match tracking::overlapping(&self.prefixes, existing) {
            Some((prefix, other, exists)) => Err(Error::prefix_overlap(prefix, other, exists)),
            None => Ok(()),
        }
    }

    fn options(self) -> TrackingOptions {
        let scope = self.scope();
        let mut prefixes: BTreeSet<Box<[u8]>> = self.prefixes.into_iter().map(Box::from).collect();
        if scope == Scope::Broadcast && prefixes.is_empty() {
            prefixes.insert(Box::default());
        }
        TrackingOptions { scope, redirect: self.redirect, no_loop: self.no_loop, prefixes }
    }
}

fn track(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let word = args.bytes()?;
    let wish = wish(cx, args)?;
    if word.eq_ignore_ascii_case(b"off") {
        cx.end_tracking();
    } else if word.eq_ignore_ascii_case(b"on") {
        wish.check(state(cx).as_ref())?;
        start(cx, wish.options());
    } else {
        return Err(Error::Syntax);
    }
    cx.reply.ok();
    Ok(())
}

/// The options behind ON or OFF, in any order.
fn wish<'a>(cx: &Cx<'_>, args: &mut Args<'a>) -> Result<Wish<'a>, Error> {
    let mut wish = Wish::default();
    while !args.is_done() {
        let more = args.left() > 1;
        if more && args.keyword("REDIRECT") {
            if wish.redirect.is_some() {
                return Err(Error::ONE_REDIRECTION);
            }
            let client = args.integer()? as u64;
            let home = cx.host.home_of(client).ok_or(Error::NO_REDIRECTION_TARGET)?;
            wish.redirect = Some(Seat { client, home });
        } else if more && args.keyword("PREFIX") {
            wish.prefixes.push(args.bytes()?);
        } else {
            match args.one_of(&["BCAST", "OPTIN", "OPTOUT", "NOLOOP"]) {
                Some(0) => wish.broadcast = true,
                Some(1) => wish.opt_in = true,
                Some(2) => wish.opt_out = true,
                Some(_) => wish.no_loop = true,
                None => return Err(Error::Syntax),
            }
        }
    }
    Ok(wish)
}

fn start(cx: &mut Cx<'_>, options: TrackingOptions) {
    let asked = cx.session.caching.is_some_and(|caching| caching.asked);
    cx.session.caching = Some(Caching { scope: options.scope, asked });
    let seat = Seat { client: cx.session.id, home: cx.host.home() };
    cx.host.tracking(&mut |all, _| all.enable(seat, options.clone()));
    if let Some(target) = options.redirect.filter(|target| cx.host.home_of(target.client).is_none())
    {
        // It has gone just now, and was forgotten before it was known.
        cx.host.tracking(&mut |all, _| all.forget(target.client));
    }
    cx.keys.look_for_followers();
}

/// How the client tracks. Only who does needs to ask.
fn state(cx: &mut Cx<'_>) -> Option<TrackingState> {
    let client = cx.session.caching.map(|_| cx.session.id)?;
    let mut state = None;
    cx.host.tracking(&mut |all, _| state = all.state_of(client));
    state
}

fn caching(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let caching = cx.session.caching.as_mut().ok_or(Error::CACHING_WITHOUT_OPTION)?;
    match args.one_of(&["YES", "NO"]).ok_or(Error::Syntax)? {
        0 if caching.scope != Scope::OptIn => return Err(Error::CACHING_YES),
        1 if caching.scope != Scope::OptOut => return Err(Error::CACHING_NO),
        _ => caching.asked = true,
    }
    cx.reply.ok();
    Ok(())
}

/// -1: does not track; 0: hears of it itself.
fn get_redirection(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    let redirection = redirection(state(cx).as_ref());
    cx.reply.integer(redirection);
    Ok(())
}

pub(super) fn redirection(state: Option<&TrackingState>) -> i64 {
    state.map_or(-1, |state| state.options.redirect.map_or(0, |target| target.client as i64))
}

fn info(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    let state = state(cx);
    let asked = cx.session.caching.is_some_and(|caching| caching.asked);
    let options = state.as_ref().map(|state| &state.options);
    let is = |scope: Scope| options.is_some_and(|options| options.scope == scope);
    let flags = [
        (options.is_none(), "off"),
        (options.is_some(), "on"),
        (is(Scope::Broadcast), "bcast"),
        (is(Scope::OptIn), "optin"),
        (is(Scope::OptIn) && asked, "caching-yes"),
        (is(Scope::OptOut), "optout"),
        (is(Scope::OptOut) && asked, "caching-no"),
        (options.is_some_and(|options| options.no_loop), "noloop"),
        (state.as_ref().is_some_and(|state| state.is_broken), "broken_redirect"),
    ];
    let flags: Vec<_> = flags.iter().filter(|(holds, _)| *holds).collect();
    cx.reply.map(3);
    cx.reply.bulk(b"flags");
    cx.reply.set(flags.len());
    flags.iter().for_each(|(_, flag)| cx.reply.bulk(flag.as_bytes()));
    cx.reply.bulk(b"redirect");
    cx.reply.integer(redirection(state.as_ref()));
    cx.reply.bulk(b"prefixes");
    let prefixes = options.map(|options| &options.prefixes);
    cx.reply.array(prefixes.map_or(0, BTreeSet::len));
    prefixes.into_iter().flatten().for_each(|prefix| cx.reply.bulk(prefix));
    Ok(())
}

impl Cx<'_> {
    /// Ends the client's tracking.
    pub(super) fn end_tracking(&mut self) {
        if self.session.caching.take().is_some() {
            let client = self.session.id;
            self.host.tracking(&mut |all, _| all.disable(client));
        }
    }

    /// Ends the client's subscriptions without a word.
    pub(super) fn end_subscriptions(&mut self) {
        if core::mem::take(&mut self.session.subscribed).any() {
            let client = self.session.id;
            self.host.subscriptions(&mut |all, _| all.forget(client));
        }
    }
}
