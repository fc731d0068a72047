//! The pack inside an answer: one of three bands.

use bytes::{Buf, Bytes};

use super::FetchError;
use super::packet::{Packet, PacketReader};

const PACK_BAND: u8 = 1;
const PROGRESS_BAND: u8 = 2;
const FATAL_BAND: u8 = 3;

/// A pack as it comes in.
pub(crate) struct PackStream {
    packets: PacketReader,
    is_shallow: bool,
}

impl PackStream {
    /// Reads the pack that begins with the next packet.
    pub(crate) fn new(packets: PacketReader, is_shallow: bool) -> Self {
        Self { packets, is_shallow }
    }

    /// Whether the host says that the commit's parents are not in the pack.
    pub(crate) fn is_shallow(&self) -> bool {
        self.is_shallow
    }

    /// The next bytes of the pack; none at its end.
    ///
    /// # Errors
    /// [`FetchError::Unreachable`] when the answer ends before the pack does, or when the host reports a fatal error.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, FetchError> {
        loop {
            let mut bytes = match self.packets.expect().await? {
                Packet::Data(bytes) => bytes,
                Packet::Flush => return Ok(None),
                Packet::Delimiter | Packet::ResponseEnd => {
                    return Err(FetchError::Unsupported("the host's answer ends inside the pack"));
                }
            };
            let Some(band) = bytes.first().copied() else { continue };
            bytes.advance(1);
            match band {
                PACK_BAND => return Ok(Some(bytes)),
                PROGRESS_BAND => {}
                FATAL_BAND => {
                    tracing::debug!(message = %shown(&bytes), "Git host reported a fatal error");
                    return Err(FetchError::broke_off());
                }
                _ => return Err(FetchError::Unsupported("the host's answer uses an unknown band")),
            }
        }
    }
}

/// The start of a remote text, with nothing in it that a terminal obeys.
fn shown(bytes: &[u8]) -> String {
    let start = bytes.get(..200).unwrap_or(bytes);
    String::from_utf8_lossy(start).escape_debug().to_string()
}
