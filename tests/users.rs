//! Users of a whole server: where they come from, where they are written, and that changes reach
//! every connection, whichever worker has it.

use std::fs;

use redis::{Connection, Value};

use crate::served::{Served, reef, sentence};

/// The reply as text, or the error's.
fn ask(connection: &mut Connection, line: &str) -> String {
    let mut words = line.split(' ');
    let mut command = redis::cmd(words.next().unwrap_or_default());
    words.for_each(|word| {
        command.arg(word);
    });
    match command.query::<Value>(connection) {
        Ok(Value::Okay) => "OK".to_owned(),
        Ok(Value::SimpleString(text)) => text,
        Ok(Value::BulkString(bytes)) => String::from_utf8(bytes).expect("text"),
        Ok(Value::Array(items)) => items
            .iter()
            .map(|item| redis::from_redis_value_ref::<String>(item).expect("text"))
            .collect::<Vec<_>>()
            .join("\n"),
        Ok(Value::Int(number)) => number.to_string(),
        Ok(other) => format!("{other:?}"),
        Err(error) => format!("{}: {}", error.code().unwrap_or("-"), error.detail().unwrap_or("-")),
    }
}

fn check(connection: &mut Connection, lines: &[(&str, &str)]) {
    for (line, expected) in lines {
        assert_eq!(ask(connection, line), *expected, "{line}");
    }
}

const DEFAULT: &str = "user default on nopass sanitize-payload ~* &* +@all";

#[test]
fn users_are_saved_to_their_file_and_loaded_from_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("users.acl");
    fs::write(&file, "user alice on >secret ~a* +get +tx.get\n\nuser bob off\n").expect("a file");
    let path = file.to_str().expect("text");
    let server = Served::start(&["--aclfile", path]);
    let (mut me, mut alice) = (server.connect(), server.connect());
    check(&mut me, &[("ACL USERS", "alice\nbob\ndefault"), ("ACL SETUSER carol on", "OK")]);
    check(
        &mut alice,
        &[
            ("AUTH alice secret", "OK"),
            ("SET a 1", "NOPERM: User alice has no permissions to run the 'set' command"),
            (
                "TX.CREATE r 1 0x1 1",
                "NOPERM: User alice has no permissions to run the 'tx.create' command",
            ),
        ],
    );
    assert!(!ask(&mut alice, "TX.GET nothing").starts_with("NOPERM"));

    check(&mut me, &[("ACL SAVE", "OK")]);
    let saved = fs::read_to_string(&file).expect("text");
    let lines: Vec<_> = saved.lines().collect();
    assert_eq!(lines.len(), 4, "{saved}");
    assert!(lines[0].ends_with(" ~a* resetchannels -@all +get +tx.get"), "{saved}");
    assert_eq!(lines[3], DEFAULT);
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);

    // A file with an error changes nothing, and all that is wrong is told.
    fs::write(&file, "user alice on nope\nuser\n").expect("a file");
    let refused = ask(&mut me, "ACL LOAD");
    assert!(refused.contains(":1: Syntax error. "), "{refused}");
    assert!(
        refused.contains(":2 should start with user keyword followed by the username. WARNING:")
    );
    check(&mut me, &[("ACL USERS", "alice\nbob\ncarol\ndefault")]);

    // Who is still there stays connected, with the new rules; who is not is disconnected.
    fs::write(&file, "user bob on nopass ~* &* +@all\nuser default on nopass ~* &* +@all\n")
        .expect("a file");
    check(&mut me, &[("ACL LOAD", "OK"), ("ACL USERS", "bob\ndefault")]);
    assert!(redis::cmd("PING").query::<Value>(&mut alice).is_err());
    fs::remove_file(&file).expect("removed");
    let missing = ask(&mut me, "ACL LOAD");
    assert!(missing.ends_with("users.acl': No such file or directory"), "{missing}");
}

#[test]
fn users_of_the_configuration_are_loaded_and_rewritten() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("redis.conf");
    // What is said of the default user says all of it, `requirepass` included.
    let text = "requirepass ignored\n\
                user alice on nopass ~* +@all -tx.delete\n\
                user default on nopass ~* &* +@all\n";
    fs::write(&file, text).expect("a file");
    let server = Served::start_from(&file, &["--user", "carol on nopass +ping"]);
    let mut me = server.connect();
    check(
        &mut me,
        &[
            ("ACL WHOAMI", "default"),
            ("ACL DELUSER alice", "1"),
            ("ACL SETUSER dave on +get", "OK"),
            ("CONFIG REWRITE", "OK"),
        ],
    );
    let mut users: Vec<String> = fs::read_to_string(&file)
        .expect("text")
        .lines()
        .filter(|line| line.starts_with("user "))
        .map(str::to_owned)
        .collect();
    users.sort_unstable();
    assert_eq!(
        users,
        [
            "user carol on nopass sanitize-payload resetchannels -@all +ping",
            "user dave on sanitize-payload resetchannels -@all +get",
            DEFAULT,
        ]
    );
}

#[test]
fn users_that_are_wrong_stop_the_start() {
    for (user, part) in [
        ("alice on +nope", "--user: user 'alice': Error in ACL SETUSER modifier '+nope'"),
        ("alice on (+get", "--user: user 'alice': Unmatched parenthesis"),
    ] {
        let output = reef().args(["serve", "--port", "0", "--user", user]).output();
        let text = sentence(&output.expect("the binary runs"));
        assert!(text.starts_with("the users cannot be loaded: ") && text.contains(part), "{text}");
    }
}

#[test]
fn changes_reach_the_connections_of_all_workers() {
    const CONNECTIONS: usize = 8;
    let server = Served::start(&["--io-threads", "4"]);
    let mut me = server.connect();
    check(&mut me, &[("ACL SETUSER alice on nopass ~* &* +@all", "OK")]);
    let mut others: Vec<_> = (0..CONNECTIONS).map(|_| server.connect()).collect();
    for other in &mut others {
        check(other, &[("AUTH alice x", "OK"), ("SET k 1", "OK")]);
    }
    let clients = ask(&mut me, "CLIENT LIST");
    assert_eq!(clients.matches(" user=alice ").count(), CONNECTIONS, "{clients}");
    check(&mut me, &[("ACL SETUSER alice -set", "OK")]);
    for other in &mut others {
        let refused = "NOPERM: User alice has no permissions to run the 'set' command";
        check(other, &[("SET k 2", refused), ("GET k", "1")]);
    }
    assert_eq!(server.info("acl_access_denied_cmd"), CONNECTIONS.to_string());
    let statistics = ask(&mut me, "INFO commandstats");
    let set = statistics.lines().find(|line| line.starts_with("cmdstat_set:")).expect("SET ran");
    assert!(set.contains("calls=8,") && set.contains(",rejected_calls=8,"), "{set}");
    check(
        &mut me,
        &[(
            "AUTH alice",
            "ERR: AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
        )],
    );
    check(&mut me, &[("CLIENT KILL USER alice", "8"), ("CONFIG RESETSTAT", "OK")]);
    assert_eq!(server.info("acl_access_denied_cmd"), "0");
    for other in &mut others {
        assert!(redis::cmd("PING").query::<Value>(other).is_err());
    }
    let mut last = server.connect();
    check(&mut last, &[("AUTH alice x", "OK")]);
    check(&mut me, &[("ACL DELUSER alice", "1"), ("ACL SETUSER alice on nopass +@all", "OK")]);
    assert!(redis::cmd("PING").query::<Value>(&mut last).is_err());
}

#[test]
fn passwords_at_random_differ() {
    let server = Served::start(&[]);
    let mut me = server.connect();
    let (one, other) = (ask(&mut me, "ACL GENPASS"), ask(&mut me, "ACL GENPASS"));
    assert!(one.len() == 64 && one != other, "{one} {other}");
    assert!(one.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_eq!(ask(&mut me, "ACL GENPASS 5").len(), 2);
    assert_eq!(ask(&mut me, "ACL GENPASS 4096").len(), 1024);
}
