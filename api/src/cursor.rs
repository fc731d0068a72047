//! A place in the list of jobs, as clients carry it around: nothing they should look into.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::DateTime;
use domain::JobId;
use jobs::JobPlace;
use uuid::Uuid;

/// The year 10000.
const MAX_MICROS: i64 = 253_402_300_800_000_000;

/// Writes a place: eight bytes of the time in microseconds, then the sixteen of the id.
pub(crate) fn write(place: JobPlace) -> String {
    let mut bytes = Vec::with_capacity(24);
    bytes.extend(place.created_at.timestamp_micros().to_be_bytes());
    bytes.extend(place.id.as_uuid().as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads a place; nothing when the text is none of ours.
pub(crate) fn read(text: &str) -> Option<JobPlace> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (micros, id) = bytes.split_first_chunk::<8>()?;
    // Other times are none that a database of ours gave, and Postgres does not take all of them.
    let micros = Some(i64::from_be_bytes(*micros)).filter(|micros| (0..MAX_MICROS).contains(micros))?;
    let created_at = DateTime::from_timestamp_micros(micros)?;
    Some(JobPlace { created_at, id: JobId::from(Uuid::from_slice(id).ok()?) })
}

#[cfg(test)]
mod tests {
    use chrono::{SubsecRound, Utc};

    use super::*;

    #[test]
    fn what_was_written_reads_and_nothing_else_does() {
        let place = JobPlace { created_at: Utc::now().trunc_subsecs(6), id: JobId::new() };
        let text = write(place);
        assert_eq!(read(&text), Some(place));
        for bad in ["", "x", "!!", &text[1..], &format!("{text}AAAA"), &"_".repeat(32)] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
