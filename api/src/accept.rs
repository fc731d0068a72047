//! Which form of an answer a client would like best (RFC 9110 §12.5.1).

use axum::http::{HeaderMap, header};

/// The index of the media type that the client likes best, the first of equals; none when it takes none of them. A type
/// that is named counts for more than one that only falls under a range, such as `*/*`.
pub(crate) fn preferred(headers: &HeaderMap, media_types: &[&str]) -> Option<usize> {
    let ranges: Vec<Range<'_>> = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(Range::parse)
        .collect();
    if ranges.is_empty() {
        return Some(0);
    }
    let likings = media_types.iter().enumerate().filter_map(|(index, media_type)| {
        // The range that says most about the type decides.
        let range = ranges.iter().filter(|range| range.covers(media_type)).max_by_key(|range| range.precision())?;
        (range.quality > 0).then_some((index, (range.quality, range.precision())))
    });
    likings.rev().max_by_key(|(_, liking)| *liking).map(|(index, _)| index)
}

/// One range of the header, such as `text/*;q=0.5`.
struct Range<'a> {
    name: &'a str,
    /// In thousandths.
    quality: u16,
}

impl<'a> Range<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let name = parts.next().filter(|name| !name.is_empty())?;
        let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
        let quality = weight.map_or(1.0, |weight| weight.parse::<f32>().unwrap_or(0.0)).clamp(0.0, 1.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between 0 and 1000")]
        let quality = (quality * 1000.0).round() as u16;
        Some(Self { name, quality })
    }

    fn covers(&self, media_type: &str) -> bool {
        match self.name.strip_suffix("/*") {
            Some("*") => true,
            Some(kind) => media_type.split('/').next().is_some_and(|of_type| of_type.eq_ignore_ascii_case(kind)),
            None => self.name.eq_ignore_ascii_case(media_type),
        }
    }

    /// How much the range says about a type it covers.
    fn precision(&self) -> u8 {
        match self.name.strip_suffix("/*") {
            Some("*") => 0,
            Some(_) => 1,
            None => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(accept: &str) -> Option<&'static str> {
        let types = ["text/event-stream", "application/json"];
        let headers = [(header::ACCEPT, accept.parse().expect("a value"))].into_iter().collect();
        preferred(&headers, &types).map(|index| types[index])
    }

    #[test]
    fn the_best_liked_form_is_chosen() {
        let (stream, json) = (Some("text/event-stream"), Some("application/json"));
        assert_eq!(preferred(&HeaderMap::new(), &["a/b", "c/d"]), Some(0), "who says nothing takes anything");
        let cases = [
            ("*/*", stream),
            ("text/event-stream", stream),
            ("TEXT/Event-Stream", stream),
            ("text/*", stream),
            ("application/json", json),
            ("application/json; charset=utf-8", json),
            ("application/json, text/plain, */*", json),
            ("application/json, text/event-stream", stream),
            ("application/json, text/event-stream;q=0.9", json),
            ("text/event-stream;q=0, */*", json),
            ("*/*;q=0.1, application/json;q=0", stream),
            ("application/*", json),
            ("text/html", None),
            ("*/*;q=0", None),
            ("text/event-stream;q=x", None),
        ];
        for (accept, expected) in cases {
            assert_eq!(choice(accept), expected, "{accept}");
        }
    }
}
