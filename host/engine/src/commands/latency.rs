//! LATENCY: how long commands and other events took.

use alloc::vec::Vec;

use super::help;
use crate::args::Args;
use crate::command::{Arity, Command, Flags, Group, Handler, command, container};
use crate::error::Error;
use crate::latencies::{diagnosis, graph as draw};
use crate::step::Cx;
use crate::types::histogram::Histogram;

const ADMIN: Flags = Flags::ADMIN.with(Flags::NOSCRIPT).with(Flags::LOADING).with(Flags::STALE);
const OPERATOR: Flags = ADMIN.with(Flags::OWN);

/// The family's entries.
pub(super) static TABLE: &[Command] = &[container("LATENCY", SUBCOMMANDS)
    .group(Group::Server)
    .since("2.8.13", "Depends on subcommand.")
    .summary("A container for latency diagnostics commands.")];

const fn subcommand(name: &'static str, handler: Handler, arity: Arity) -> Command {
    command(name, handler, arity).of("LATENCY").group(Group::Server)
}

static SUBCOMMANDS: &[Command] = &[
    subcommand("DOCTOR", doctor, 2)
        .flags(OPERATOR)
        .since("2.8.13", "O(1)")
        .summary("Returns a human-readable latency analysis report."),
    subcommand("GRAPH", graph, 3)
        .flags(OPERATOR)
        .usage("event")
        .since("2.8.13", "O(1)")
        .summary("Returns a latency graph for an event."),
    subcommand("HISTOGRAM", histogram, -2)
        .flags(ADMIN)
        .usage("[command [command ...]]")
        .since(
            "7.0.0",
            "O(N) where N is the number of commands with latency information being retrieved.",
        )
        .summary("Returns the cumulative distribution of latencies of a subset or all commands."),
    subcommand("HISTORY", history, 3)
        .flags(OPERATOR)
        .usage("event")
        .since("2.8.13", "O(1)")
        .summary("Returns timestamp-latency samples for an event."),
    subcommand("LATEST", latest, 2)
        .flags(OPERATOR)
        .since("2.8.13", "O(1)")
        .summary("Returns the latest latency samples for all events."),
    subcommand("RESET", reset, -2)
        .flags(OPERATOR)
        .usage("[event [event ...]]")
        .since("2.8.13", "O(1)")
        .summary("Resets the latency data for one or more events."),
    subcommand("HELP", help, 2)
        .flags(Flags::LOADING)
        .flags(Flags::STALE)
        .since("2.8.13", "O(1)")
        .summary("Returns helpful text about the different subcommands."),
];

fn doctor(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    let threshold_ms = cx.keys.rules.settings.latency_threshold_ms;
    let reply = &mut *cx.reply;
    let mark = reply.mark();
    cx.host.latencies(&mut |latencies| {
        reply.verbatim(diagnosis(latencies, threshold_ms).as_bytes());
    });
    if !reply.wrote_since(mark) {
        reply.verbatim(b"");
    }
    Ok(())
}

fn graph(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let event = args.bytes()?;
    let now_s = cx.keys.now.seconds();
    let mut text = None;
    cx.host.latencies(&mut |latencies| {
        let known = latencies.iter().find(|(name, _)| name.as_bytes() == event);
        text = known.map(|(name, series)| draw(name, series, now_s));
    });
    let text = text.ok_or_else(|| Error::no_latency_samples(event))?;
    cx.reply.verbatim(text.as_bytes());
    Ok(())
}

fn history(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let event = args.bytes()?;
    let reply = &mut *cx.reply;
    let mark = reply.mark();
    let mut shown = 0;
    cx.host.latencies(&mut |latencies| {
        for sample in latencies.get(event).into_iter().flat_map(|series| series.samples()) {
            shown += 1;
            reply.array(2);
            reply.integer(sample.at_s as i64);
            reply.integer(sample.took_ms as i64);
        }
    });
    reply.array_since(mark, shown);
    Ok(())
}

fn latest(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    let reply = &mut *cx.reply;
    let mark = reply.mark();
    let mut shown = 0;
    cx.host.latencies(&mut |latencies| {
        for (event, series) in latencies.iter() {
            let Some(last) = series.samples().next_back() else { continue };
            shown += 1;
            reply.array(4);
            reply.bulk(event.as_bytes());
            reply.integer(last.at_s as i64);
            reply.integer(last.took_ms as i64);
            reply.integer(series.worst_ms as i64);
        }
    });
    reply.array_since(mark, shown);
    Ok(())
}

fn reset(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let events: Vec<_> = args.rest().collect();
    let mut forgotten = 0;
    cx.host.latencies(&mut |latencies| {
        forgotten = if events.is_empty() {
            latencies.clear()
        } else {
            events.iter().filter(|event| latencies.remove(event)).count()
        };
    });
    cx.reply.integer(forgotten as i64);
    Ok(())
}

fn histogram(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let names: Vec<_> = args.rest().collect();
    let registry = cx.registry;
    let is_wanted = |id: u16| {
        let Some(command) = registry.by_id(id) else { return false };
        let full = command.full_name();
        // A container's name means all of its sub-commands.
        let is_named = |name: &&[u8]| {
            name.eq_ignore_ascii_case(full.as_bytes())
                || name.eq_ignore_ascii_case(command.parent.as_bytes())
                    && !command.parent.is_empty()
        };
        names.is_empty() || names.iter().any(is_named)
    };
    let reply = &mut *cx.reply;
    let mark = reply.mark();
    let mut shown = 0;
    cx.host.histograms(&mut |id, histogram| {
        let Some(command) = registry.by_id(id).filter(|_| is_wanted(id)) else { return };
        shown += 1;
        reply.bulk(command.full_name().as_bytes());
        say_histogram(reply, histogram);
    });
    reply.map_since(mark, shown);
    Ok(())
}

fn say_histogram(reply: &mut reef_resp::Writer, histogram: &Histogram) {
    reply.map(2);
    reply.bulk(b"calls");
    reply.integer(histogram.total() as i64);
    reply.bulk(b"histogram_usec");
    let bounds = histogram.cumulative_us();
    reply.map(bounds.len());
    for (bound_us, count) in bounds {
        reply.integer(bound_us as i64);
        reply.integer(count as i64);
    }
}

fn help(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    help::say(cx.reply, "LATENCY", LINES);
    Ok(())
}

const LINES: &[&str] = &[
    "DOCTOR",
    "    Return a human readable latency analysis report.",
    "GRAPH <event>",
    "    Return an ASCII latency graph for the <event> class.",
    "HISTORY <event>",
    "    Return time-latency samples for the <event> class.",
    "LATEST",
    "    Return the latest latency samples for all events.",
    "RESET [<event> ...]",
    "    Reset latency data of one or more <event> classes.",
    "    (default: reset all data for all event classes)",
    "HISTOGRAM [COMMAND ...]",
    "    Return a cumulative distribution of latencies in the format of a histogram for the specified command names.",
    "    If no commands are specified then all histograms are replied.",
];
