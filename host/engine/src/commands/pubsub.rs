//! Publishing and subscribing. What is subscribed belongs to the process, not to a shard: see
//! [`Subscriptions`](crate::pubsub::Subscriptions).

use alloc::vec::Vec;

use super::help;
use crate::args::Args;
use crate::channels::Channels;
use crate::command::{Arity, Command, Flags, Group, Handler, command, container};
use crate::effects::Audience;
use crate::error::Error;
use crate::pubsub::TopicKind;
use crate::step::Cx;

const ANYTIME: Flags = Flags::PUBSUB.with(Flags::LOADING).with(Flags::STALE);
const LISTENING: Flags = ANYTIME.with(Flags::NOSCRIPT).with(Flags::WHILE_SUBSCRIBED);

const fn entry(name: &'static str, handler: Handler, arity: Arity, flags: Flags) -> Command {
    command(name, handler, arity).group(Group::Pubsub).flags(flags)
}

/// The family's entries.
pub(super) static TABLE: &[Command] = &[
    entry("SUBSCRIBE", subscribe, -2, LISTENING)
        .channels(Channels::All)
        .usage("channel [channel ...]")
        .since("2.0.0", "O(N) where N is the number of channels to subscribe to.")
        .summary("Listens for messages published to channels."),
    entry("UNSUBSCRIBE", unsubscribe, -1, LISTENING)
        .usage("[channel [channel ...]]")
        .since("2.0.0", "O(N) where N is the number of channels to unsubscribe.")
        .summary("Stops listening to messages posted to channels."),
    entry("PSUBSCRIBE", subscribe_patterns, -2, LISTENING)
        .channels(Channels::Patterns)
        .usage("pattern [pattern ...]")
        .since("2.0.0", "O(N) where N is the number of patterns to subscribe to.")
        .summary("Listens for messages published to channels that match one or more patterns."),
    entry("PUNSUBSCRIBE", unsubscribe_patterns, -1, LISTENING)
        .usage("[pattern [pattern ...]]")
        .since("2.0.0", "O(N) where N is the number of patterns to unsubscribe.")
        .summary("Stops listening to messages published to channels that match one or more patterns."),
    entry("PUBLISH", publish, 3, ANYTIME)
        .channels(Channels::First)
        .flags(Flags::MAY_REPLICATE)
        .fast()
        .usage("channel message")
        .since("2.0.0", "O(N+M) where N is the number of clients subscribed to the receiving channel and M is the total number of subscribed patterns (by any client).")
        .summary("Posts a message to a channel."),
    entry("SSUBSCRIBE", subscribe_shard_channels, -2, LISTENING)
        .channels(Channels::All)
        .flags(Flags::SHARD_CHANNELS)
        .usage("shardchannel [shardchannel ...]")
        .since("7.0.0", "O(N) where N is the number of shard channels to subscribe to.")
        .summary("Listens for messages published to shard channels."),
    entry("SUNSUBSCRIBE", unsubscribe_shard_channels, -1, LISTENING)
        .flags(Flags::SHARD_CHANNELS)
        .usage("[shardchannel [shardchannel ...]]")
        .since("7.0.0", "O(N) where N is the number of shard channels to unsubscribe.")
        .summary("Stops listening to messages posted to shard channels."),
    entry("SPUBLISH", publish_in_shard, 3, ANYTIME)
        .channels(Channels::First)
        .flags(Flags::SHARD_CHANNELS)
        .flags(Flags::MAY_REPLICATE)
        .fast()
        .usage("shardchannel message")
        .since("7.0.0", "O(N) where N is the number of clients subscribed to the receiving shard channel.")
        .summary("Posts a message to a shard channel."),
    container("PUBSUB", SUBCOMMANDS)
        .group(Group::Pubsub)
        .since("2.8.0", "Depends on subcommand.")
        .summary("A container for Pub/Sub commands."),
];

const fn subcommand(name: &'static str, handler: Handler, arity: Arity) -> Command {
    entry(name, handler, arity, ANYTIME).of("PUBSUB")
}

static SUBCOMMANDS: &[Command] = &[
    subcommand("CHANNELS", channels, -2)
        .usage("[pattern]")
        .since("2.8.0", "O(N) where N is the number of active channels, and assuming constant time pattern matching (relatively short channels and patterns)")
        .summary("Returns the active channels."),
    subcommand("NUMPAT", pattern_count, 2)
        .since("2.8.0", "O(1)")
        .summary("Returns a count of unique pattern subscriptions."),
    subcommand("NUMSUB", subscriber_counts, -2)
        .usage("[channel [channel ...]]")
        .since("2.8.0", "O(N) for the NUMSUB subcommand, where N is the number of requested channels")
        .summary("Returns a count of subscribers to channels."),
    subcommand("SHARDCHANNELS", shard_channels, -2)
        .usage("[pattern]")
        .since("7.0.0", "O(N) where N is the number of active shard channels, and assuming constant time pattern matching (relatively short shard channels).")
        .summary("Returns the active shard channels."),
    subcommand("SHARDNUMSUB", shard_subscriber_counts, -2)
        .usage("[shardchannel [shardchannel ...]]")
        .since("7.0.0", "O(N) for the SHARDNUMSUB subcommand, where N is the number of requested shard channels")
        .summary("Returns the count of subscribers of shard channels."),
    help::entry("PUBSUB").group(Group::Pubsub).since("6.2.0", "O(1)"),
];

fn subscribe(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    subscribe_to(cx, args, TopicKind::Channel, b"subscribe")
}

fn subscribe_patterns(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    subscribe_to(cx, args, TopicKind::Pattern, b"psubscribe")
}

fn subscribe_shard_channels(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    subscribe_to(cx, args, TopicKind::ShardChannel, b"ssubscribe")
}

/// Each topic has a reply of its own, in the form of a message.
fn subscribe_to(
    cx: &mut Cx<'_>,
    args: &mut Args<'_>,
    kind: TopicKind,
    word: &[u8],
) -> Result<(), Error> {
    let names: Vec<_> = args.rest().collect();
    let (client, home) = (cx.session.id, cx.host.home());
    let mut counts = Vec::with_capacity(names.len());
    cx.host.subscriptions(&mut |all, _| {
        counts.extend(names.iter().map(|name| all.subscribe(kind, name, client, home)));
    });
    for (name, counts) in names.iter().zip(&counts) {
        say(cx, word, Some(name), counts.told_with(kind));
    }
    cx.session.subscribed = counts.last().copied().unwrap_or_default();
    // In a transaction, of what its other commands change, too.
    cx.keys.look_for_followers();
    Ok(())
}

fn unsubscribe(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    unsubscribe_from(cx, args, TopicKind::Channel, b"unsubscribe")
}

fn unsubscribe_patterns(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    unsubscribe_from(cx, args, TopicKind::Pattern, b"punsubscribe")
}

fn unsubscribe_shard_channels(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    unsubscribe_from(cx, args, TopicKind::ShardChannel, b"sunsubscribe")
}

fn unsubscribe_from(
    cx: &mut Cx<'_>,
    args: &mut Args<'_>,
    kind: TopicKind,
    word: &[u8],
) -> Result<(), Error> {
    let (client, named) = (cx.session.id, args.left() > 0);
    let mut names: Vec<alloc::sync::Arc<[u8]>> = args.rest().map(Into::into).collect();
    let mut counts = Vec::with_capacity(names.len());
    let mut left = cx.session.subscribed;
    cx.host.subscriptions(&mut |all, _| {
        if !named {
            names = all.names_of(kind, client);
        }
        counts.extend(names.iter().map(|name| all.unsubscribe(kind, name, client)));
        left = all.counts_of(client);
    });
    for (name, counts) in names.iter().zip(&counts) {
        say(cx, word, Some(name), counts.told_with(kind));
    }
    if names.is_empty() {
        say(cx, word, None, left.told_with(kind));
    }
    cx.session.subscribed = left;
    Ok(())
}

fn say(cx: &mut Cx<'_>, word: &[u8], name: Option<&[u8]>, count: usize) {
    cx.session.reply_is_push = true;
    cx.reply.push(3);
    cx.reply.bulk(word);
    match name {
        Some(name) => cx.reply.bulk(name),
        None => cx.reply.nil(),
    }
    cx.reply.integer(count as i64);
}

fn publish(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (channel, message) = (args.bytes()?, args.bytes()?);
    let received = cx.publish(channel, message);
    cx.repeat(args.argv(), Audience::ReplicasOnly);
    cx.reply.integer(received as i64);
    Ok(())
}

fn publish_in_shard(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (channel, message) = (args.bytes()?, args.bytes()?);
    let mut received = 0;
    cx.host.subscriptions(&mut |all, send| {
        received = all.publish_in_shard(channel, message, send);
    });
    cx.repeat(args.argv(), Audience::ReplicasOnly);
    cx.reply.integer(received as i64);
    Ok(())
}

fn channels(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    list(cx, args, TopicKind::Channel)
}

fn shard_channels(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    list(cx, args, TopicKind::ShardChannel)
}

fn list(cx: &mut Cx<'_>, args: &mut Args<'_>, kind: TopicKind) -> Result<(), Error> {
    let pattern = args.maybe();
    if !args.is_done() {
        return Err(Error::subcommand_syntax(args.argv().get(1), "PUBSUB"));
    }
    let mut names = Vec::new();
    cx.host.subscriptions(&mut |all, _| names = all.matching(kind, pattern));
    cx.reply.array(names.len());
    names.iter().for_each(|name| cx.reply.bulk(name));
    Ok(())
}

fn subscriber_counts(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    count(cx, args, TopicKind::Channel)
}

fn shard_subscriber_counts(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    count(cx, args, TopicKind::ShardChannel)
}

fn count(cx: &mut Cx<'_>, args: &mut Args<'_>, kind: TopicKind) -> Result<(), Error> {
    let names: Vec<_> = args.rest().collect();
    let mut counts = Vec::with_capacity(names.len());
    cx.host.subscriptions(&mut |all, _| {
        counts.extend(names.iter().map(|name| all.subscribers_of(kind, name)));
    });
    cx.reply.array(2 * names.len());
    for (name, count) in names.iter().zip(counts) {
        cx.reply.bulk(name);
        cx.reply.integer(count as i64);
    }
    Ok(())
}

fn pattern_count(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    let mut count = 0;
    cx.host.subscriptions(&mut |all, _| count = all.len(TopicKind::Pattern));
    cx.reply.integer(count as i64);
    Ok(())
}
