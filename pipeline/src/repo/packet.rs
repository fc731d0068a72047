//! pkt-line framing: four hexadecimal digits of length, then the bytes.
//!
//! Source: `Documentation/gitprotocol-common.adoc` and `gitprotocol-v2.adoc` of Git.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};

use super::FetchError;
use super::remote::Body;

/// Ends a message.
pub(crate) const FLUSH: &[u8] = b"0000";
/// Separates the sections of a message.
pub(crate) const DELIMITER: &[u8] = b"0001";

/// Longest packet, its length digits included.
const MAX_PACKET_BYTES: usize = 65_520;
const LENGTH_DIGITS: usize = 4;

/// How long to wait for the end of an answer whose last packet is in. A new connection costs about as much.
const END_GRACE: Duration = Duration::from_millis(200);

/// One packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Packet {
    /// Bytes, perhaps none.
    Data(Bytes),
    /// `0000`.
    Flush,
    /// `0001`.
    Delimiter,
    /// `0002`.
    ResponseEnd,
}

impl Packet {
    /// The text of a data packet without its line end; none for other packets and for bytes that are not UTF-8.
    pub(crate) fn line(&self) -> Option<&str> {
        let Self::Data(bytes) = self else { return None };
        std::str::from_utf8(bytes).ok().map(|text| text.strip_suffix('\n').unwrap_or(text))
    }
}

/// Appends a line as a packet.
pub(crate) fn push_line(message: &mut Vec<u8>, line: &str) {
    message.extend_from_slice(format!("{:04x}{line}\n", line.len() + LENGTH_DIGITS + 1).as_bytes());
}

/// Reads packets from an answer.
pub(crate) struct PacketReader {
    body: Body,
    buffer: BytesMut,
}

impl PacketReader {
    pub(crate) fn new(body: Body) -> Self {
        Self { body, buffer: BytesMut::new() }
    }

    /// The next packet; none at a clean end of the answer.
    ///
    /// # Errors
    /// [`FetchError::Unreachable`] when the answer ends inside a packet.
    pub(crate) async fn next(&mut self) -> Result<Option<Packet>, FetchError> {
        loop {
            if let Some(packet) = take_packet(&mut self.buffer)? {
                return Ok(Some(packet));
            }
            match self.body.chunk().await? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None if self.buffer.is_empty() => return Ok(None),
                None => return Err(FetchError::broke_off()),
            }
        }
    }

    /// The next packet of an answer that may not end here.
    pub(crate) async fn expect(&mut self) -> Result<Packet, FetchError> {
        self.next().await?.ok_or_else(FetchError::broke_off)
    }

    /// Waits for the end of an answer whose last packet is in, so that its connection can carry the next request.
    pub(crate) async fn finish(mut self) {
        // Whatever comes now, the answer was complete.
        let _ = tokio::time::timeout(END_GRACE, self.body.chunk()).await;
    }
}

/// Takes a whole packet off the front of the buffer, if there is one.
fn take_packet(buffer: &mut BytesMut) -> Result<Option<Packet>, FetchError> {
    let Some(digits) = buffer.first_chunk::<LENGTH_DIGITS>() else { return Ok(None) };
    let special = match length(*digits)? {
        0 => Packet::Flush,
        1 => Packet::Delimiter,
        2 => Packet::ResponseEnd,
        3 => return Err(FetchError::Unsupported("the host sent a packet of an impossible length")),
        length if buffer.len() < length => return Ok(None),
        length => {
            let mut packet = buffer.split_to(length);
            packet.advance(LENGTH_DIGITS);
            return Ok(Some(Packet::Data(packet.freeze())));
        }
    };
    buffer.advance(LENGTH_DIGITS);
    Ok(Some(special))
}

fn length(digits: [u8; LENGTH_DIGITS]) -> Result<usize, FetchError> {
    let is_hexadecimal = digits.iter().all(u8::is_ascii_hexdigit);
    let text = std::str::from_utf8(&digits).ok().filter(|_| is_hexadecimal);
    text.and_then(|text| usize::from_str_radix(text, 16).ok())
        .filter(|length| *length <= MAX_PACKET_BYTES)
        .ok_or(FetchError::Unsupported("the host's answer is not framed as Git's protocol demands"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(bytes: &[u8]) -> (Option<Packet>, Vec<u8>) {
        let mut buffer = BytesMut::from(bytes);
        let packet = take_packet(&mut buffer).expect("well framed");
        (packet, buffer.to_vec())
    }

    fn data(text: &'static str) -> Packet {
        Packet::Data(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn takes_whole_packets_only() {
        assert_eq!(take(b"0009hello0000"), (Some(data("hello")), b"0000".to_vec()));
        assert_eq!(take(b"0004rest"), (Some(data("")), b"rest".to_vec()));
        assert_eq!(take(b"0000x"), (Some(Packet::Flush), b"x".to_vec()));
        assert_eq!(take(b"0001"), (Some(Packet::Delimiter), Vec::new()));
        assert_eq!(take(b"0002"), (Some(Packet::ResponseEnd), Vec::new()));
        for part in [&b""[..], b"00", b"0009hell"] {
            assert_eq!(take(part), (None, part.to_vec()));
        }
    }

    #[test]
    fn refuses_impossible_lengths() {
        for bytes in [&b"0003"[..], b"fff1", b"+009hello", b"<htm", b"PACK"] {
            assert!(take_packet(&mut BytesMut::from(bytes)).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn writes_what_it_reads() {
        let mut message = Vec::new();
        push_line(&mut message, "command=ls-refs");
        assert_eq!(message, b"0014command=ls-refs\n");
        assert_eq!(take(&message).0.expect("whole").line(), Some("command=ls-refs"));
    }
}
