//! Where listener and dialer meet: a list in a Redis, by `RPUSH` and `BLPOP`.

use std::time::Duration;

use redis::{Client, Connection, RedisResult};

/// The key on which they meet.
const KEY: &str = "listenerAddr";

/// A connection to the Redis.
pub struct Meeting(Connection);

impl Meeting {
    /// Connects.
    pub fn connect(address: &str) -> RedisResult<Self> {
        let mut connection = Client::open(format!("redis://{address}"))?.get_connection()?;
        redis::cmd("PING").query::<()>(&mut connection)?;
        Ok(Self(connection))
    }

    /// The listener's address, for one dialer.
    pub fn publish(&mut self, address: &str) -> RedisResult<()> {
        redis::cmd("RPUSH").arg(KEY).arg(address).query(&mut self.0)
    }

    /// Waits for a listener's address; `None`: there was none in time.
    pub fn wait(&mut self, timeout: Duration) -> RedisResult<Option<String>> {
        let found: Option<(String, String)> =
            redis::cmd("BLPOP").arg(KEY).arg(timeout.as_secs()).query(&mut self.0)?;
        Ok(found.map(|(_, address)| address))
    }
}
