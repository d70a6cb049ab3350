//! Clients that wait, against a model: who is served with what, in which order, and who is told
//! that the time is over.
//!
//! The model knows lists as plain queues and waiters as one list in order of arrival; the engine
//! has queues per key and shard. Random clients push, pop, move, transact, hang up and let time
//! pass.

use std::collections::{BTreeMap, VecDeque};

use reef_engine::settings::Settings;
use reef_engine::solo::Solo;
use reef_fuzz::choice::{Choice, Rng};
use reef_resp::OwnedArgv;

const KEYS: [&str; 5] = ["a", "b", "c", "{t}d", "{t}e"];

/// A client in the model.
struct Waiter {
    client: u64,
    keys: Vec<&'static str>,
    deadline_ms: Option<u64>,
}

#[derive(Default)]
struct Model {
    lists: BTreeMap<&'static str, VecDeque<String>>,
    /// In order of arrival.
    waiters: Vec<Waiter>,
    now_ms: u64,
    /// What each client was told and has not read yet.
    told: BTreeMap<u64, String>,
}

impl Model {
    fn tell(&mut self, client: u64, text: &str) {
        self.told.entry(client).or_default().push_str(text);
    }

    /// The first element of the first list that has one.
    fn take(&mut self, keys: &[&'static str]) -> Option<String> {
        let key = *keys.iter().find(|key| self.lists.contains_key(**key))?;
        let list = self.lists.get_mut(key)?;
        let element = list.pop_front()?;
        if list.is_empty() {
            self.lists.remove(key);
        }
        Some(format!("*2\r\n{}{}", bulk(key), bulk(&element)))
    }

    fn push(&mut self, key: &'static str, element: &str) -> usize {
        let list = self.lists.entry(key).or_default();
        list.push_back(element.to_owned());
        list.len()
    }

    fn serve(&mut self, ready: &[&'static str]) {
        for key in ready {
            let mut at = 0;
            while at < self.waiters.len() && self.lists.contains_key(key) {
                if self.waiters[at].keys.contains(key)
                    && let Some(reply) = self.take(&self.waiters[at].keys.clone())
                {
                    let waiter = self.waiters.remove(at);
                    self.tell(waiter.client, &reply);
                } else {
                    at += 1;
                }
            }
        }
    }

    fn pass(&mut self, ms: u64) {
        self.now_ms += ms;
        let now_ms = self.now_ms;
        let is_due = |waiter: &Waiter| waiter.deadline_ms.is_some_and(|at| at <= now_ms);
        let due: Vec<u64> = self.waiters.iter().filter(|w| is_due(w)).map(|w| w.client).collect();
        self.waiters.retain(|waiter| !is_due(waiter));
        due.into_iter().for_each(|client| self.tell(client, "*-1\r\n"));
    }
}

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

/// The engine and the model side by side.
struct Pair {
    solo: Solo,
    model: Model,
    rng: Rng,
    clients: Vec<u64>,
    pushed: u64,
}

impl Pair {
    fn new(seed: u64, shards: usize) -> Self {
        let mut solo = Solo::new(seed, shards, Settings::default());
        let clients = (0..12).map(|_| solo.connect()).collect();
        Self { solo, model: Model::default(), rng: Rng::new(seed), clients, pushed: 0 }
    }

    fn key(&mut self) -> &'static str {
        self.rng.pick(&KEYS)
    }

    fn run(&mut self, client: u64, words: &[&str]) {
        let argv: OwnedArgv = words.iter().collect();
        let (reply, open) = self.solo.run(client, argv.as_argv());
        assert!(open);
        let told = String::from_utf8(reply).expect("text");
        assert_eq!(told, self.model.told.remove(&client).unwrap_or_default(), "{words:?}");
    }

    fn element(&mut self) -> String {
        self.pushed += 1;
        format!("e{}", self.pushed)
    }

    fn push(&mut self, client: u64) {
        let key = self.key();
        let elements: Vec<String> = (0..1 + self.rng.below(3)).map(|_| self.element()).collect();
        let len = elements.iter().map(|element| self.model.push(key, element)).last();
        self.model.tell(client, &format!(":{}\r\n", len.unwrap_or(0)));
        self.model.serve(&[key]);
        let words: Vec<&str> =
            ["RPUSH", key].into_iter().chain(elements.iter().map(String::as_str)).collect();
        self.run(client, &words);
    }

    fn wait(&mut self, client: u64) {
        let keys: Vec<&'static str> = (0..1 + self.rng.below(3)).map(|_| self.key()).collect();
        let timeout_ms = [0, 50, 100, 1000][self.rng.below(4)];
        let timeout = (timeout_ms as f64 / 1000.0).to_string();
        match self.model.take(&keys) {
            Some(reply) => self.model.tell(client, &reply),
            None => {
                let deadline_ms = (timeout_ms > 0).then_some(self.model.now_ms + timeout_ms);
                self.model.waiters.push(Waiter { client, keys: keys.clone(), deadline_ms });
            }
        }
        let words: Vec<&str> = ["BLPOP"].into_iter().chain(keys).chain([&*timeout]).collect();
        self.run(client, &words);
    }

    fn transact(&mut self, client: u64) {
        let (first, second) = (self.key(), self.key());
        let elements = [self.element(), self.element()];
        self.model.tell(client, "+OK\r\n");
        self.run(client, &["MULTI"]);
        let deletes = self.rng.below(2) == 0;
        let commands: [&[&str]; 3] = [
            &["RPUSH", first, &elements[0]],
            if deletes { &["DEL", first] } else { &["LLEN", first] },
            &["RPUSH", second, &elements[1]],
        ];
        for words in commands {
            self.model.tell(client, "+QUEUED\r\n");
            self.run(client, words);
        }
        let mut reply = format!("*3\r\n:{}\r\n", self.model.push(first, &elements[0]));
        if deletes {
            self.model.lists.remove(first);
            reply.push_str(":1\r\n");
        } else {
            reply.push_str(&format!(":{}\r\n", self.model.lists[first].len()));
        }
        reply.push_str(&format!(":{}\r\n", self.model.push(second, &elements[1])));
        self.model.tell(client, &reply);
        self.model.serve(&[first, second]);
        self.run(client, &["EXEC"]);
    }

    fn rename(&mut self, client: u64) {
        let (from, to) = (self.key(), self.key());
        match self.model.lists.remove(from) {
            None => self.model.tell(client, "-ERR no such key\r\n"),
            Some(list) => {
                self.model.lists.insert(to, list);
                self.model.tell(client, "+OK\r\n");
                self.model.serve(&[to]);
            }
        }
        self.run(client, &["RENAME", from, to]);
    }

    fn unblock(&mut self, client: u64) {
        let other = self.clients[self.rng.below(self.clients.len())];
        let waits = self.model.waiters.iter().position(|waiter| waiter.client == other);
        if let Some(at) = waits {
            self.model.waiters.remove(at);
            self.model.tell(other, "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
        }
        self.model.tell(client, &format!(":{}\r\n", u8::from(waits.is_some())));
        self.run(client, &["CLIENT", "UNBLOCK", &other.to_string(), "ERROR"]);
    }

    fn hang_up(&mut self, at: usize) {
        let client = self.clients[at];
        self.model.waiters.retain(|waiter| waiter.client != client);
        self.model.told.remove(&client);
        self.solo.disconnect(client);
        self.clients[at] = self.solo.connect();
    }

    /// One random event, and what everybody has been told since.
    fn step(&mut self) {
        let at = self.rng.below(self.clients.len());
        let client = self.clients[at];
        let waits = self.model.waiters.iter().any(|waiter| waiter.client == client);
        match self.rng.below(12) {
            0 => self.hang_up(at),
            1 => {
                let ms = self.rng.below(80) as u64;
                self.model.pass(ms);
                self.solo.advance(ms);
            }
            _ if waits => {}
            2..=4 => self.push(client),
            5 => self.transact(client),
            6 => self.rename(client),
            7 => self.unblock(client),
            _ => self.wait(client),
        }
        for client in self.clients.clone() {
            let told = String::from_utf8(self.solo.take_unasked(client)).expect("text");
            assert_eq!(told, self.model.told.remove(&client).unwrap_or_default());
        }
        self.solo.check();
    }
}

#[test]
fn waiters_are_served_in_order_and_nothing_is_lost() {
    for shards in [1, 8] {
        for seed in 0..12 {
            let mut pair = Pair::new(seed, shards);
            (0..400).for_each(|_| pair.step());
        }
    }
}

/// What used to be quadratic: each push serves one of very many, and then the list is gone.
#[test]
fn ten_thousand_waiters_cost_a_push_nothing() {
    let mut solo = Solo::new(1, 1, Settings::default());
    let pop: OwnedArgv = ["BLPOP", "k", "0"].iter().collect();
    let clients: Vec<u64> = (0..10_000).map(|_| solo.connect()).collect();
    for client in &clients {
        assert_eq!(solo.run(*client, pop.as_argv()), (Vec::new(), true));
    }
    let pusher = solo.connect();
    for client in &clients {
        let push: OwnedArgv = ["RPUSH", "k", &client.to_string()].iter().collect();
        assert_eq!(solo.run(pusher, push.as_argv()).0, b":1\r\n");
        let told = format!("*2\r\n$1\r\nk\r\n{}", bulk(&client.to_string()));
        assert_eq!(solo.take_unasked(*client), told.as_bytes());
    }
}
