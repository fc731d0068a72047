pub const TTL: u64 = 60;
