//! fred 10: names that the checks use for what this version calls otherwise.

mod fred {
    pub(crate) use fred10::clients::Transaction;
    pub(crate) use fred10::interfaces::{
        AuthInterface, ClientLike, HashesInterface, KeysInterface, ListInterface,
        TransactionInterface,
    };
    pub(crate) use fred10::prelude::{Builder, FromValue, PerformanceConfig, ReconnectPolicy};
    pub(crate) use fred10::prelude::{Client, Config, Error, Value};
    pub(crate) use fred10::types::{ClusterHash, CustomCommand, RespVersion};

    pub(crate) type Tuning = fn(&mut PerformanceConfig);

    /// How the client may be told to send.
    pub(crate) const MODES: &[(&str, Tuning)] = &[("automatic", |_| ())];
}

#[path = "fred_checks.rs"]
mod checks;
