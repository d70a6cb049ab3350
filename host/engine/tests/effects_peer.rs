//! Effects are what a redis-server writes into its append-only file for the same commands.
//!
//! The judges are found as in `walk.rs`. What differs by nature is made equal: times of today, ids
//! made of them, and which members were drawn by chance. Where Reef says more, because Redis leaves
//! something out that a copy then lacks, the story says so: see [`Story::more`].

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use reef_engine::effects::Audience;
use reef_transcript::{ClientId, Kind, Patience, Peer, RedisServer, Reply, TcpPeer, decode};

use crate::judge::judge;
use crate::peer::SoloPeer;

/// What happens, line by line: a command; `~` and one that waits, of a client of its own; `+` and so
/// many milliseconds that pass; `#` and a command that only Reef says, at this place.
struct Story(&'static str);

const STORIES: &[Story] = &[
    Story(
        "SET k v\nSET k v EX 100\nSET k v PX 100000 GET\nSET k v NX\nSET k2 v NX GET\nSET k w XX KEEPTTL\n\
         SET k v EXAT 4000000000\nSET k v PXAT 4000000000000\n\
         set k v get Get\nSETEX k 100 v\nPSETEX k 100000 v\nGETSET k w\nGETEX k EX 100\nGETEX k PX 100000\n\
         GETEX k PERSIST\nGETEX k PERSIST\nGETEX k\nGETEX k EXAT 4000000000\nGETEX k PXAT 1\nGETEX k\n\
         SET k v\nGETDEL k\nGETDEL k\nINCRBYFLOAT f 1.5\nINCRBYFLOAT f 1e3\nINCR n\nincrby n 5\nDECR n\nAPPEND k ab\n\
         SETRANGE k 1 xy\nSETRANGE none 0 \nMSET a 1 b 2\nMSETNX a 1 c 2\nMSETNX c 1 d 2\nSETNX a 1\nSETNX e 1\n\
         SETBIT bits 7 1\nBITOP NOT to bits\nBITFIELD bits SET u8 0 5 GET u4 0\nBITFIELD bits GET u4 0\n\
         PFADD hll a b\nPFADD hll a\nPFMERGE all hll\nPFCOUNT hll all\nPFCOUNT hll\nPFCOUNT hll\nPFADD hll c\nPFCOUNT hll",
    ),
    Story(
        "SET k v\nEXPIRE k 100\nPEXPIRE k 200000 GT\nEXPIREAT k 4000000000 XX\nPEXPIREAT k 4000000000000\n\
         pexpireat k 5000000000000 gt\nEXPIRE k 1 GT\nPERSIST k\nPERSIST k\nEXPIRE k -1\nEXPIRE k 5\nSET k v\n\
         PEXPIREAT k 1\nSET k v\nCONFIG SET lazyfree-lazy-expire yes\nEXPIREAT k 1\nSET k v\nGETEX k PXAT 1\n\
         CONFIG SET lazyfree-lazy-expire no\nEXPIRE none 5",
    ),
    Story(
        "DEBUG SET-ACTIVE-EXPIRE 0\nSET k v PX 5\nSET l v PX 5\nSADD s a\nPEXPIRE s 5\nSADD t b\n+20\nGET k\n\
         GET k\nMGET l k\nSUNIONSTORE to s t\nSET k 5 PX 5\n+20\nINCR k\nSET k v PX 5\n+20\nSET k w KEEPTTL\n\
         SET k v PX 5\n+20\nDEL k\nSET k v PX 5\n+20\nTTL k\nSET k v PX 5\n+20\nEXISTS k\nSET k v PX 5\n\
         +20\nTYPE k\nSADD s a\nPEXPIRE s 5\n+20\nSMOVE s t a\nSET k v PX 5\nSET l v PX 5\n+20\nMGET k l\n\
         SET k v PX 5\n+20\nRENAME k l\nSET l v PX 5\nSET k v\n+20\nRENAME k l\nSET l v PX 5\nSET k v\n+20\n\
         RENAMENX k l\nSET k v PX 5\n+20\nEXPIRE k 100\nRPUSH list 1\nPEXPIRE list 5\n+20\n\
         RPUSH list 2\nSET k v PX 5\n+20\nSETNX k w\nDEBUG SET-ACTIVE-EXPIRE 1",
    ),
    Story("SET k v PX 20\nSET other w\n+700\nSET k w"),
    Story(
        "MULTI\nSET a 1\nGET a\nINCR b\nEXEC\nMULTI\nSET a 1\nEXEC\nMULTI\nGET a\nEXEC\nMULTI\nEXPIRE a 100\n\
         SELECT 1\nSET a 2\nLPUSH a x\nSELECT 0\nEXEC\nMULTI\nSET a 1\nDISCARD",
    ),
    Story(
        "SET a 1\nSELECT 1\nSET b 2\nMOVE b 0\nSELECT 0\nCOPY a c DB 2\nCOPY a d\nCOPY a d REPLACE\nSWAPDB 0 1\nSWAPDB 1 1\n\
         FLUSHDB\nflushdb async\nSELECT 1\nRENAME a e\nRENAME e e\nRENAMENX e f\nUNLINK f none\nDEL none",
    ),
    Story(
        "RPUSH l 1 2 3 4 5 6 7 8 9\nLPOP l\nRPOP l 2\nLPOP l 0\nLMPOP 2 none l LEFT COUNT 2\nLMOVE l m LEFT RIGHT\n\
         RPOPLPUSH m l\nBLPOP none l 1\nBRPOP l 1\nRPUSH l 1 2 3\nBLMOVE l m LEFT RIGHT 1\nbrpoplpush l m 1\n\
         BLMPOP 1 2 none m RIGHT COUNT 10\nLPUSHX none 1\nRPUSH l x y\nLINSERT l BEFORE x a\nLSET l 0 b\n\
         LREM l 0 none\nLREM l 0 b\nLTRIM l 0 -1\nLTRIM l 0 0",
    ),
    Story(
        "~BLPOP l 0\nRPUSH l 1\n~BLMOVE l m left right 0\nRPUSH l 1\n~BRPOPLPUSH m n 0\n~BLMPOP 0 1 n RIGHT\n\
         RPUSH m 7\n~BZPOPMIN z 0\nZADD z 1 a 2 b\n~BZMPOP 0 1 y MAX COUNT 5\nMULTI\nZADD y 1 a\nZADD y 2 b\n\
         SET other 1\nEXEC",
    ),
    Story(
        "ZADD z 1 a 2 b 3 c 4 d 5 e\nZADD z 1 a\nZADD z XX GT 9 a\nZINCRBY z 1.5 b\nZADD z INCR 2 c\nZPOPMIN z\n\
         ZPOPMAX z 2\nZMPOP 2 none z MAX COUNT 9\nZADD z 1 a 2 b 3 c 4 d\nBZPOPMAX none z 1\nBZMPOP 1 1 z MIN\n\
         ZREM z none\nZREMRANGEBYRANK z 0 0\nZUNIONSTORE to 1 z\nZRANGESTORE to z 0 -1\nZDIFFSTORE to 2 z z",
    ),
    Story(
        "SADD s a b c d\nSADD s a\nSREM s none\nSPOP s\nSPOP s 5\nSPOP s\nSADD s a\nSPOP s\nSADD s a\n\
         SMOVE s t a\nSINTERSTORE to s t\nSDIFFSTORE to t s",
    ),
    Story(
        "HSET h a 1 b 2\nHSET h a 1\nHINCRBY h a 5\nHINCRBYFLOAT h a 1.25\nHSETNX h a 1\nHDEL h none\nHDEL h a b",
    ),
    Story(
        "GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania\nGEOADD g NX CH 13.361389 38.115556 Palermo\n\
         GEOADD g XX CH 13.3 38.1 Palermo\nGEORADIUS g 15 37 200 km STORE to\nGEORADIUS g 15 37 200 km\n\
         GEOSEARCHSTORE to g FROMLONLAT 15 37 BYRADIUS 200 km\nRPUSH l 3 1 2\nSORT l STORE to\nSORT l",
    ),
    Story(
        "RESTORE k 0 <dump>\nRESTORE k 100000 <dump> REPLACE\nRESTORE k 4000000000000 <dump> REPLACE ABSTTL\n\
         restore k 100000 <dump> replace idletime 5\nRESTORE k 1 <dump> ABSTTL REPLACE\nRESTORE k 1 <dump> ABSTTL REPLACE",
    ),
    Story(
        "XADD s 1-1 a 1\nXADD s 2-* a 1\nXADD s * a 1\nXADD s MAXLEN 2 * a 1\nXADD none NOMKSTREAM * a 1\n\
         XADD s MAXLEN ~ 2 * a 1\nXADD s MINID ~ 5 LIMIT 10 * a 1\nXADD s MINID = 5 * a 1\n\
         CONFIG SET stream-node-max-entries 2\nXADD t 1-1 a 1\nXADD t 2-1 a 1\nXADD t 3-1 a 1\nXADD t 4-1 a 1\n\
         XTRIM t MAXLEN ~ 2\nXTRIM t MAXLEN ~ 9\nXTRIM t MINID ~ 4-1 LIMIT 1\nXADD t MAXLEN ~ 1 9-1 a 1\n\
         XADD t MINID ~ 9-1 9-2 a 1\nXTRIM t MAXLEN 1\nXDEL t 9-2 8-1\nXDEL t 8-1\nXSETID t 10-1\n\
         CONFIG SET stream-node-max-entries 100",
    ),
    Story(
        "XADD s 1-1 a 1\nXADD s 2-1 a 1\nXADD s 3-1 a 1\nXADD s 4-1 a 1\nXADD s 5-1 a 1\nXGROUP CREATE s g 0\n\
         XREADGROUP GROUP g alice COUNT 2 STREAMS s >\n#XGROUP SETID s g 2-1 ENTRIESREAD 2\n\
         XREADGROUP GROUP g bob NOACK COUNT 1 STREAMS s >\n\
         XREADGROUP GROUP g alice STREAMS s 0\n\
         #XCLAIM s g alice 0 1-1 TIME T RETRYCOUNT 2 FORCE JUSTID LASTID 3-1\n\
         #XCLAIM s g alice 0 2-1 TIME T RETRYCOUNT 2 FORCE JUSTID LASTID 3-1\n\
         XREADGROUP GROUP g bob STREAMS s 0\nXREADGROUP GROUP g carol STREAMS s 0\n#XGROUP CREATECONSUMER s g carol\n\
         XACK s g 1-1\nXACK s g 1-1\nXCLAIM s g bob 0 2-1\nXCLAIM s g bob 0 4-1 FORCE TIME 1000 RETRYCOUNT 7\n\
         XCLAIM s g bob 0 9-1 LASTID 4-1\nXCLAIM s g dave 1000000 2-1\n#XGROUP CREATECONSUMER s g dave\n\
         XDEL s 2-1\nXCLAIM s g bob 0 2-1\nXAUTOCLAIM s g carol 0 - JUSTID\nXDEL s 4-1\nXAUTOCLAIM s g carol 0 -\n\
         XGROUP CREATECONSUMER s g erin\nXGROUP CREATECONSUMER s g erin\nXGROUP DELCONSUMER s g erin\n\
         XGROUP SETID s g $\nXGROUP SETID s g 0 ENTRIESREAD 0\nXGROUP CREATE t g $ MKSTREAM\n~XREADGROUP GROUP g bob BLOCK 0 STREAMS t >\n\
         #XGROUP CREATECONSUMER t g bob\nXADD t 1-1 a 1\n#XGROUP SETID t g 1-1 ENTRIESREAD 1\nXGROUP DESTROY t g\nXGROUP DESTROY t g",
    ),
    Story("PUBLISH c m\nSPUBLISH c m\nDEBUG SLEEP 0\nCONFIG SET maxmemory 0\nPING\nSET k v"),
];

/// What Redis writes in another way since 7.2.
const NEWER: &[Story] = &[Story(
    "SET k v PXAT 4000000000000 GET\nSADD s a b c d\nSPOP s 3\nSPOP s 2\n~BLMOVE l m LEFT RIGHT 0\n\
     RPUSH l 1\nRPUSH l 1\nBLMOVE l m Left Right 1\nSADD s a b\n\
     CONFIG SET lazyfree-lazy-server-del yes\nSPOP s 2\nCONFIG SET lazyfree-lazy-server-del no",
)];

/// What there is only since 7.4.
const OF_HASHES: &[Story] = &[Story(
    "HSET h a 1 b 2 c 3 d 4\nHEXPIRE h 100 FIELDS 2 a b\nHPEXPIRE h 200000 GT FIELDS 3 a c none\n\
     HEXPIREAT h 4000000000 FIELDS 1 d\nHPEXPIREAT h 4000000000000 NX FIELDS 1 d\n\
     HPEXPIREAT h 4000000000001 FIELDS 1 d\nHPERSIST h FIELDS 1 d\nHPERSIST h FIELDS 1 d\n\
     HEXPIRE h 0 FIELDS 1 d\nHEXPIRE h 5 XX FIELDS 1 none\nHPEXPIRE h 5 FIELDS 1 c\n+700\nHSET h x 1",
)];

/// A string's payload of DUMP.
const DUMP: &[u8] = b"\x00\x04\x74\x65\x78\x74\x0a\x00\x7c\xf3\x26\x6d\xca\xb5\xa5\x31";

impl Story {
    /// What Reef says and Redis does not, with the number of the line it stands behind.
    fn more(&self) -> Vec<&'static str> {
        self.0.lines().filter_map(|line| line.trim_start().strip_prefix('#')).collect()
    }
}

fn words(line: &str) -> Vec<Vec<u8>> {
    let word = |word: &str| if word == "<dump>" { DUMP } else { word.as_bytes() }.to_vec();
    line.split(' ').map(word).collect()
}

/// Lets a story happen.
fn tell(story: &Story, peer: &mut dyn Peer, main: ClientId) {
    let ask = |peer: &mut dyn Peer, line: &str| {
        peer.send(main, &words(line)).expect("the peer takes commands");
        peer.receive(main, Patience::Something).expect("the peer answers");
    };
    ask(peer, "SELECT 0");
    ask(peer, "FLUSHALL");
    for line in story.0.lines().map(str::trim_start) {
        if let Some(command) = line.strip_prefix('~') {
            let waiting = peer.connect().expect("it accepts");
            peer.send(waiting, &words(command)).expect("the peer takes commands");
            peer.receive(waiting, Patience::Silence).expect("the peer stays");
        } else if let Some(pause_ms) = line.strip_prefix('+') {
            peer.advance(pause_ms.parse().expect("a number of milliseconds"));
        } else if !line.starts_with('#') {
            ask(peer, line);
        }
    }
}

/// A word that is a time of today, or begins with one, is `T`.
fn timeless(word: &[u8]) -> String {
    const TODAY: std::ops::Range<u64> = 1_700_000_000_000..2_500_000_000_000;
    let text = String::from_utf8_lossy(word).into_owned();
    let (time, rest) = text.split_at(text.len().min(13));
    let is_time = time.parse().is_ok_and(|time| TODAY.contains(&time));
    let is_id = rest.starts_with('-');
    if is_time && (rest.is_empty() || is_id) {
        format!("T{}", &rest[..rest.len().min(1)])
    } else {
        text
    }
}

/// A command as it is compared, with its database.
fn shown(bytes: &[u8]) -> (Vec<String>, usize) {
    let Ok(Some((Reply::Array(items), used))) = decode(bytes) else {
        panic!("no command: {}", String::from_utf8_lossy(bytes));
    };
    let mut words: Vec<String> = items
        .iter()
        .map(|item| match item {
            Reply::Bulk(word) => timeless(word),
            other => panic!("{other:?} is no word"),
        })
        .collect();
    if words[0] == "SREM" {
        // Chance decides which.
        words.truncate(2 + usize::from(words.len() > 3));
        words.iter_mut().skip(2).for_each(|word| *word = "...".to_owned());
    }
    (words, used)
}

/// The commands of an append-only file, each with its database.
fn read_log(folder: &Path) -> Vec<String> {
    let file = folder.join("appendonlydir/appendonly.aof.1.incr.aof");
    let bytes = fs::read(file).expect("there is a log");
    let (mut at, mut database, mut all) = (0, "0".to_owned(), Vec::new());
    while at < bytes.len() {
        let (words, used) = shown(&bytes[at..]);
        at += used;
        match words[0].to_uppercase().as_str() {
            "SELECT" => database.clone_from(&words[1]),
            "MULTI" | "EXEC" => all.push(words[0].clone()),
            _ => all.push(format!("{database} {}", words.join(" "))),
        }
    }
    all
}

/// The same of the effects, as they would be written.
fn effects(peer: &mut SoloPeer) -> Vec<String> {
    let (effects, mut all) = (peer.take_effects(), Vec::new());
    for unit in effects.units() {
        let of_log = unit.commands().filter(|effect| effect.audience != Audience::ReplicasOnly);
        let lines: Vec<_> = of_log
            .map(|effect| format!("{} {}", effect.database, shown(effect.bytes).0.join(" ")))
            .collect();
        let is_whole = lines.len() > 1;
        all.extend(is_whole.then(|| "MULTI".to_owned()));
        all.extend(lines);
        all.extend(is_whole.then(|| "EXEC".to_owned()));
    }
    all
}

fn stories(log: &[String]) -> Vec<&[String]> {
    log.split(|line| line == "0 FLUSHALL").skip(1).collect()
}

/// Leaves out what only Reef says, and the transaction around what is then alone.
fn without(lines: &[String], more: &[&str]) -> Vec<String> {
    let mut more = more.iter().map(|line| format!("0 {line}")).peekable();
    let mut kept: Vec<String> = Vec::new();
    for line in lines {
        if more.next_if_eq(line).is_some() {
            continue;
        }
        kept.push(line.clone());
        let unit = kept.iter().rposition(|line| line == "MULTI").filter(|_| line == "EXEC");
        match unit.map(|start| (start, kept.len() - start - 2)) {
            Some((start, 0)) => kept.truncate(start),
            Some((start, 1)) => {
                kept.pop();
                kept.remove(start);
            }
            _ => {}
        }
    }
    assert_eq!(more.next(), None, "only Reef says it, but it does not: {lines:#?}");
    kept
}

fn compare(program: &OsStr, kind: Kind, told: &[Story]) {
    let folder = std::env::temp_dir().join(format!("reef-effects-{}-{kind:?}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder for the log");
    let server = RedisServer::start_with_log(program, &folder).expect("redis-server starts");
    let mut theirs = TcpPeer::new(server.address(), kind);
    let mut ours = SoloPeer::new(8);
    ours.take_effects();
    let (their_main, our_main) = (theirs.connect(), ours.connect());
    let (their_main, our_main) = (their_main.expect("it accepts"), our_main.expect("it accepts"));
    for story in told {
        tell(story, &mut theirs, their_main);
        tell(story, &mut ours, our_main);
    }
    let (log, said) = (read_log(&folder), effects(&mut ours));
    drop(server);
    fs::remove_dir_all(&folder).expect("the log goes");
    let (log, said) = (stories(&log), stories(&said));
    assert_eq!((log.len(), said.len()), (told.len(), told.len()));
    let mut differences = Vec::new();
    for (story, (theirs, ours)) in told.iter().zip(log.into_iter().zip(said)) {
        let ours = without(ours, &story.more());
        if theirs != ours {
            let at = theirs.iter().zip(&ours).take_while(|(one, other)| one == other).count();
            let rest = |lines: &[String]| {
                lines[at.saturating_sub(2)..].iter().take(8).cloned().collect::<Vec<_>>()
            };
            differences.push(format!("Redis {:#?}\nReef {:#?}", rest(theirs), rest(&ours)));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
}

#[test]
fn effects_are_what_redis_7_2_writes_into_its_log() {
    let Some(program) = judge(std::env::var_os("REDIS_SERVER_7_2"), "7.2.") else { return };
    compare(&program, Kind::Newer, STORIES);
    compare(&program, Kind::Newer, NEWER);
}

#[test]
fn effects_on_fields_are_what_redis_7_4_writes_into_its_log() {
    let Some(program) = judge(std::env::var_os("REDIS_SERVER_7_4"), "7.4.") else { return };
    compare(&program, Kind::Oracle, OF_HASHES);
}

#[test]
fn effects_are_what_redis_7_0_writes_into_its_log() {
    let Some(program) = judge(Some("redis-server".into()), "7.0.") else { return };
    compare(&program, Kind::Oracle, STORIES);
}
