//! What the service's bills teach about the estimate.

use serde::{Deserialize, Serialize};

use super::tokens::{TextKind, TokenCounts};

/// How fast old observations fade: the last twenty or so count.
const LEARNING_RATE: f64 = 0.1;

/// Observations of a kind of text after which its estimate goes without the margin.
const SETTLED_AFTER: u32 = 20;

/// Added to an estimate that is not settled yet, in percent.
const MARGIN_PERCENT: f64 = 15.0;

/// A smaller share of a bill says too little about its kind to count as an observation.
const WORTH_COUNTING: f64 = 0.1;

/// No estimate is ever this many times off; a bill that says so was for something else.
const LARGEST_CORRECTION: f64 = 4.0;

/// The corrections learnt for one model: real tokens per estimated token, for each kind of text.
///
/// Keep one per model, and hand it every settled call that sent a sheet.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    code: Ratio,
    prose: Ratio,
    data: Ratio,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Ratio {
    /// In millionths: JSON keeps whole numbers exactly.
    millionths: u32,
    samples: u32,
}

impl Default for Ratio {
    fn default() -> Self {
        Self { millionths: 1_000_000, samples: 0 }
    }
}

impl Ratio {
    fn value(self) -> f64 {
        f64::from(self.millionths) / 1e6
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to far less than a u32 holds")]
    fn set(&mut self, value: f64) {
        self.millionths = (value.clamp(1.0 / LARGEST_CORRECTION, LARGEST_CORRECTION) * 1e6).round() as u32;
    }
}

impl Calibration {
    /// Learns from one call: what was estimated for its input, and the input tokens the service counted (cached ones
    /// too). A bill has one figure for all kinds of text, so each kind learns by its share.
    pub fn observe(&mut self, estimated: &TokenCounts, actual_tokens: u64) {
        let predicted = self.correct_exactly(estimated);
        if predicted < 1.0 || actual_tokens == 0 {
            return;
        }
        let off_by = (to_float(actual_tokens) / predicted).clamp(1.0 / LARGEST_CORRECTION, LARGEST_CORRECTION);
        let shares = KINDS.map(|kind| to_float(of(estimated, kind)) * self.ratio(kind).value() / predicted);
        let largest_share = shares.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        for (kind, share) in KINDS.into_iter().zip(shares) {
            let ratio = self.ratio_mut(kind);
            // The first observations weigh more than the guess they replace.
            let rate = LEARNING_RATE.max(1.0 / f64::from(ratio.samples + 1));
            let step = rate * share / largest_share * (off_by - 1.0);
            ratio.set(ratio.value() * (1.0 + step));
            if share >= WORTH_COUNTING {
                ratio.samples = ratio.samples.saturating_add(1);
            }
        }
    }

    /// The most likely number of tokens.
    pub fn correct(&self, estimated: &TokenCounts) -> u64 {
        to_tokens(self.correct_exactly(estimated))
    }

    /// A number of tokens that is hardly ever exceeded: 15 % more for each kind of text with fewer than 20 observations.
    pub fn correct_cautiously(&self, estimated: &TokenCounts) -> u64 {
        let tokens = KINDS.map(|kind| {
            let ratio = self.ratio(kind);
            let margin = if ratio.samples < SETTLED_AFTER { 1.0 + MARGIN_PERCENT / 100.0 } else { 1.0 };
            to_float(of(estimated, kind)) * ratio.value() * margin
        });
        to_tokens(tokens.iter().sum())
    }

    fn correct_exactly(&self, estimated: &TokenCounts) -> f64 {
        KINDS.map(|kind| to_float(of(estimated, kind)) * self.ratio(kind).value()).iter().sum()
    }

    fn ratio(&self, kind: TextKind) -> &Ratio {
        match kind {
            TextKind::Code => &self.code,
            TextKind::Prose => &self.prose,
            TextKind::Data => &self.data,
        }
    }

    fn ratio_mut(&mut self, kind: TextKind) -> &mut Ratio {
        match kind {
            TextKind::Code => &mut self.code,
            TextKind::Prose => &mut self.prose,
            TextKind::Data => &mut self.data,
        }
    }
}

const KINDS: [TextKind; 3] = [TextKind::Code, TextKind::Prose, TextKind::Data];

fn of(counts: &TokenCounts, kind: TextKind) -> u64 {
    match kind {
        TextKind::Code => counts.code,
        TextKind::Prose => counts.prose,
        TextKind::Data => counts.data,
    }
}

#[expect(clippy::cast_precision_loss, reason = "token counts are far below 2^52")]
fn to_float(tokens: u64) -> f64 {
    tokens as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rounded up, never negative")]
fn to_tokens(exact: f64) -> u64 {
    exact.ceil() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const ESTIMATED: TokenCounts = TokenCounts { code: 80_000, prose: 15_000, data: 5_000 };

    #[test]
    fn starts_with_the_estimate_and_a_margin() {
        let calibration = Calibration::default();
        assert_eq!(calibration.correct(&ESTIMATED), 100_000);
        assert_eq!(calibration.correct_cautiously(&ESTIMATED), 115_000);
    }

    #[test]
    fn comes_close_after_a_few_bills_and_drops_the_margin_after_twenty() {
        let mut calibration = Calibration::default();
        for _ in 0..10 {
            calibration.observe(&ESTIMATED, 120_000);
        }
        assert!((119_000..=121_000).contains(&calibration.correct(&ESTIMATED)), "{calibration:?}");
        assert!(calibration.correct_cautiously(&ESTIMATED) > 130_000);
        for _ in 0..10 {
            calibration.observe(&ESTIMATED, 120_000);
        }
        // Data is 5 % of the bills: too little to have learnt anything, so it keeps its margin.
        assert!(calibration.correct_cautiously(&ESTIMATED) < 122_000, "{calibration:?}");
    }

    #[test]
    fn tells_the_kinds_apart_when_the_mixes_differ() {
        let mut calibration = Calibration::default();
        let prose = TokenCounts { prose: 100_000, ..TokenCounts::default() };
        let code = TokenCounts { code: 100_000, ..TokenCounts::default() };
        for _ in 0..20 {
            calibration.observe(&prose, 150_000);
            calibration.observe(&code, 90_000);
        }
        assert!((148_000..=150_100).contains(&calibration.correct(&prose)));
        assert!((89_000..=91_000).contains(&calibration.correct(&code)));
    }

    #[test]
    fn nonsense_moves_it_only_so_far() {
        let mut calibration = Calibration::default();
        calibration.observe(&ESTIMATED, 0);
        calibration.observe(&TokenCounts::default(), 1_000);
        assert_eq!(calibration, Calibration::default());
        for _ in 0..100 {
            calibration.observe(&ESTIMATED, u64::from(u32::MAX));
        }
        assert!(calibration.correct(&ESTIMATED) <= 400_000);
    }

    #[test]
    fn survives_storage() {
        let mut calibration = Calibration::default();
        calibration.observe(&ESTIMATED, 123_456);
        let stored = serde_json::to_string(&calibration).expect("serialises");
        assert_eq!(serde_json::from_str::<Calibration>(&stored).expect("reads"), calibration);
    }
}
