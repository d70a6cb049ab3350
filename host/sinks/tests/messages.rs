//! NATS JetStream: every event is a message, once and in order, whatever is cut or killed, and
//! whoever else would publish too.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream;
use reef_sinks::{
    Destination, EventKind, Nats, Pipeline, Remedy, Selection, Settings, State, StreamId, Tls,
};
use tempfile::TempDir;

use crate::support::cable::Cable;
use crate::support::peer::{Running, command, folder, free_port, listening, required};
use crate::support::planner::Documents;
use crate::support::stream::Stream;
use crate::support::{LONG, drained, settings, tables, until};

/// A server with JetStream.
pub(crate) struct NatsServer {
    folder: TempDir,
    program: PathBuf,
    extra: Vec<String>,
    port: u16,
    running: Option<Running>,
}

/// A message as consumers see it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Message {
    subject: String,
    payload: String,
}

impl NatsServer {
    fn start() -> Option<Self> {
        Self::start_with(Vec::new())
    }

    pub(crate) fn start_with(extra: Vec<String>) -> Option<Self> {
        let (program, port) = (required("nats-server")?, free_port());
        let mut server = Self { folder: folder(), program, extra, port, running: None };
        server.up();
        Some(server)
    }

    fn up(&mut self) {
        let mut line = command(&self.program);
        line.args(["-a", "127.0.0.1", "-p", &self.port.to_string(), "-js", "-sd"]);
        line.arg(self.folder.path().join("data"));
        line.arg("-P").arg(self.folder.path().join("pid")).args(&self.extra);
        let ours = folder();
        let log = ours.path().join("log");
        self.running = Some(Running::start(line, &log));
        listening(self.port, &log);
    }

    fn kill(&mut self) {
        let pid = std::fs::read_to_string(self.folder.path().join("pid")).unwrap();
        assert!(Command::new("kill").args(["-9", pid.trim()]).status().unwrap().success());
        self.running = None;
    }

    pub(crate) fn destination(&self, port: Option<u16>, tls: Tls) -> Arc<dyn Destination> {
        Arc::new(Nats {
            address: format!("127.0.0.1:{}", port.unwrap_or(self.port)),
            credentials: None,
            tls,
            stream: "documents".to_owned(),
            create_streams: Some(1),
        })
    }

    fn run(&self, settings: Settings, stream: &Stream, port: Option<u16>) -> Pipeline {
        let (source, planner) = (Box::new(stream.clone()), Box::new(Documents));
        let destination = self.destination(port, Tls::Off);
        Pipeline::start(settings, tables(), source, planner, destination).unwrap()
    }

    /// All messages of a partition about events, in order.
    fn messages(&self, partition: u32) -> Vec<Message> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let client = async_nats::connect(format!("127.0.0.1:{}", self.port)).await.unwrap();
            let context = jetstream::new(client);
            let stream = context.get_stream(format!("documents_{partition}")).await.unwrap();
            let last = stream.get_info().await.unwrap().state.last_sequence;
            let mut found = Vec::new();
            for sequence in 1..=last {
                let Ok(message) = stream.get_raw_message(sequence).await else { continue };
                if !message.subject.contains(".reef.") {
                    found.push(Message {
                        subject: message.subject.to_string(),
                        payload: String::from_utf8(message.payload.to_vec()).unwrap(),
                    });
                }
            }
            found
        })
    }

    /// The numbers of the lines that were published, in order.
    fn lines(&self) -> Vec<u64> {
        let number = |message: &Message| {
            let document = message.payload.split("\"ledger:").nth(1).unwrap();
            document.split('"').next().unwrap().parse().unwrap()
        };
        self.messages(0).iter().map(number).collect()
    }
}

/// Each line is there, once, in its place.
fn assert_lines(server: &NatsServer, lines: u64) {
    let found = server.lines();
    let wrong = (1..=lines).zip(&found).find(|(line, found)| line != *found);
    assert_eq!((wrong, found.len() as u64), (None, lines));
}

#[test]
fn events_become_messages() {
    let Some(server) = NatsServer::start() else { return };
    let stream = Stream::default();
    stream.insert("doc:1", "{\"n\": 1}");
    stream.push(EventKind::Update, b"doc:1", Some(b"{\"n\": 2}"));
    stream.insert("skip:1", "{}");
    stream.delete("doc:1");
    let last = stream.insert("skip:2", "{}");
    let pipeline = server.run(settings(), &stream, None);
    drained(&pipeline, last);
    let status = pipeline.stop();
    assert_eq!((status.totals.applied, status.totals.skipped), (3, 2));
    let messages = server.messages(0);
    let subjects: Vec<_> = messages.iter().map(|message| message.subject.as_str()).collect();
    let expected = [
        "documents.0.sessions.insert",
        "documents.0.sessions.update",
        "documents.0.sessions.delete",
    ];
    assert_eq!(subjects, expected, "every event, nothing merged");
    assert_eq!(
        messages[1].payload,
        "{\"id\":\"2-0\",\"entity\":\"sessions\",\"document\":\"doc:1\",\"kind\":\"update\",\
         \"timestamp\":1700000000002,\"version\":2,\"changes\":[{\"table\":\"sessions\",\
         \"change\":\"upsert\",\"row\":{\"id\":\"doc:1\",\"payload\":{\"n\": 2}}}]}"
    );
    // It goes on behind the last one, also behind what was skipped.
    let pipeline = server.run(settings(), &stream, None);
    drained(&pipeline, stream.insert("doc:2", "{}"));
    assert_eq!(server.messages(0).len(), 4);
    assert_eq!(pipeline.stop().totals.applied, 4);
}

#[test]
fn partitions_are_streams_of_their_own() {
    let Some(server) = NatsServer::start() else { return };
    let stream = Stream::default();
    let mut settings = settings();
    settings.partitions = 3;
    let mut last = StreamId::ZERO;
    for n in 0..900 {
        last = stream.insert(&format!("doc:{}", n % 90), &format!("[{n}]"));
    }
    let pipeline = server.run(settings, &stream, None);
    drained(&pipeline, last);
    let counts: Vec<usize> = (0..3).map(|part| server.messages(part).len()).collect();
    assert_eq!(counts.iter().sum::<usize>(), 900);
    assert!(counts.iter().all(|count| *count > 100), "{counts:?}");
}

#[test]
fn what_no_message_can_hold_is_a_dead_letter() {
    let Some(server) = NatsServer::start() else { return };
    let stream = Stream::default();
    stream.insert("ledger:1", "{}");
    let large = stream.insert("doc:large", &format!("[\"{}\"]", "x".repeat(2 << 20)));
    stream.insert("ledger:2", "{}");
    let broken = stream.insert("ledger:9", "{not json");
    let last = stream.insert("ledger:3", "{}");
    let pipeline = server.run(settings(), &stream, None);
    drained(&pipeline, last);
    assert_eq!(server.lines(), [1, 2, 3]);
    let letters = stream.told().dead_letters;
    let ids: Vec<_> = letters.iter().map(|letter| letter.event.id).collect();
    assert_eq!(ids, [large, broken]);
    assert!(letters[1].reason.contains("not JSON"), "{}", letters[1].reason);
    let mended = Remedy::Replay(Box::new(|mut letter| {
        letter.event.image = Some(b"{}".to_vec());
        Some(letter.event)
    }));
    let counts = pipeline.remedy(Selection::Ids(vec![broken]), mended);
    assert_eq!(
        counts.iter().map(|count| (count.settled, count.failed)).collect::<Vec<_>>(),
        [(1, 0)]
    );
    assert_eq!(server.lines(), [1, 2, 3, 9]);
    let counts = pipeline.remedy(Selection::All, Remedy::Drop);
    assert_eq!(counts.iter().map(|count| count.settled).sum::<usize>(), 1, "one was left");
    let status = pipeline.stop();
    assert_eq!((status.totals.applied, status.totals.dead), (4, 2));
}

#[test]
fn messages_are_neither_lost_nor_repeated_over_cut_cables() {
    let Some(server) = NatsServer::start() else { return };
    let cable = Cable::to(server.port, 99);
    let stream = Stream::default();
    let pipeline = server.run(settings(), &stream, Some(cable.port));
    let (mut lines, mut last) = (0, StreamId::ZERO);
    let begun = std::time::Instant::now();
    while cable.cuts() < 40 {
        assert!(begun.elapsed() < LONG, "{} cuts, {:?}", cable.cuts(), pipeline.status());
        for _ in 0..20 {
            lines += 1;
            last = stream.insert(&format!("ledger:{lines}"), "{}");
        }
        std::thread::sleep(Duration::from_millis(5));
        let state = pipeline.status().state;
        assert!(!matches!(state, State::Fenced | State::Alarm { .. }), "{state:?}");
    }
    cable.mend();
    drained(&pipeline, last);
    assert_eq!(pipeline.stop().totals.applied, lines);
    assert_lines(&server, lines);
}

#[test]
fn messages_are_neither_lost_nor_repeated_over_kills_of_the_server() {
    let Some(mut server) = NatsServer::start() else { return };
    let stream = Stream::default();
    let mut settings = settings();
    settings.batch_events_max = 50;
    let pipeline = server.run(settings, &stream, None);
    drained(&pipeline, stream.insert("ledger:1", "{}"));
    let mut lines = 1;
    for round in 0..4 {
        for _ in 0..1_500 {
            lines += 1;
            stream.insert(&format!("ledger:{lines}"), "{}");
        }
        std::thread::sleep(Duration::from_millis(10 + round * 17));
        server.kill();
        lines += 1;
        stream.insert(&format!("ledger:{lines}"), "{}");
        until("down", || matches!(pipeline.status().state, State::Down { .. }));
        server.up();
    }
    drained(&pipeline, StreamId::new(lines, 0));
    pipeline.stop();
    assert_lines(&server, lines);
}

#[test]
fn two_hosts_never_both_publish() {
    let Some(server) = NatsServer::start() else { return };
    let stream = Stream::default();
    let mut few = settings();
    few.batch_events_max = 10;
    let lines = 5_000;
    for line in 1..=lines {
        stream.insert(&format!("ledger:{line}"), "{}");
    }
    let all = StreamId::new(lines, 0);
    let mut holder = server.run(few.clone(), &stream.copy(), None);
    for _ in 0..10 {
        std::thread::sleep(Duration::from_millis(30));
        let rival = server.run(few.clone(), &stream.copy(), None);
        let decided =
            holder.wait_for(LONG, |status| status.state == State::Fenced || status.position == all);
        assert!(decided, "{:?}", holder.status());
        holder = rival;
    }
    drained(&holder, all);
    assert_lines(&server, lines);
}
