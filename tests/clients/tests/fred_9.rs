//! fred 9: names that the checks use for what this version calls otherwise.

mod fred {
    pub(crate) use fred9::clients::Transaction;
    pub(crate) use fred9::interfaces::{
        AuthInterface, ClientLike, HashesInterface, KeysInterface, ListInterface,
        TransactionInterface,
    };
    pub(crate) use fred9::prelude::{
        Builder, FromRedis as FromValue, PerformanceConfig, ReconnectPolicy,
    };
    pub(crate) use fred9::prelude::{
        RedisClient as Client, RedisConfig as Config, RedisError as Error, RedisValue as Value,
    };
    pub(crate) use fred9::types::{ClusterHash, CustomCommand, RespVersion};

    pub(crate) type Tuning = fn(&mut PerformanceConfig);

    /// How the client may be told to send.
    pub(crate) const MODES: &[(&str, Tuning)] = &[
        // Each command waits for its reply before the next is sent.
        ("manual", |performance| performance.auto_pipeline = false),
        ("automatic", |_| ()),
    ];
}

#[path = "fred_checks.rs"]
mod checks;
