//! What the host itself does with the keyspace, without a connection: the pipelines that carry data
//! elsewhere run their errands here.
//!
//! It deliberately has no way around the gates that clients pass: a replica refuses to be written to.

use reef_engine::backend::Caller;
use reef_engine::gates::Conditions;
use reef_engine::session::Session;
use reef_resp::{Argv, Writer};

use crate::clock::now_ms;
use crate::store::Store;

impl Store {
    /// Runs one command of the host's own as a client's would be: for what a batch may not contain.
    /// Plugins' commands are not among them.
    pub fn run(&self, caller: &Caller, argv: Argv<'_>, reply: &mut Writer) {
        let mut session = Session::new(caller.client_id, caller.user.clone(), true);
        session.database = caller.database;
        loop {
            let moment = self.moment(now_ms(), Conditions::default);
            let execution =
                self.execute(&moment, &mut session, argv, reply, &mut self.batch_host());
            if !execution.postponed {
                return;
            }
        }
    }

    /// Makes everything that was written so far as durable as the policy wants; the error says why it
    /// is not. For those who read without a connection and carry elsewhere what they have seen.
    pub fn settle(&self) -> Result<(), String> {
        match self.log().is_on() && !self.log().is_settled() {
            true => self.log().settle().map_err(|error| error.to_string()),
            false => Ok(()),
        }
    }
}
