//! Protocol version 2: ask for exactly the references that matter, then for one commit without its past.
//!
//! Source: `Documentation/gitprotocol-v2.adoc` of Git.

use domain::CommitId;

use super::FetchError;
use super::packet::{DELIMITER, FLUSH, Packet, PacketReader, push_line};
use super::ref_search::RefSearch;
use super::remote::{Remote, Version};
use super::sideband::PackStream;

/// Bound on the lines between the start of an answer and its pack.
const MAX_SECTION_LINES: usize = 4096;

/// Finds the commit that a name means.
pub(crate) async fn resolve(remote: &Remote, search: &mut RefSearch) -> Result<CommitId, FetchError> {
    let mut packets = ls_refs(remote, search.candidates()).await?;
    while let Some((name, id)) = next_ref(&mut packets).await? {
        search.see(&name, &id)?;
    }
    packets.finish().await;
    if search.best().is_none() {
        // An empty repository deserves another answer than a wrong name, so look for any reference.
        let mut packets = ls_refs(remote, ["refs/heads/", "refs/tags/"].into_iter()).await?;
        if let Some((name, id)) = next_ref(&mut packets).await? {
            search.see(&name, &id)?;
        }
    }
    search.conclude()
}

/// Asks for one commit, without its past and, where the host can, without blobs above `max_blob_bytes`.
pub(crate) async fn request_pack(
    remote: &Remote,
    commit: &CommitId,
    max_blob_bytes: Option<u64>,
) -> Result<PackStream, FetchError> {
    let mut message = Vec::new();
    push_line(&mut message, "command=fetch");
    push_line(&mut message, "object-format=sha1");
    message.extend_from_slice(DELIMITER);
    push_line(&mut message, "no-progress");
    push_line(&mut message, "ofs-delta");
    push_line(&mut message, "deepen 1");
    if let Some(max_blob_bytes) = max_blob_bytes {
        push_line(&mut message, &format!("filter blob:limit={max_blob_bytes}"));
    }
    push_line(&mut message, &format!("want {commit}"));
    push_line(&mut message, "done");
    message.extend_from_slice(FLUSH);
    let mut packets = PacketReader::new(remote.post(message, Version::V2).await?);
    let mut is_shallow = false;
    for _ in 0..MAX_SECTION_LINES {
        let packet = packets.expect().await?;
        match packet.line() {
            Some("packfile") => return Ok(PackStream::new(packets, is_shallow)),
            Some(line) if line.starts_with("ERR ") => return Err(FetchError::RefNotFound(commit.to_string())),
            Some(line) => is_shallow |= line.strip_prefix("shallow ") == Some(commit.as_str()),
            None if packet == Packet::Delimiter => {}
            None => break,
        }
    }
    Err(FetchError::Unsupported("the host's answer has no pack"))
}

async fn ls_refs(remote: &Remote, prefixes: impl Iterator<Item = &str>) -> Result<PacketReader, FetchError> {
    let mut message = Vec::new();
    push_line(&mut message, "command=ls-refs");
    push_line(&mut message, "object-format=sha1");
    message.extend_from_slice(DELIMITER);
    push_line(&mut message, "peel");
    for prefix in prefixes {
        push_line(&mut message, &format!("ref-prefix {prefix}"));
    }
    message.extend_from_slice(FLUSH);
    Ok(PacketReader::new(remote.post(message, Version::V2).await?))
}

/// The next line `<id> <name>[ <attribute>…]`: the name, and the id it peels to.
async fn next_ref(packets: &mut PacketReader) -> Result<Option<(String, String)>, FetchError> {
    loop {
        let packet = packets.expect().await?;
        if packet == Packet::Flush {
            return Ok(None);
        }
        // A name that is not UTF-8 is none that was asked for.
        let Some(line) = packet.line() else { continue };
        let mut words = line.split(' ');
        let (Some(id), Some(name)) = (words.next(), words.next()) else {
            return Err(FetchError::Unsupported("the host's list of references is not of Git's protocol"));
        };
        if id == "ERR" {
            return Err(FetchError::Unsupported("the host refuses to list its references"));
        }
        let peeled = words.find_map(|word| word.strip_prefix("peeled:"));
        return Ok(Some((name.to_owned(), peeled.unwrap_or(id).to_owned())));
    }
}
