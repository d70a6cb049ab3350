//! `PLUGIN ...` as an operator types it, and the plugins' part of INFO.

use reef_engine::backend::Extension;

use crate::guest::Guest;
use crate::rig::Rig;

fn ok(command: &str) -> Guest {
    Guest::one(command, "(i32.const 64)")
}

#[test]
fn a_plugin_is_loaded_from_bytes_or_a_path() {
    let rig = Rig::new();
    let bytes = ok("T.OK").wants(&["SET", "~t:*"]).build();
    let load: [&[u8]; 11] = [
        b"PLUGIN", b"load", b"test", &bytes, b"GRANT", b"set", b"~t:*", b"CONFIG", b"ttl", b"60",
        b"REPLACE",
    ];
    assert_eq!(rig.admin_bytes(&load), "+OK\r\n");
    assert_eq!(rig.call(&["T.OK"]), "+OK\r\n");
    let path = std::env::temp_dir().join(format!("reef-plugin-{}.wasm", std::process::id()));
    std::fs::write(&path, ok("U.OK").build()).unwrap();
    let path = path.to_str().unwrap();
    assert_eq!(rig.admin(&["PLUGIN", "LOAD", "other", path]), "+OK\r\n");
    assert_eq!(rig.call(&["U.OK"]), "+OK\r\n");
    assert_eq!(
        rig.admin(&["PLUGIN", "LOAD", "other", path]),
        "-ERR plugin 'other' is already loaded, say REPLACE to replace it\r\n"
    );
    assert_eq!(rig.admin(&["PLUGIN", "REPLACE", "other", path]), "+OK\r\n");
    std::fs::remove_file(path).unwrap();

    let list = rig.admin(&["PLUGIN", "LIST"]);
    assert!(list.starts_with("*2\r\n*12\r\n$4\r\nname\r\n$5\r\nother\r\n"), "{list}");
    let info = rig.admin(&["PLUGIN", "INFO", "test"]);
    for part in [
        "grants\r\n*2\r\n$3\r\nset\r\n$4\r\n~t:*\r\n",
        "config\r\n*2\r\n$3\r\nttl\r\n$2\r\n60\r\n",
        "commands\r\n*1\r\n$4\r\nT.OK\r\n",
        "state\r\n$2\r\nok\r\n",
    ] {
        assert!(info.contains(part), "{part} in {info}");
    }
    assert_eq!(rig.admin(&["PLUGIN", "UNLOAD", "test"]), "+OK\r\n");
    assert_eq!(rig.admin(&["PLUGIN", "UNLOAD", "test"]), "-ERR no such plugin 'test'\r\n");
}

/// How many values a RESP2 reply has at its top, and that it is complete.
fn complete(reply: &str) {
    let mut lines = reply.split("\r\n");
    let mut wanted = 1_u64;
    while wanted > 0 {
        let line = lines.next().expect("a line");
        wanted -= 1;
        match line.as_bytes().first() {
            Some(b'*') => wanted += line[1..].parse::<u64>().unwrap(),
            Some(b'$') => {
                let text = lines.next().expect("a text");
                assert_eq!(text.len(), line[1..].parse::<usize>().unwrap());
            }
            Some(b'+' | b'-' | b':') => {}
            _ => panic!("{line} in {reply}"),
        }
    }
    assert_eq!(lines.collect::<Vec<_>>(), [""], "nothing is left of {reply}");
}

#[test]
fn announced_counts_are_right() {
    let rig = Rig::of(&ok("T.OK"));
    rig.call(&["T.OK"]);
    for words in [
        ["PLUGIN", "LIST"].as_slice(),
        &["PLUGIN", "INFO", "test"],
        &["PLUGIN", "STATS"],
        &["PLUGIN", "STATS", "test"],
        &["PLUGIN", "LOG", "test"],
        &["PLUGIN", "HELP"],
    ] {
        complete(&rig.admin(words));
    }
}

#[test]
fn slips_are_reported() {
    let rig = Rig::of(&ok("T.OK"));
    for (line, expected) in [
        ("PLUGIN NONSENSE", "ERR unknown subcommand 'NONSENSE'. Try PLUGIN HELP."),
        ("PLUGIN LIST x", "ERR wrong number of arguments for 'plugin|list' command"),
        ("PLUGIN INFO", "ERR wrong number of arguments for 'plugin|info' command"),
        ("PLUGIN INFO nobody", "ERR no such plugin 'nobody'"),
        ("PLUGIN STATS nobody", "ERR no such plugin 'nobody'"),
        ("PLUGIN STATS test x", "ERR wrong number of arguments for 'plugin|stats' command"),
        ("PLUGIN LOG test many", "ERR value is not an integer or out of range"),
        ("PLUGIN LOG test -1", "ERR value is not an integer or out of range"),
        ("PLUGIN KILL nobody", "ERR no such plugin 'nobody'"),
        ("PLUGIN REPLACE nobody /p", "ERR no such plugin 'nobody'"),
        ("PLUGIN LOAD x /p LIMIT cpu-ms 0", "ERR limit 'cpu-ms' must be between 1 and 60000"),
        ("PLUGIN LOAD x /p GRANT", "ERR syntax error"),
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        assert_eq!(rig.admin(&words), format!("-{expected}\r\n"), "{line}");
    }
}

#[test]
fn info_names_the_plugins() {
    let rig = Rig::of(&ok("T.OK"));
    (0..3).for_each(|_| assert_eq!(rig.call(&["T.OK"]), "+OK\r\n"));
    let mut info = String::new();
    rig.runtime.info(&mut info);
    assert!(info.starts_with("plugins_loaded:1\r\nplugin_test:version=1.0.0,state=ok,calls=3,"));
    assert!(info.contains(",memory=65536,instances=1,parked=0,p50_us="), "{info}");
}

#[test]
fn statistics_outlive_a_replacement() {
    let rig = Rig::of(&ok("T.OK"));
    rig.call(&["T.OK"]);
    let bytes = ok("T.OK").build();
    assert_eq!(rig.admin_bytes(&[b"PLUGIN", b"REPLACE", b"test", &bytes]), "+OK\r\n");
    rig.call(&["T.OK"]);
    assert_eq!(rig.figure("STATS", "calls"), 2);
}
