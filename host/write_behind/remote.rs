//! A keyspace over a connection, which is opened anew when it has broken.

use std::time::Duration;

use redis::{Cmd, Connection, Pipeline, Value};
use reef_resp::Node;

use super::link::{Link, Replies, Words};
use crate::config::pipeline::RedisServer;

/// How long a connection may take to be there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one reply may take: longer than anybody wants to wait for replicas.
const REPLY_TIMEOUT: Duration = Duration::from_secs(60);

/// The way to a server's keyspace.
pub(crate) struct RemoteLink {
    server: RedisServer,
    connection: Option<Connection>,
}

impl RemoteLink {
    /// To this server; does not connect yet.
    pub(crate) fn new(server: &RedisServer) -> Self {
        Self { server: server.clone(), connection: None }
    }

    fn connect(&self) -> redis::RedisResult<Connection> {
        let RedisServer { host, port, db, user, password } = &self.server;
        let mut settings = redis::RedisConnectionInfo::default().set_db(i64::from(*db));
        if let Some(user) = user {
            settings = settings.set_username(user);
        }
        if let Some(password) = password {
            settings = settings.set_password(password);
        }
        let address = redis::ConnectionAddr::Tcp(host.clone(), *port);
        let info = redis::IntoConnectionInfo::into_connection_info(address)?;
        let client = redis::Client::open(info.set_redis_settings(settings))?;
        let connection = client.get_connection_with_timeout(CONNECT_TIMEOUT)?;
        connection.set_read_timeout(Some(REPLY_TIMEOUT))?;
        connection.set_write_timeout(Some(REPLY_TIMEOUT))?;
        Ok(connection)
    }

    fn run(&mut self, commands: &[Words<'_>]) -> Result<Replies, String> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().map_err(|error| told(&error))?,
        };
        let mut pipeline = Pipeline::new();
        pipeline.ignore_errors();
        if commands.len() > 1 {
            pipeline.atomic();
        }
        for words in commands {
            let mut command = Cmd::new();
            words.iter().for_each(|word| {
                command.arg(*word);
            });
            pipeline.add_command(command);
        }
        // A connection that failed is not used again: replies may still be on their way in it.
        let answered: Vec<redis::RedisResult<Value>> =
            pipeline.query(&mut connection).map_err(|error| told(&error))?;
        self.connection = Some(connection);
        let mut replies = Replies::default();
        for answer in answered {
            match answer {
                Ok(value) => put(&mut replies, &value),
                Err(error) => put_error(&mut replies, &error.to_string()),
            }
        }
        Ok(replies)
    }
}

impl Link for RemoteLink {
    fn read(&mut self, commands: &[Words<'_>]) -> Result<Replies, String> {
        self.run(commands)
    }

    fn write(&mut self, commands: &[Words<'_>]) -> Result<Replies, String> {
        self.run(commands)
    }

    fn command(&mut self, words: &[&[u8]]) -> Result<Replies, String> {
        self.run(&[words.to_vec()])
    }

    /// What a server has answered is as durable as its policy says.
    fn settle(&mut self) -> Result<(), String> {
        Ok(())
    }
}

fn told(error: &redis::RedisError) -> String {
    error.to_string()
}

/// A reply in RESP.
pub(super) fn parsed(reply: &[u8]) -> Result<Replies, String> {
    let mut replies = Replies::default();
    put(&mut replies, &redis::parse_redis_value(reply).map_err(|error| told(&error))?);
    Ok(replies)
}

fn put_error(replies: &mut Replies, text: &str) {
    replies.nodes.push(Node::Error(text.len() as u32));
    replies.data.extend_from_slice(text.as_bytes());
}

/// Adds a value to the walk.
fn put(replies: &mut Replies, value: &Value) {
    let mut text = |bytes: &[u8], kind: fn(u32) -> Node| {
        replies.nodes.push(kind(bytes.len() as u32));
        replies.data.extend_from_slice(bytes);
    };
    match value {
        Value::Int(number) => replies.nodes.push(Node::Integer(*number)),
        Value::BulkString(bytes) => text(bytes, Node::Bulk),
        Value::SimpleString(status) => text(status.as_bytes(), Node::Status),
        Value::Okay => replies.nodes.push(Node::Ok),
        Value::Boolean(truth) => replies.nodes.push(Node::Boolean(*truth)),
        Value::Array(values) | Value::Set(values) => {
            replies.nodes.push(Node::Array(values.len() as u32));
            values.iter().for_each(|value| put(replies, value));
        }
        Value::Map(pairs) => {
            replies.nodes.push(Node::Pairs(pairs.len() as u32));
            for (name, value) in pairs {
                put(replies, name);
                put(replies, value);
            }
        }
        Value::ServerError(error) => put_error(replies, &error.to_string()),
        _ => replies.nodes.push(Node::Nil),
    }
}
