//! The host's first answer: which protocol it speaks and what it can do.

use super::FetchError;
use super::packet::{Packet, PacketReader};
use super::ref_search::Wanted;

/// Bound on the lines of a version 2 advertisement; real ones have about six.
const MAX_CAPABILITY_LINES: usize = 256;

/// What a host offers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Advertisement {
    /// Protocol version 2.
    V2 {
        /// Whether it can leave out large blobs.
        has_filter: bool,
    },
    /// Protocol version 0 or 1: all references at once.
    V0(V0Capabilities),
}

/// The capabilities of version 0 that matter here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one word of the host's list")]
pub(crate) struct V0Capabilities {
    pub(crate) side_band_64k: bool,
    pub(crate) shallow: bool,
    pub(crate) ofs_delta: bool,
    pub(crate) filter: bool,
}

/// Reads the advertisement. References that come with it (version 0) are shown to what is `wanted`.
pub(crate) async fn read(packets: &mut PacketReader, wanted: &mut Wanted) -> Result<Advertisement, FetchError> {
    let mut first = packets.expect().await?;
    if first.line().is_some_and(|line| line.starts_with("# service=")) {
        if packets.expect().await? != Packet::Flush {
            return Err(FetchError::Unsupported("the host's first answer is not of Git's protocol"));
        }
        first = packets.expect().await?;
    }
    if first.line() == Some("version 2") {
        return read_v2(packets).await;
    }
    if first.line() == Some("version 1") {
        first = packets.expect().await?;
    }
    read_v0(packets, &first, wanted).await
}

async fn read_v2(packets: &mut PacketReader) -> Result<Advertisement, FetchError> {
    let mut has_fetch = false;
    let mut has_filter = false;
    for _ in 0..MAX_CAPABILITY_LINES {
        let packet = packets.expect().await?;
        if packet == Packet::Flush {
            if !has_fetch {
                return Err(FetchError::Unsupported("the host does not offer to fetch"));
            }
            return Ok(Advertisement::V2 { has_filter });
        }
        let line = packet.line().unwrap_or_default();
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        match key {
            "fetch" => {
                has_fetch = true;
                has_filter = value.split(' ').any(|feature| feature == "filter");
            }
            "object-format" => check_object_format(value)?,
            _ => {}
        }
    }
    Err(FetchError::Unsupported("the host's list of capabilities does not end"))
}

async fn read_v0(packets: &mut PacketReader, first: &Packet, wanted: &mut Wanted) -> Result<Advertisement, FetchError> {
    if *first == Packet::Flush {
        return Ok(Advertisement::V0(V0Capabilities::default()));
    }
    let line = first.line().ok_or(FetchError::Unsupported("the host's first answer is not of Git's protocol"))?;
    let (reference, words) = line.split_once('\0').unwrap_or((line, ""));
    let capabilities = parse_v0_capabilities(words)?;
    see_v0(reference, wanted)?;
    loop {
        // The byte meter bounds this loop.
        let packet = packets.expect().await?;
        if packet == Packet::Flush {
            return Ok(Advertisement::V0(capabilities));
        }
        if let Some(line) = packet.line() {
            see_v0(line, wanted)?;
        }
    }
}

fn parse_v0_capabilities(words: &str) -> Result<V0Capabilities, FetchError> {
    let mut capabilities = V0Capabilities::default();
    for word in words.split(' ') {
        match word {
            "side-band-64k" => capabilities.side_band_64k = true,
            "shallow" => capabilities.shallow = true,
            "ofs-delta" => capabilities.ofs_delta = true,
            "filter" => capabilities.filter = true,
            _ => {
                if let Some(format) = word.strip_prefix("object-format=") {
                    check_object_format(format)?;
                }
            }
        }
    }
    Ok(capabilities)
}

/// Shows a line `<id> <name>` to the search. `<name>^{}` is what the annotated tag `<name>` peels to.
fn see_v0(line: &str, wanted: &mut Wanted) -> Result<(), FetchError> {
    if line.starts_with("ERR ") {
        return Err(FetchError::Unsupported("the host refuses to serve it"));
    }
    let Some((id, name)) = line.split_once(' ') else {
        return Err(FetchError::Unsupported("the host's first answer is not of Git's protocol"));
    };
    // An empty repository has no reference to hang its capabilities on; a shallow one names its borders.
    if name == "capabilities^{}" || id == "shallow" {
        return Ok(());
    }
    match wanted {
        Wanted::Commit(_) => Ok(()),
        Wanted::Ref(search) => search.see(name.strip_suffix("^{}").unwrap_or(name), id),
    }
}

fn check_object_format(format: &str) -> Result<(), FetchError> {
    if format == "sha1" {
        return Ok(());
    }
    Err(FetchError::Unsupported("its object format is not SHA-1"))
}
