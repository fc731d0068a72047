use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A cache whose entries expire.
pub struct Cache<V> {
    ttl: Duration,
    entries: HashMap<String, (Instant, V)>,
}

impl<V: Clone> Cache<V> {
    pub fn new(ttl: Duration) -> Self {
        Self { ttl, entries: HashMap::new() }
    }

    pub fn get(&self, key: &str) -> Option<V> {
        let (stored, value) = self.entries.get(key)?;
        if stored.elapsed() > self.ttl {
            return None;
        }
        Some(value.clone())
    }

    pub fn put(&mut self, key: String, value: V) {
        self.entries.insert(key, (Instant::now(), value));
    }
}
