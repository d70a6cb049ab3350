//! The file of a write-behind pipeline (`write-behind FILE.yaml`): from which documents to which
//! database.
//!
//! Its sections are `postgresql`, `mysql`, `sqlite` or `nats` (exactly one of them), `redis`,
//! `zero_data_loss`, `streams`, `dummy_data`, `write_behind` and `search_index`. What is not given has a
//! default; what is not known is refused, with its place in the file.
//!
//! It deliberately does not connect, nor know what a database's names mean.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The largest file that is read.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// All of a file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PipelineFile {
    /// PostgreSQL as the target.
    pub postgresql: Option<DatabaseServer>,
    /// MariaDB or MySQL as the target.
    pub mysql: Option<DatabaseServer>,
    /// SQLite as the target.
    pub sqlite: Option<DatabaseFile>,
    /// NATS JetStream as the target: a message for each event.
    pub nats: Option<MessageServer>,
    /// Where the documents are, for those who are not in the server itself.
    pub redis: RedisServer,
    /// What a writer waits for.
    pub zero_data_loss: ZeroDataLoss,
    /// Names of streams and keys.
    pub streams: Streams,
    /// What the generator makes.
    pub dummy_data: DummyData,
    /// How events are carried.
    pub write_behind: Carrying,
    /// The index over the documents.
    pub search_index: SearchIndex,
}

/// A database on a server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseServer {
    /// A name, an address, or the folder of a Unix socket.
    pub host: String,
    /// The port; the usual one if it is not given.
    pub port: Option<u16>,
    /// The database's name.
    pub database: String,
    /// Who connects.
    pub user: String,
    /// With which password.
    #[serde(default)]
    pub password: Option<String>,
    /// Whether the connection is encrypted.
    #[serde(default)]
    pub tls: DatabaseTls,
    /// Who may vouch for the server, as PEM; without, whom the machine trusts.
    #[serde(default)]
    pub tls_ca: Option<PathBuf>,
}

/// Whether the connection to a database is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DatabaseTls {
    /// It is not.
    #[default]
    Off,
    /// It is, and the server has to prove who it is.
    Verify,
    /// It is, whoever the server is.
    Insecure,
}

/// A database in a file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseFile {
    /// Where it is; made if it is not there.
    pub path: PathBuf,
}

/// A message broker.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessageServer {
    /// A name or an address.
    pub host: String,
    /// The port; the usual one if it is not given.
    pub port: Option<u16>,
    /// The stream; made if it is not there, with one copy.
    pub stream: String,
    /// Who connects.
    #[serde(default)]
    pub user: Option<String>,
    /// With which password.
    #[serde(default)]
    pub password: Option<String>,
    /// Whether the connection is encrypted.
    #[serde(default)]
    pub tls: DatabaseTls,
    /// Who may vouch for the server, as PEM; without, whom the machine trusts.
    #[serde(default)]
    pub tls_ca: Option<PathBuf>,
}

/// A server that speaks RESP.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RedisServer {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The database's number.
    pub db: u32,
    /// Who connects; the default user if it is not given.
    pub user: Option<String>,
    /// With which password.
    pub password: Option<String>,
}

impl Default for RedisServer {
    fn default() -> Self {
        Self { host: "localhost".into(), port: 6379, db: 0, user: None, password: None }
    }
}

/// What a writer waits for after each change.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ZeroDataLoss {
    /// Whether it waits at all.
    pub enabled: bool,
    /// For replicas.
    pub wait_for_replicas: bool,
    /// For how many.
    pub replicas: u32,
    /// For how long: fewer by then are an error.
    pub wait_timeout_ms: u64,
    /// For the append-only file of the server itself.
    pub wait_for_aof_rewrite: bool,
}

impl Default for ZeroDataLoss {
    fn default() -> Self {
        Self {
            enabled: false,
            wait_for_replicas: true,
            replicas: 1,
            wait_timeout_ms: 2_000,
            wait_for_aof_rewrite: false,
        }
    }
}

/// Names of streams and keys.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Streams {
    /// The events of an entity are in `<prefix>:<entity>`.
    pub prefix: String,
    /// Streams that tell what became of what.
    pub log_streams: LogStreams,
    /// Where the position of a pipeline can be read: `<last_id_key_prefix>:<stream>`.
    pub last_id_key_prefix: String,
}

impl Default for Streams {
    fn default() -> Self {
        Self {
            prefix: "stream".into(),
            log_streams: LogStreams::default(),
            last_id_key_prefix: "stream:lastid".into(),
        }
    }
}

/// Streams that tell what became of what. Those of the database are called after PostgreSQL, whichever it
/// is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the names say it")]
pub struct LogStreams {
    pub redis_success: String,
    pub redis_fail: String,
    pub redis_retry: String,
    pub postgres_success: String,
    pub postgres_fail: String,
}

impl Default for LogStreams {
    fn default() -> Self {
        Self {
            redis_success: "log:redis:success".into(),
            redis_fail: "log:redis:fail".into(),
            redis_retry: "log:redis:retry".into(),
            postgres_success: "log:postgres:success".into(),
            postgres_fail: "log:postgres:fail".into(),
        }
    }
}

/// What the generator makes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DummyData {
    /// How many operations.
    pub num_records: u64,
    /// The share of them that create, update, delete.
    pub create_pct: f64,
    /// See `create_pct`.
    pub update_pct: f64,
    /// See `create_pct`.
    pub delete_pct: f64,
    /// Which of them are events; the others change the document alone.
    pub perform_write_behind: PerformWriteBehind,
}

impl Default for DummyData {
    fn default() -> Self {
        Self {
            num_records: 5,
            create_pct: 0.6,
            update_pct: 0.3,
            delete_pct: 0.1,
            perform_write_behind: PerformWriteBehind::default(),
        }
    }
}

/// Which operations of the generator are events.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the names say it")]
pub struct PerformWriteBehind {
    pub insert: bool,
    pub update: bool,
    pub delete: bool,
}

impl Default for PerformWriteBehind {
    fn default() -> Self {
        Self { insert: true, update: true, delete: true }
    }
}

/// How events are carried.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Carrying {
    /// The most events of one commit.
    pub batch_size: usize,
    /// Understood because older files have it, and without effect: a database that is down is tried again
    /// for ever.
    pub max_retry_attempts: u32,
    /// Gather for so long before each round; whatever has gathered is carried then. Without it, a
    /// batch is what has gathered while the last one was committed.
    pub interval_seconds: Option<f64>,
    /// What the documents are.
    pub entity: String,
    /// The table; called as the entity if it is not given.
    pub table: Option<String>,
    /// How documents become rows.
    pub mapping: Mapping,
    /// The columns of the mapping `columns`.
    pub columns: Vec<MappedColumn>,
    /// A component to be the sink, in the place of the bundled one.
    pub sink: Option<PathBuf>,
    /// Settings of that component.
    pub sink_config: std::collections::BTreeMap<String, String>,
    /// Connections to the database that share the documents.
    pub partitions: u32,
    /// Whether tables that are not there are made.
    pub create_tables: bool,
    /// Events that may wait before writers are refused or have to wait; 0 for any number.
    pub backlog_max: u64,
    /// What writers are told then.
    pub when_full: WhenFull,
    /// Keys with this prefix are documents, JSON or hash, whoever changes them.
    pub capture: Option<String>,
    /// Whether the expiry of a document is its deletion.
    pub expiry_deletes: bool,
    /// Whether documents that are there at the first start become events; if it is not given, those
    /// under `capture` do.
    pub snapshot: Option<bool>,
}

impl Default for Carrying {
    fn default() -> Self {
        Self {
            batch_size: 1_000,
            max_retry_attempts: 3,
            interval_seconds: None,
            entity: "sessions".into(),
            table: None,
            mapping: Mapping::default(),
            columns: Vec::new(),
            sink: None,
            sink_config: std::collections::BTreeMap::new(),
            partitions: 1,
            create_tables: true,
            backlog_max: 1_000_000,
            when_full: WhenFull::default(),
            capture: None,
            expiry_deletes: true,
            snapshot: None,
        }
    }
}

/// How documents become rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mapping {
    /// Id, the whole document, when it was inserted.
    #[default]
    Payload,
    /// Id and parts of the document.
    Columns,
    /// A row for each event.
    Ledger,
}

impl Mapping {
    /// Its name in the file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Payload => "payload",
            Self::Columns => "columns",
            Self::Ledger => "ledger",
        }
    }
}

/// What writers are told when too many events wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum WhenFull {
    /// An error.
    #[default]
    #[serde(rename = "stop-writes")]
    StopWrites,
    /// Nothing, until there is room.
    #[serde(rename = "block")]
    Block,
}

impl WhenFull {
    /// Its name in the file.
    pub fn word(self) -> &'static str {
        match self {
            Self::StopWrites => "stop-writes",
            Self::Block => "block",
        }
    }
}

/// A part of a document that becomes a column.
#[derive(Clone, Debug, Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct MappedColumn {
    /// The column.
    pub name: String,
    /// Where the value stands; the column's name if it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// `text`, `integer`, `double`, `boolean`, `json` or `timestamp`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it may be missing.
    #[serde(default)]
    pub nullable: bool,
}

/// The index over the documents.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SearchIndex {
    /// Whether it is made.
    pub create_index: bool,
    /// Its name; `idx:<entity>` if it is not given.
    pub index_name: Option<String>,
    /// What it knows of documents.
    pub fields: Vec<IndexField>,
}

/// A member of a document that is indexed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexField {
    /// Its name.
    pub name: String,
    /// `TEXT`, `TAG` or `NUMERIC`.
    #[serde(rename = "type")]
    pub kind: String,
}

/// Where the rows go.
#[derive(Clone, Debug)]
pub enum Database {
    /// PostgreSQL.
    PostgreSql(DatabaseServer),
    /// MariaDB or MySQL.
    MySql(DatabaseServer),
    /// SQLite.
    Sqlite(DatabaseFile),
    /// NATS JetStream.
    Nats(MessageServer),
}

impl PipelineFile {
    /// Reads a file.
    ///
    /// # Errors
    /// What is wrong with it, in a sentence that names the file and, where there is one, the line.
    pub fn load(path: &Path) -> Result<Self, String> {
        let name = path.display();
        let size = fs::metadata(path).map_err(|error| format!("{name}: {error}"))?.len();
        if size > FILE_BYTES_MAX {
            return Err(format!("{name}: a pipeline's file has up to {FILE_BYTES_MAX} bytes"));
        }
        let text = fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
        Self::parse(&text).map_err(|reason| format!("{name}: {reason}"))
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: Self = serde_saphyr::from_str(text).map_err(|error| plain(&error))?;
        file.check()?;
        Ok(file)
    }

    /// Where the rows go.
    pub fn database(&self) -> Option<Database> {
        let postgresql = self.postgresql.clone().map(Database::PostgreSql);
        let mysql = self.mysql.clone().map(Database::MySql);
        let sqlite = self.sqlite.clone().map(Database::Sqlite);
        let nats = self.nats.clone().map(Database::Nats);
        postgresql.or(mysql).or(sqlite).or(nats)
    }

    /// The stream of the events.
    pub fn stream(&self) -> String {
        format!("{}:{}", self.streams.prefix, self.write_behind.entity)
    }

    fn check(&self) -> Result<(), String> {
        let databases = [
            self.postgresql.is_some(),
            self.mysql.is_some(),
            self.sqlite.is_some(),
            self.nats.is_some(),
        ];
        if databases.into_iter().filter(|there| *there).count() != 1 {
            return Err("one of the sections postgresql, mysql, sqlite and nats is needed".into());
        }
        let carrying = &self.write_behind;
        if carrying.batch_size == 0 || carrying.batch_size > 100_000 {
            return Err("write_behind.batch_size is a number from 1 to 100000".into());
        }
        if carrying.interval_seconds.is_some_and(|seconds| !(0.0..=86_400.0).contains(&seconds)) {
            return Err("write_behind.interval_seconds is a number from 0 to 86400".into());
        }
        if !(1..=reef_sinks::Settings::PARTITIONS_MAX).contains(&carrying.partitions) {
            let most = reef_sinks::Settings::PARTITIONS_MAX;
            return Err(format!("write_behind.partitions is a number from 1 to {most}"));
        }
        if carrying.entity.is_empty() || carrying.entity.contains(char::is_whitespace) {
            return Err("write_behind.entity is a word".into());
        }
        if carrying.capture.as_deref().is_some_and(|capture| {
            capture.is_empty() || capture.contains(|one: char| one.is_whitespace() || one == '=')
        }) {
            return Err("write_behind.capture is a prefix of keys, without blanks and '='".into());
        }
        let shares =
            [self.dummy_data.create_pct, self.dummy_data.update_pct, self.dummy_data.delete_pct];
        if shares.iter().any(|share| !(0.0..=1.0).contains(share))
            || shares.iter().sum::<f64>() > 1.000_001
        {
            return Err("dummy_data: shares are from 0 to 1, and together no more than 1".into());
        }
        Ok(())
    }
}

/// An error with its place, on one line.
fn plain(error: &serde_saphyr::Error) -> String {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    match error.location() {
        Some(place) => format!("line {}: {first}", place.line()),
        None => first.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The configuration of the write-up that this pipeline replaces.
    const ORIGINAL: &str = include_str!("../../tests/write_behind/config.yaml");

    #[test]
    fn the_original_file_is_understood() {
        let file = PipelineFile::parse(ORIGINAL).unwrap();
        let Some(Database::PostgreSql(server)) = file.database() else { panic!("PostgreSQL") };
        assert_eq!((server.host.as_str(), server.port), ("localhost", Some(5432)));
        assert_eq!(file.stream(), "stream:sessions");
        assert!(file.zero_data_loss.enabled && !file.zero_data_loss.wait_for_aof_rewrite);
        assert_eq!(file.streams.last_id_key_prefix, "stream:lastid");
        assert_eq!(file.streams.log_streams.postgres_fail, "log:postgres:fail");
        assert!(!file.dummy_data.perform_write_behind.delete);
        assert_eq!(file.write_behind.batch_size, 5);
        assert_eq!(file.write_behind.interval_seconds, Some(10.0));
        assert_eq!(file.search_index.fields.len(), 3);
    }

    #[test]
    fn what_is_not_known_is_refused_with_its_line() {
        for (text, expected) in [
            ("sqlite: {path: x}\nwrite_behind:\n  batch_sise: 5\n", "line 3: "),
            ("sqlite: {path: x}\nkafka: {}\n", "line 2: "),
            ("sqlite:\n  path: [x\n", "line "),
            ("sqlite: {path: x}\nwrite_behind:\n  batch_size: many\n", "line 3: "),
            ("redis: {}\n", "one of the sections"),
            ("sqlite: {path: x}\nmysql: {host: h, database: d, user: u}\n", "one of the sections"),
            ("sqlite: {path: x}\nwrite_behind: {batch_size: 0}\n", "batch_size"),
            ("sqlite: {path: x}\nwrite_behind: {partitions: 65}\n", "partitions"),
            ("sqlite: {path: x}\nwrite_behind: {interval_seconds: -1}\n", "interval_seconds"),
            ("sqlite: {path: x}\nwrite_behind: {entity: 'a b'}\n", "entity"),
            ("sqlite: {path: x}\nwrite_behind: {when_full: explode}\n", "line 2: "),
            ("sqlite: {path: x}\ndummy_data: {create_pct: 0.9, update_pct: 0.9}\n", "shares"),
        ] {
            let error = PipelineFile::parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }
}
