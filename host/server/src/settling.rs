//! Replies that wait for the log: kept with their connections, sent when the turn's commands are as
//! durable as the policy wants.
//!
//! While a connection has such replies nothing of its output is sent, so their order stays. If the log
//! cannot be written, whoever may have changed something is closed without an answer, because whether
//! that will last is not known; reads are answered.

use crate::worker::Worker;

impl Worker {
    /// Remembers that something was appended to a connection's output.
    pub(crate) fn touch(&mut self, place: usize) {
        let connection = &mut self.connections[place];
        if !connection.touched {
            connection.touched = true;
            self.touched.push(place);
        }
    }

    /// Settles the log, once for all commands of the turn.
    pub(crate) fn settle(&mut self) {
        let log = self.shared.store.log();
        if !log.is_on() && self.touched.is_empty() {
            return;
        }
        let is_settled = log.is_settled() || log.settle().is_ok();
        self.shared.check_waits();
        let mut unsettled = Vec::new();
        for place in &self.touched {
            let Some(connection) = self.connections.get_mut(*place) else { continue };
            if std::mem::take(&mut connection.held) && !is_settled && connection.wrote {
                unsettled.push(*place);
            }
        }
        unsettled.into_iter().for_each(|place| self.close(place));
    }
}
