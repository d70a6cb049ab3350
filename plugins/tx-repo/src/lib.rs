//! placeholder
reef_sdk::export_plugin! {
    name: "tx-repo",
    version: env!("CARGO_PKG_VERSION"),
    summary: "Transactions of relayers, with indexes that always agree.",
    commands: &[],
    wants: &[],
}
