//! Money, in whole nano-dollars.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

const NANOS_PER_DOLLAR: i64 = 1_000_000_000;

/// An amount of US dollars in whole nano-dollars (10⁻⁹ $), so that sums over many calls stay exact.
///
/// A price per million tokens is a whole number of nano-dollars per token times 1,000: $0.01 per million tokens is
/// 10 nano-dollars a token. Arithmetic saturates: no sum of prices wraps round to something cheap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cost(i64);

impl Cost {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// An amount in nano-dollars.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// The amount in nano-dollars.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// The amount in dollars, for people and for JSON; never to compute with.
    #[expect(clippy::cast_precision_loss, reason = "for display; a job's cost is far below 2^53 nano-dollars")]
    pub fn as_usd(self) -> f64 {
        self.0 as f64 / NANOS_PER_DOLLAR as f64
    }

    /// The amount that a JSON number of dollars means, to the last digit it was written with: the shortest decimal that
    /// reads as this float.
    ///
    /// # Errors
    /// [`ParseCostError`] for what is no amount.
    pub fn try_from_usd(usd: f64) -> Result<Self, ParseCostError> {
        usd.to_string().parse()
    }

    /// `count` times this amount.
    #[must_use]
    pub fn times(self, count: u64) -> Self {
        Self(self.0.saturating_mul(i64::try_from(count).unwrap_or(i64::MAX)))
    }
}

impl Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Cost {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::ZERO, Add::add)
    }
}

/// `$1.2345`: four decimals, as the amounts of a job call for.
impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${:.4}", self.as_usd())
    }
}

/// A text that is not an amount of dollars.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an amount of US dollars: write it like 0.50, at least 0, with at most nine decimals")]
pub struct ParseCostError(String);

/// Reads a plain decimal number of dollars, exactly.
impl FromStr for Cost {
    type Err = ParseCostError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseCostError(text.to_owned());
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if !all_digits(whole) || !all_digits(fraction) || whole.len() + fraction.len() == 0 || fraction.len() > 9 {
            return Err(error());
        }
        let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| error())? };
        let nanos: i64 = format!("{fraction:0<9}").parse().map_err(|_| error())?;
        whole.checked_mul(NANOS_PER_DOLLAR).and_then(|w| w.checked_add(nanos)).map(Self).ok_or_else(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_dollars_exactly() {
        let nanos = |text: &str| text.parse::<Cost>().map(Cost::as_nanos).ok();
        assert_eq!(nanos("0.1"), Some(100_000_000));
        assert_eq!(nanos("12"), Some(12_000_000_000));
        assert_eq!(nanos(".5"), Some(500_000_000));
        assert_eq!(nanos("0.000000001"), Some(1));
        for bad in ["", ".", "-1", "1e3", "0.0000000001", "$1", "99999999999999", "1.2.3", "½"] {
            assert_eq!(nanos(bad), None, "{bad}");
        }
    }

    #[test]
    fn saturates_rather_than_wraps() {
        assert_eq!(Cost::from_nanos(i64::MAX) + Cost::from_nanos(1), Cost::from_nanos(i64::MAX));
        assert_eq!(Cost::from_nanos(2).times(u64::MAX), Cost::from_nanos(i64::MAX));
    }
}
