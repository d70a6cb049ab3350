//! What the test's runner says in the environment.

use std::env;
use std::net::Ipv4Addr;
use std::time::Duration;

/// One role of one test.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `is_dialer`: which role it plays.
    pub is_dialer: bool,
    /// `ip`: where the listener listens; 0.0.0.0 unless told.
    pub ip: Ipv4Addr,
    /// `redis_addr`: host and port.
    pub redis_addr: String,
    /// `test_timeout_seconds`: for how long anything is waited for; 15 unless told.
    pub timeout: Duration,
}

impl Settings {
    /// Reads them. The error says what is wrong.
    pub fn from_environment() -> Result<Self, String> {
        for (name, ours) in [("transport", "tcp"), ("security", "noise"), ("muxer", "yamux")] {
            let asked = env::var(name).unwrap_or_else(|_| ours.to_owned());
            if asked != ours {
                return Err(format!("{name}={asked}: this program has {ours} only"));
            }
        }
        let is_dialer = match env::var("is_dialer").as_deref() {
            Ok("true") => true,
            Ok("false") => false,
            _ => return Err("is_dialer is neither true nor false".to_owned()),
        };
        let ip = env::var("ip").unwrap_or_else(|_| "0.0.0.0".to_owned());
        let seconds = env::var("test_timeout_seconds").unwrap_or_else(|_| "15".to_owned());
        Ok(Self {
            is_dialer,
            ip: ip.parse().map_err(|_| format!("ip={ip}: no IPv4 address"))?,
            redis_addr: env::var("redis_addr").unwrap_or_else(|_| "localhost:6379".to_owned()),
            timeout: seconds
                .parse()
                .map(Duration::from_secs)
                .map_err(|_| format!("test_timeout_seconds={seconds}: no number of seconds"))?,
        })
    }
}
