//! The prompt cache: what of a prompt is read, what is written, and for how long.

use std::collections::HashMap;
use std::time::Duration;

use super::ledger::BilledUsage;
use super::prompt::{Position, Ttl};

/// How many positions before a mark an earlier entry is found.
const LOOKBACK_POSITIONS: usize = 20;

impl Ttl {
    fn duration(self) -> Duration {
        match self {
            Self::FiveMinutes => Duration::from_mins(5),
            Self::OneHour => Duration::from_hours(1),
        }
    }
}

/// Every entry, by the chain up to its mark.
#[derive(Debug, Default)]
pub(super) struct PromptCache {
    entries: HashMap<[u8; 32], Entry>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    ttl: Ttl,
    expires: Duration,
}

impl PromptCache {
    /// Answers one prompt: what it reads and writes, and the entries as they are once the answer has begun.
    ///
    /// `now` is when the request began, which is where every lifetime is counted from.
    pub(super) fn answer(&mut self, positions: &[Position], min_tokens: u64, now: Duration) -> BilledUsage {
        let until = |index: Option<usize>| index.and_then(|index| positions.get(index)).map_or(0, |p| p.tokens_until);
        let total = until(positions.len().checked_sub(1));
        let long_enough = |index: &usize| until(Some(*index)) >= min_tokens;
        let marks: Vec<(usize, Ttl)> = positions.iter().enumerate().filter_map(|(i, p)| Some((i, p.mark?))).collect();
        let marks: Vec<(usize, Ttl)> = marks.into_iter().filter(|(index, _)| long_enough(index)).collect();

        let read = marks.iter().filter_map(|(mark, _)| self.find(positions, *mark, now)).filter(long_enough).max();
        if let Some(entry) = read.and_then(|index| self.entries.get_mut(&positions[index].chain)) {
            entry.expires = now + entry.ttl.duration();
        }
        let mut written_for_an_hour = read;
        let mut written = read;
        for (mark, ttl) in marks.into_iter().filter(|(mark, _)| read.is_none_or(|read| *mark > read)) {
            self.entries.insert(positions[mark].chain, Entry { ttl, expires: now + ttl.duration() });
            written = Some(mark);
            if ttl == Ttl::OneHour {
                written_for_an_hour = Some(mark);
            }
        }
        BilledUsage {
            input_tokens: total - until(written),
            cache_creation_input_tokens: until(written) - until(read),
            ephemeral_5m_input_tokens: until(written) - until(written_for_an_hour),
            ephemeral_1h_input_tokens: until(written_for_an_hour) - until(read),
            cache_read_input_tokens: until(read),
            output_tokens: 0,
        }
    }

    /// The nearest living entry at a mark or before it.
    fn find(&self, positions: &[Position], mark: usize, now: Duration) -> Option<usize> {
        let mut steps = 0;
        let mut index = mark;
        loop {
            let position = &positions[index];
            if self.entries.get(&position.chain).is_some_and(|entry| now < entry.expires) {
                return Some(index);
            }
            let before = index.checked_sub(1)?;
            let is_same_run = position.run.is_some() && positions[before].run == position.run;
            steps += usize::from(!is_same_run);
            if steps > LOOKBACK_POSITIONS {
                return None;
            }
            index = before;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::models;
    use super::super::prompt::positions;
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    /// 1,000 tokens.
    const BLOCK_BYTES: usize = 3_200;

    struct Server(PromptCache);

    impl Server {
        fn ask(&mut self, request: &Value, now: Duration) -> BilledUsage {
            let model = models::load().into_iter().find(|model| request["model"] == *model.id).unwrap();
            self.0.answer(&positions(request, &model, "key"), model.min_cache_tokens, now)
        }
    }

    fn text(letter: &str) -> Value {
        json!({"type": "text", "text": letter.repeat(BLOCK_BYTES)})
    }

    fn marked(letter: &str, ttl: &str) -> Value {
        json!({"type": "text", "text": letter.repeat(BLOCK_BYTES), "cache_control": {"type": "ephemeral", "ttl": ttl}})
    }

    fn request(content: impl Into<Value>) -> Value {
        json!({"model": "claude-opus-5-5", "messages": [{"role": "user", "content": content.into()}]})
    }

    /// Written, read and uncached tokens.
    fn split(usage: BilledUsage) -> (u64, u64, u64) {
        (usage.cache_creation_input_tokens, usage.cache_read_input_tokens, usage.input_tokens)
    }

    #[test]
    fn a_second_request_reads_what_the_first_wrote() {
        let mut server = Server(PromptCache::default());
        assert_eq!(split(server.ask(&request(vec![marked("a", "5m"), text("b")]), SECOND)), (1_000, 0, 1_000));
        assert_eq!(split(server.ask(&request(vec![marked("a", "5m"), text("c")]), SECOND)), (0, 1_000, 1_000));
        assert_eq!(split(server.ask(&request(vec![marked("x", "5m"), text("c")]), SECOND)), (1_000, 0, 1_000));
    }

    #[test]
    fn an_entry_lives_for_its_time_from_the_start_of_its_last_use() {
        let mut server = Server(PromptCache::default());
        let request = request(vec![marked("a", "5m")]);
        server.ask(&request, Duration::ZERO);
        assert_eq!(server.ask(&request, SECOND * 299).cache_read_input_tokens, 1_000);
        assert_eq!(server.ask(&request, SECOND * 598).cache_read_input_tokens, 1_000);
        assert_eq!(server.ask(&request, SECOND * 898).cache_read_input_tokens, 0);
    }

    #[test]
    fn effort_thinking_tools_system_and_tool_choice_make_another_prefix() {
        let base = request(vec![marked("a", "5m")]);
        for (field, value) in [
            ("output_config", json!({"effort": "high"})),
            ("output_config", json!({"format": {"type": "json_schema"}})),
            ("thinking", json!({"type": "adaptive"})),
            ("tools", json!([{"name": "t"}])),
            ("system", json!("s")),
            ("tool_choice", json!({"type": "none"})),
            ("model", json!("claude-sonnet-5-5")),
        ] {
            let mut server = Server(PromptCache::default());
            server.ask(&base, SECOND);
            let mut other = base.clone();
            other[field] = value;
            assert_eq!(server.ask(&other, SECOND).cache_read_input_tokens, 0, "{other}");
        }
        // Naming the default effort is the same as naming none.
        let mut server = Server(PromptCache::default());
        server.ask(&base, SECOND);
        let mut same = base;
        same["output_config"] = json!({"effort": "medium"});
        assert_eq!(server.ask(&same, SECOND).cache_read_input_tokens, 1_000);
    }

    #[test]
    fn a_short_prefix_is_not_cached() {
        let mut server = Server(PromptCache::default());
        let short = |bytes: usize| {
            let mark = json!({"type": "ephemeral"});
            request(vec![json!({"type": "text", "text": "a".repeat(bytes), "cache_control": mark})])
        };
        assert_eq!(split(server.ask(&short(511 * 32 / 10), SECOND)), (0, 0, 511));
        assert_eq!(split(server.ask(&short(512 * 32 / 10), SECOND)), (512, 0, 0));
    }

    #[test]
    fn looks_back_over_twenty_positions() {
        let growing = |blocks: usize| {
            let mut content = vec![marked("a", "5m")];
            content.extend((0..blocks).map(|i| json!({"type": "text", "text": i.to_string()})));
            content.last_mut().unwrap()["cache_control"] = json!({"type": "ephemeral"});
            content[0].as_object_mut().unwrap().shift_remove("cache_control");
            request(content)
        };
        for (blocks, read) in [(20, 1_000), (21, 0)] {
            let mut server = Server(PromptCache::default());
            server.ask(&request(vec![marked("a", "5m")]), SECOND);
            assert_eq!(server.ask(&growing(blocks), SECOND).cache_read_input_tokens, read, "{blocks}");
        }
    }

    #[test]
    fn bills_each_lifetime_at_its_own_price() {
        let mut server = Server(PromptCache::default());
        let usage = server.ask(&request(vec![marked("a", "1h"), marked("b", "5m"), text("c")]), SECOND);
        assert_eq!((usage.ephemeral_1h_input_tokens, usage.ephemeral_5m_input_tokens), (1_000, 1_000));
        assert_eq!(usage.input_tokens, 1_000);
        let usage = server.ask(&request(vec![marked("a", "1h"), marked("d", "5m")]), SECOND * 600);
        assert_eq!((usage.cache_read_input_tokens, usage.ephemeral_5m_input_tokens), (1_000, 1_000));
        assert_eq!(usage.ephemeral_1h_input_tokens, 0);
    }
}
