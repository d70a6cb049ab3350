//! How large a collection may be in its packed form: the `*-max-*` directives, nothing else.
//!
//! The value is handed into every mutation that may have to convert; who keeps it and where its
//! numbers come from is not known here.

/// The thresholds at which small forms turn into large ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `hash-max-listpack-entries`: fields.
    pub hash_entries_max: usize,
    /// `hash-max-listpack-value`: bytes of a field or value.
    pub hash_value_bytes_max: usize,
    /// `list-max-listpack-size`: elements in a node of a list if positive; -1 to -5 stand for 4, 8,
    /// 16, 32 and 64 KiB.
    pub list_node_size: i64,
    /// `set-max-intset-entries`: members of a set of integers.
    pub set_integers_max: usize,
    /// `set-max-listpack-entries`: members. With 0 a set is either integers or a hash table, as it
    /// was before Redis 7.2.
    pub set_entries_max: usize,
    /// `set-max-listpack-value`: bytes of a member.
    pub set_value_bytes_max: usize,
    /// `zset-max-listpack-entries`: members.
    pub sorted_set_entries_max: usize,
    /// `zset-max-listpack-value`: bytes of a member.
    pub sorted_set_value_bytes_max: usize,
    /// `hll-sparse-max-bytes`: bytes of a HyperLogLog in its sparse form, header included.
    pub hyperloglog_sparse_bytes_max: usize,
    /// `stream-node-max-bytes`: bytes of a node of a stream; 0: as many as fit.
    pub stream_node_bytes_max: usize,
    /// `stream-node-max-entries`: entries of a node of a stream; 0: any number.
    pub stream_node_entries_max: usize,
}

impl Default for Limits {
    /// The defaults of Redis 7.2.
    fn default() -> Self {
        Self {
            hash_entries_max: 512,
            hash_value_bytes_max: 64,
            list_node_size: -2,
            set_integers_max: 512,
            set_entries_max: 128,
            set_value_bytes_max: 64,
            sorted_set_entries_max: 128,
            sorted_set_value_bytes_max: 64,
            hyperloglog_sparse_bytes_max: 3000,
            stream_node_bytes_max: 4096,
            stream_node_entries_max: 100,
        }
    }
}
