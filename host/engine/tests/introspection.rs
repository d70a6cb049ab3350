//! COMMAND INFO and COMMAND DOCS against real redis-servers, for every command that both have. What
//! a command costs is each server's own and not compared.
//!
//! The servers are found as the transcripts' judges are: a 7.0 on PATH, a 7.2 by `REDIS_SERVER_7_2`.
//! Without one there is no judge: the test says so and passes, unless `REEF_REQUIRE_PEERS=1`
//! demands it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use reef_transcript::{Kind, Patience, Peer, Received, RedisServer, Reply, TcpPeer, format_reply};

use crate::judge::judge;
use crate::peer::SoloPeer;

/// Where Reef says something else than any Redis: command, field, why.
const DIFFERENCES: &[(&str, &str, &str)] = &[
    ("client|kill", "arguments", "MAXAGE is younger than Redis 7.2"),
    ("debug", "arguments", "Redis hides what DEBUG takes"),
    ("failover", "arguments", "in Redis FORCE is in the block behind TO"),
    ("flushdb", "summary", "in Redis an imperative"),
    ("hscan", "arguments", "NOVALUES is younger than Redis 7.2"),
    ("lolwut", "summary", "in Redis without a full stop"),
    ("module|loadex", "arguments", "in Redis a block of one argument"),
    ("psubscribe", "arguments", "in Redis a block of one argument"),
    ("set", "arguments", "IFEQ is younger than Redis 7.2"),
    ("setnx", "summary", "in Redis an imperative"),
    ("spublish", "summary", "in Redis an imperative without a full stop"),
    ("srandmember", "summary", "in Redis without a full stop"),
    ("xclaim", "arguments", "in 7.2 one id is called ID, in 7.0 two are called id"),
    ("xtrim", "arguments", "in Redis a block that is there exactly once"),
    ("zscan", "arguments", "NOSCORES is younger than Redis 7.2"),
];

/// Where Redis 7.2 says something else than 7.0, and Reef follows: command, field.
const SINCE_7_2: &[(&str, &str)] = &[
    ("acl|cat", "arguments"),
    ("acl|deluser", "tips"),
    ("acl|save", "tips"),
    ("acl|setuser", "tips"),
    ("bitop", "arguments"),
    ("blmove", "flags"),
    ("blpop", "flags"),
    ("brpop", "flags"),
    ("brpoplpush", "flags"),
    ("bzpopmax", "flags"),
    ("bzpopmin", "flags"),
    ("latency|reset", "tips"),
    ("client|list", "arguments"),
    ("client|setname", "tips"),
    ("command|getkeys", "arguments"),
    ("command|getkeys", "arity"),
    ("command|getkeysandflags", "arguments"),
    ("command|getkeysandflags", "arity"),
    ("config|get", "arguments"),
    ("config|resetstat", "tips"),
    ("config|rewrite", "tips"),
    ("geohash", "arguments"),
    ("geopos", "arguments"),
    ("georadius", "arguments"),
    ("georadiusbymember", "arguments"),
    ("lcs", "arguments"),
    ("migrate", "arguments"),
    ("msetnx", "tips"),
    ("pfmerge", "arguments"),
    ("psetex", "deprecated_since"),
    ("psetex", "replaced_by"),
    ("quit", "deprecated_since"),
    ("quit", "replaced_by"),
    ("randomkey", "tips"),
    ("scan", "tips"),
    ("setex", "deprecated_since"),
    ("setex", "replaced_by"),
    ("setnx", "deprecated_since"),
    ("setnx", "replaced_by"),
    ("wait", "flags"),
    ("xgroup|create", "arguments"),
    ("xgroup|createconsumer", "arguments"),
    ("xgroup|delconsumer", "arguments"),
    ("xgroup|destroy", "arguments"),
    ("xgroup|setid", "arguments"),
    ("xinfo|consumers", "arguments"),
    ("xinfo|stream", "arguments"),
    ("xsetid", "arguments"),
    ("zrank", "arguments"),
    ("zrank", "arity"),
    ("zrevrank", "arguments"),
    ("zrevrank", "arity"),
];

/// What a peer tells of its commands: field by field, as text.
type Told = BTreeMap<String, BTreeMap<&'static str, String>>;

fn ask(peer: &mut dyn Peer, commands: &[&[&str]]) -> Vec<Reply> {
    let client = peer.connect().expect("the peer takes connections");
    let mut replies = Vec::new();
    for words in commands {
        let args: Vec<Vec<u8>> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        peer.send(client, &args).expect("the peer takes commands");
        match peer.receive(client, Patience::Something).expect("the peer answers") {
            Received::Reply(reply) => replies.push(reply),
            other => panic!("{words:?} got {other:?}"),
        }
    }
    replies
}

fn told_by(peer: &mut dyn Peer) -> Told {
    let replies = ask(peer, &[&["HELLO", "3"], &["COMMAND"], &["COMMAND", "DOCS"]]);
    let mut told = Told::new();
    items(&replies[1]).iter().for_each(|entry| read_info(entry, &mut told));
    read_docs(&replies[2], &mut told);
    told
}

fn items(reply: &Reply) -> &[Reply] {
    match reply {
        Reply::Array(items) | Reply::Set(items) => items,
        other => panic!("no list: {other:?}"),
    }
}

fn pairs(reply: &Reply) -> &[(Reply, Reply)] {
    match reply {
        Reply::Map(pairs) => pairs,
        other => panic!("no map: {other:?}"),
    }
}

fn text(reply: &Reply) -> String {
    match reply {
        Reply::Bulk(bytes) | Reply::Status(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        other => panic!("no text: {other:?}"),
    }
}

fn field<'r>(map: &'r Reply, name: &str) -> Option<&'r Reply> {
    pairs(map).iter().find(|(key, _)| text(key) == name).map(|(_, value)| value)
}

fn read_info(entry: &Reply, told: &mut Told) {
    let parts = items(entry);
    let words = |part: &Reply| items(part).iter().map(text).collect::<Vec<_>>();
    let mut tips = words(&parts[7]);
    tips.sort();
    let fields = told.entry(text(&parts[0])).or_default();
    fields.insert("arity", format_reply(&parts[1]));
    fields.insert("flags", words(&parts[2]).join(" "));
    fields.insert("first key", format_reply(&parts[3]));
    fields.insert("last key", format_reply(&parts[4]));
    fields.insert("step", format_reply(&parts[5]));
    fields.insert("categories", words(&parts[6]).join(" "));
    fields.insert("tips", tips.join(" "));
    fields.insert("key specifications", format_reply(&parts[8]));
    items(&parts[9]).iter().for_each(|subcommand| read_info(subcommand, told));
}

fn read_docs(docs: &Reply, told: &mut Told) {
    for (name, doc) in pairs(docs) {
        let fields = told.entry(text(name)).or_default();
        for name in ["summary", "since", "group", "deprecated_since", "replaced_by"] {
            fields.insert(name, field(doc, name).map(text).unwrap_or_default());
        }
        let arguments = field(doc, "arguments").map(signature).unwrap_or_default();
        fields.insert("arguments", arguments);
        if let Some(subcommands) = field(doc, "subcommands") {
            read_docs(subcommands, told);
        }
    }
}

/// Arguments as one line: `key:key [NX|XX] [EX seconds:integer]`. Names of groups are left out:
/// nobody types them.
fn signature(arguments: &Reply) -> String {
    let arguments: Vec<_> = items(arguments).iter().map(argument).collect();
    arguments.join(" ")
}

fn argument(argument: &Reply) -> String {
    let word = |name: &str| field(argument, name).map(text);
    let flags: Vec<_> = field(argument, "flags").map_or(&[][..], items).iter().map(text).collect();
    let has = |flag: &str| flags.iter().any(|other| other == flag);
    let kind = word("type").unwrap_or_default();
    let parts = || field(argument, "arguments").map_or(&[][..], items).iter().map(self::argument);
    let body = match &*kind {
        "oneof" => format!("<{}>", parts().collect::<Vec<_>>().join("|")),
        "block" => format!("({})", parts().collect::<Vec<_>>().join(" ")),
        "pure-token" => String::new(),
        _ => {
            let name = word("display_text").or_else(|| word("name")).unwrap_or_default();
            let index = field(argument, "key_spec_index").map(format_reply);
            let index = index.map(|index| index.replace("(integer) ", "#")).unwrap_or_default();
            format!("{name}:{kind}{index}")
        }
    };
    let token = word("token").map(|token| token + if body.is_empty() { "" } else { " " });
    let full = token.unwrap_or_default() + &body;
    match (has("multiple"), has("optional")) {
        (false, false) => full,
        (false, true) => format!("[{full}]"),
        (true, optional) => {
            let again = if has("multiple_token") { &full } else { &body };
            let both = format!("{full} [{again} ...]");
            if optional { format!("[{both}]") } else { both }
        }
    }
}

/// The deviations from a server that no list explains, and the explanations that explain nothing.
fn deviations(program: &OsStr, kind: Kind) -> Vec<String> {
    let server = RedisServer::start(program).expect("redis-server starts");
    let theirs = told_by(&mut TcpPeer::new(server.address(), kind));
    let ours = told_by(&mut SoloPeer::new(1));
    let mut unused: Vec<(&str, &str)> =
        DIFFERENCES.iter().map(|(command, field, _)| (*command, *field)).collect();
    if kind == Kind::Oracle {
        unused.extend(SINCE_7_2);
    }
    if kind == Kind::Oracle {
        unused.retain(|(_, field)| *field != "summary");
    }
    let explained = unused.clone();
    let mut found = Vec::new();
    for (command, fields) in &ours {
        let Some(others) = theirs.get(command) else { continue };
        for (field, ours) in fields {
            // 7.2 rewrote all summaries, and Reef has those.
            let rewritten = kind == Kind::Oracle && *field == "summary";
            if ours == &others[field] || rewritten {
                continue;
            }
            let listed = (command.as_str(), *field);
            unused.retain(|explanation| *explanation != listed);
            if !explained.contains(&listed) {
                found.push(format!(
                    "{command}, {field}:\n  Redis {}\n  Reef  {ours}",
                    others[field]
                ));
            }
        }
    }
    found
        .extend(unused.iter().map(|(command, field)| format!("{command}, {field}: no difference")));
    found
}

fn check(program: Option<OsString>, line: &str, kind: Kind) {
    let Some(program) = judge(program, line) else { return };
    let found = deviations(&program, kind);
    assert!(found.is_empty(), "{} differences\n\n{}", found.len(), found.join("\n"));
}

#[test]
fn the_table_tells_what_redis_7_0_tells() {
    check(Some("redis-server".into()), "7.0.", Kind::Oracle);
}

#[test]
fn the_table_tells_what_redis_7_2_tells() {
    check(std::env::var_os("REDIS_SERVER_7_2"), "7.2.", Kind::Newer);
}

/// Fields that expire are younger than 7.2. Their summaries are our own.
#[test]
fn the_table_tells_of_fields_that_expire_what_redis_7_4_tells() {
    let Some(program) = judge(std::env::var_os("REDIS_SERVER_7_4"), "7.4.") else { return };
    let server = RedisServer::start(&program).expect("redis-server starts");
    let theirs = told_by(&mut TcpPeer::new(server.address(), Kind::Newer));
    let mut compared = 0;
    for (command, mut ours) in told_by(&mut SoloPeer::new(1)) {
        let mut others = theirs.get(&command).cloned().unwrap_or_default();
        if ours.get("since").is_some_and(|since| since == "7.4.0") {
            ours.remove("summary");
            others.remove("summary");
            assert_eq!(ours, others, "{command}");
            compared += 1;
        }
    }
    assert_eq!(compared, 9);
}

#[test]
fn what_is_compared_is_there() {
    let told = told_by(&mut SoloPeer::new(1));
    assert!(told.len() > 100, "{}", told.len());
    let fields = &told["set"];
    assert_eq!(fields["arity"], "(integer) -3");
    assert!(fields["arguments"].starts_with("key:key#0 value:string [<NX|XX|IFEQ "));
    assert!(told.contains_key("client|list"));
}
