//! Users from rules and back, users against commands, and files of users.

use std::boxed::Box;
use std::collections::BTreeMap;
use std::format;
use std::string::String;
use std::vec::Vec;

use reef_resp::OwnedArgv;

use super::*;
use crate::error::Error;
use crate::registry::Registry;
use crate::session::Session;

struct World {
    registry: Registry,
    directory: Directory,
}

impl World {
    fn new() -> Self {
        let registry = Registry::native();
        let directory = Directory::new(b"", Policy::default(), &registry);
        Self { registry, directory }
    }

    fn set(&mut self, name: &str, rules: &str) -> Result<(), Error> {
        let rules: Vec<&[u8]> =
            rules.split(' ').filter(|rule| !rule.is_empty()).map(str::as_bytes).collect();
        self.directory.set_user(name.as_bytes(), &rules, &self.registry)
    }

    fn described(&self, name: &str) -> String {
        let account = self.directory.get(name.as_bytes()).expect("a user");
        String::from_utf8(account.user().describe()).unwrap()
    }

    /// What is in the way of a command, with the argument that is refused.
    fn check(&self, name: &str, line: &str) -> Option<(Reason, String)> {
        let argv: OwnedArgv = line.split(' ').collect();
        let argv = argv.as_argv();
        let command = self.registry.resolve(argv).unwrap().expect("a command");
        let account = self.directory.get(name.as_bytes()).expect("a user");
        let denial = account.user().check(&command, argv).err()?;
        let object = denial.object(&command, argv);
        Some((denial.reason, String::from_utf8(object).unwrap()))
    }

    fn may(&self, name: &str, line: &str) -> bool {
        self.check(name, line).is_none()
    }
}

#[test]
fn users_are_described_as_redis_7_2_does() {
    for (rules, described) in [
        ("", "off sanitize-payload resetchannels -@all"),
        ("on nopass ~* &* +@all", "on nopass sanitize-payload ~* &* +@all"),
        ("reset +@all ~*", "off sanitize-payload ~* resetchannels +@all"),
        (
            "allkeys allchannels allcommands skip-sanitize-payload",
            "off skip-sanitize-payload ~* &* +@all",
        ),
        (
            "~a ~a %R~a %R~b %W~b %W~c %rw~d",
            "off sanitize-payload ~a ~b %W~c ~d resetchannels -@all",
        ),
        ("&a &b &a", "off sanitize-payload resetchannels &a &b -@all"),
        (">x nopass >x resetpass", "off sanitize-payload resetchannels -@all"),
        (
            "( ~x +get ) (+@set &c)",
            "off sanitize-payload resetchannels -@all (~x resetchannels -@all +get) (resetchannels &c -@all +@set)",
        ),
        ("(+get) clearselectors", "off sanitize-payload resetchannels -@all"),
        ("%RW~* ~a", "off sanitize-payload %RW~* ~a resetchannels -@all"),
    ] {
        let mut world = World::new();
        world.set("alice", rules).unwrap();
        assert_eq!(world.described("alice"), described, "{rules}");
        world.set("bob", described).unwrap();
        assert_eq!(world.described("bob"), described, "{rules}");
    }
    assert_eq!(World::new().described("default"), "on nopass sanitize-payload ~* &* +@all");
}

#[test]
fn a_rule_that_fails_changes_nothing() {
    let mut world = World::new();
    world.set("alice", "on >secret ~a +get").unwrap();
    let before = world.described("alice");
    for (rules, text) in [
        ("+set +nope", "'+nope': Unknown command"),
        ("+set foo", "'foo': Syntax error"),
        ("~* ~b", "'~b': Adding a pattern after the * pattern (or the 'allkeys' flag)"),
        ("~* %X~b", "'%X~b': Adding a pattern after the * pattern"),
        ("&* &b", "'&b': Adding a pattern after the * pattern (or the 'allchannels' flag)"),
        ("%~b", "'%~b': Syntax error"),
        ("%", "'%': Syntax error"),
        ("%RR~b", "'%RR~b': Syntax error"),
        ("<other", "'<other': The password you are trying to remove"),
        ("#abc", "'#abc': The password hash must be exactly 64"),
        ("!abc", "'!abc': The password hash must be exactly 64"),
        ("(+get (x)", "'(+get (x)': Syntax error"),
        ("(+get", "Unmatched parenthesis in acl selector starting at '(+get'."),
        ("(+get on)", "'(+get on)': Syntax error"),
    ] {
        let error = format!("{}", world.set("alice", rules).expect_err(rules));
        assert!(error.contains(text), "{rules}: {error}");
        assert_eq!(world.described("alice"), before);
    }
    assert_eq!(world.set("a b", ""), Err(Error::USER_NAME));
    assert!(world.directory.get(b"a b").is_none());
}

#[test]
fn passwords_open_enabled_users_only() {
    let mut world = World::new();
    world.set("alice", "off >one >two").unwrap();
    let accepts = |world: &World, password: &str| {
        world.directory.get(b"alice").unwrap().user().accepts(password.as_bytes())
    };
    assert!(!accepts(&world, "one"));
    world.set("alice", "on").unwrap();
    assert!(accepts(&world, "one") && accepts(&world, "two") && !accepts(&world, "three"));
    world.set("alice", "<one").unwrap();
    assert!(!accepts(&world, "one") && accepts(&world, "two"));
    world.set("alice", "nopass").unwrap();
    assert!(accepts(&world, "anything"));
    world.set("alice", "resetpass").unwrap();
    assert!(!accepts(&world, "") && !accepts(&world, "two"));
}

#[test]
fn keys_are_read_and_written_where_it_is_allowed() {
    let mut world = World::new();
    world.set("alice", "+@all %R~r* %W~w* ~b*").unwrap();
    for (line, refused) in [
        ("GET r1", None),
        ("GET w1", Some("w1")),
        ("GET b1", None),
        ("SET w1 v", None),
        ("SET r1 v", Some("r1")),
        ("SET w1 v GET", Some("w1")),
        ("SET b1 v GET", None),
        ("STRLEN w1", None),
        ("STRLEN x", Some("x")),
        ("COPY r1 w1", None),
        ("COPY w1 r1", Some("w1")),
        ("COPY r1 r2", Some("r2")),
        ("MGET r1 b1 x y", Some("x")),
        ("SUNIONSTORE w1 r1 r2", None),
        ("SUNIONSTORE w1 r1 w2", Some("w2")),
        ("ZUNIONSTORE w1 2 r1 r2", None),
        ("ZUNIONSTORE r1 2 r1 r2", Some("r1")),
        // Arguments that are wrong name no keys; the command itself will say so.
        ("ZUNIONSTORE r1 9 x y", None),
        ("PING", None),
    ] {
        let expected = refused.map(|key| (Reason::Key, key.into()));
        assert_eq!(world.check("alice", line), expected, "{line}");
    }
}

#[test]
fn one_selector_must_allow_all_of_a_command() {
    let mut world = World::new();
    world.set("alice", "+get ~a* (+set ~b*) (+get +set %R~c*)").unwrap();
    assert!(world.may("alice", "GET a") && world.may("alice", "SET b 1"));
    assert!(world.may("alice", "GET c") && !world.may("alice", "SET c 1"));
    assert_eq!(world.check("alice", "SET a 1"), Some((Reason::Key, "a".into())));
    assert_eq!(world.check("alice", "DEL a"), Some((Reason::Command, "del".into())));
    assert_eq!(world.check("alice", "CONFIG GET x"), Some((Reason::Command, "config|get".into())));
    // Who may log in is not asked for permission to do so.
    assert!(world.may("alice", "AUTH x") && world.may("alice", "QUIT"));
}

#[test]
fn channels_match_patterns_and_patterns_are_compared() {
    let mut world = World::new();
    world.set("alice", "&news.* &x").unwrap();
    let user = world.directory.get(b"alice").unwrap().user().clone();
    assert!(user.allow_channel(b"news.de", false) && user.allow_channel(b"x", false));
    assert!(!user.allow_channel(b"sport", false));
    assert!(user.allow_channel(b"news.*", true) && !user.allow_channel(b"news.d*", true));
    world.set("alice", "&more").unwrap();
    let more = world.directory.get(b"alice").unwrap().user().clone();
    assert!(more.allow_channels_of(&user) && !user.allow_channels_of(&more));
    assert!(World::new().directory.default_account().user().allow_channels_of(&more));
    assert!(!more.allow_channels_of(World::new().directory.default_account().user()));
}

#[test]
fn sessions_notice_changes_and_deletion() {
    let mut world = World::new();
    world.set("alice", "on nopass +get").unwrap();
    let account = world.directory.get(b"alice").unwrap().clone();
    let mut session = Session::of(1, account);
    assert!(session.is_limited() && !session.is_outdated() && !session.is_stranger());
    world.set("bob", "on").unwrap();
    assert!(!session.is_outdated());
    world.set("alice", "+@all ~* &*").unwrap();
    assert!(session.is_outdated() && session.is_limited());
    assert!(world.directory.renew(&mut session));
    assert!(!session.is_limited() && !session.is_outdated());
    // Another user of the same name is another user.
    world.directory.delete(b"alice");
    world.set("alice", "on nopass +@all ~* &*").unwrap();
    assert!(session.is_outdated() && !world.directory.renew(&mut session));
    assert!(session.closing && !session.authenticated);
    assert_eq!(&*session.user, "default");
    assert!(world.directory.delete(b"default").is_none());
}

fn parse(world: &World, text: &str) -> Result<BTreeMap<Box<[u8]>, User>, String> {
    parse_file(text.as_bytes(), "users.acl", Policy::default(), &world.registry)
}

#[test]
fn files_are_read_as_a_whole_or_not_at_all() {
    let mut world = World::new();
    world.set("alice", "on >x ~a +get (+set ~b)").unwrap();
    world.set("gone", "on").unwrap();
    let file = String::from_utf8(world.directory.file()).unwrap();
    let users = parse(&world, &file).unwrap();
    let mut other = World::new();
    other.set("gone too", "").unwrap_err();
    other.set("gone", "on").unwrap();
    assert!(other.directory.replace(users, &other.registry).is_empty());
    assert_eq!(other.directory.file(), world.directory.file());
    let users = parse(&world, "\n  user alice on  +get \r\n\n").unwrap();
    let gone = other.directory.replace(users, &other.registry);
    assert_eq!(gone.iter().map(|account| account.name()).collect::<Vec<_>>(), [b"gone"]);
    assert_eq!(other.described("alice"), "on sanitize-payload resetchannels -@all +get");
    assert_eq!(other.described("default"), "on nopass sanitize-payload ~* &* +@all");
}

#[test]
fn all_errors_of_a_file_are_told() {
    let world = World::new();
    let text = "users x\nuser\nuser a on +nope foo bar +none\nuser a on\nuser b (+get\n";
    assert_eq!(
        parse(&world, text).unwrap_err(),
        "users.acl:1 should start with user keyword followed by the username. \
         users.acl:2 should start with user keyword followed by the username. \
         users.acl:3: Error in applying operation '+nope': Unknown command or category name in ACL. \
         users.acl:3: Syntax error. \
         users.acl:3: Error in applying operation '+none': Unknown command or category name in ACL. \
         WARNING: Duplicate user 'a' found on line 4. \
         users.acl:5: Unmatched parenthesis in selector definition."
    );
}

/// Rules at random, from a seed.
struct Rules(u64);

impl Rules {
    fn below(&mut self, bound: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    fn one_of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }

    fn selector_rule(&mut self) -> String {
        const COMMANDS: [&str; 9] = [
            "get",
            "SET",
            "config",
            "config|get",
            "CONFIG|SET",
            "@all",
            "@read",
            "@Dangerous",
            "object|encoding",
        ];
        let pattern = self.one_of(&["a*", "*", "?", "k[a-c]", "\\*", "%R~x", "\u{e4}", ""]);
        match self.below(12) {
            0 => format!("~{pattern}"),
            1 => format!("%R~{pattern}"),
            2 => format!("%w~{pattern}"),
            3 => format!("&{pattern}"),
            4 => self.one_of(&["allkeys", "allchannels", "allcommands", "nocommands"]).into(),
            5 => self.one_of(&["resetkeys", "resetchannels", "~*", "&*"]).into(),
            6 => self.one_of(&["+select|0", "+SELECT|a", "+get|x", "-select"]).into(),
            7..9 => format!("-{}", self.one_of(&COMMANDS)),
            _ => format!("+{}", self.one_of(&COMMANDS)),
        }
    }

    fn rule(&mut self) -> String {
        match self.below(20) {
            0 => self.one_of(&["on", "off", "nopass", "resetpass", "reset"]).into(),
            1 => {
                self.one_of(&["sanitize-payload", "skip-sanitize-payload", "clearselectors"]).into()
            }
            2 => self.one_of(&[">a", ">b", "<a", "!b"]).into(),
            3 => {
                let count = self.below(4);
                let rules: Vec<_> = (0..count).map(|_| self.selector_rule()).collect();
                format!("({})", rules.join(" "))
            }
            _ => self.selector_rule(),
        }
    }
}

/// Whatever rules made a user, its description makes it again.
#[test]
fn descriptions_of_random_users_make_equal_users() {
    const LINES: [&str; 8] = [
        "GET abc",
        "SET kb v",
        "MGET a x",
        "CONFIG GET x",
        "CONFIG SET a b",
        "SELECT 0",
        "OBJECT ENCODING a",
        "GET x",
    ];
    let (mut world, mut rules, mut applied) = (World::new(), Rules(3), 0);
    for _ in 0..400 {
        world.directory.delete(b"alice");
        world.set("alice", "").unwrap();
        for _ in 0..rules.below(15) {
            applied += usize::from(world.set("alice", &rules.rule()).is_ok());
        }
        let described = world.described("alice");
        world.directory.delete(b"bob");
        world.set("bob", &described).unwrap_or_else(|error| panic!("{described}: {error}"));
        assert_eq!(world.described("bob"), described);
        for line in LINES {
            assert_eq!(world.check("alice", line), world.check("bob", line), "{described}: {line}");
        }
        let user = |name: &[u8]| world.directory.get(name).unwrap().user();
        // `~*` in one piece is all keys, which reads and writes do not become by being added up.
        if !described.contains("~* ") {
            assert_eq!(user(b"alice"), user(b"bob"), "{described}");
        }
    }
    assert!(applied > 1500, "{applied}");
}
