//! Protocol version 0 over stateless HTTP, for hosts that do not speak version 2.
//!
//! Source: `Documentation/gitprotocol-pack.adoc` and `gitprotocol-http.adoc` of Git.

use domain::CommitId;

use super::FetchError;
use super::advertisement::V0Capabilities;
use super::packet::{FLUSH, Packet, PacketReader, push_line};
use super::remote::{Remote, Version};
use super::sideband::PackStream;

/// Bound on the lines between the start of an answer and its pack.
const MAX_SECTION_LINES: usize = 4096;

/// Asks for one commit, without its past and, where the host can, without blobs above `max_blob_bytes`.
pub(crate) async fn request_pack(
    remote: &Remote,
    capabilities: V0Capabilities,
    commit: &CommitId,
    max_blob_bytes: u64,
) -> Result<PackStream, FetchError> {
    if !capabilities.side_band_64k || !capabilities.shallow {
        return Err(FetchError::Unsupported("the host cannot serve a single commit"));
    }
    let mut message = Vec::new();
    let mut words = String::from("side-band-64k no-progress");
    for (word, is_offered) in [("ofs-delta", capabilities.ofs_delta), ("filter", capabilities.filter)] {
        if is_offered {
            words.push(' ');
            words.push_str(word);
        }
    }
    push_line(&mut message, &format!("want {commit} {words}"));
    push_line(&mut message, "deepen 1");
    if capabilities.filter {
        push_line(&mut message, &format!("filter blob:limit={max_blob_bytes}"));
    }
    message.extend_from_slice(FLUSH);
    push_line(&mut message, "done");
    let mut packets = PacketReader::new(remote.post(message, Version::V0).await?);
    let mut is_shallow = false;
    for _ in 0..MAX_SECTION_LINES {
        let packet = packets.expect().await?;
        match packet.line() {
            Some("NAK") => return Ok(PackStream::new(packets, is_shallow)),
            Some(line) if line.starts_with("ERR ") => return Err(FetchError::RefNotFound(commit.to_string())),
            Some(line) => is_shallow |= line.strip_prefix("shallow ") == Some(commit.as_str()),
            None if packet == Packet::Flush => {}
            None => break,
        }
    }
    Err(FetchError::Unsupported("the host's answer has no pack"))
}
