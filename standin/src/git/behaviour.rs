//! How the server behaves: protocol, access, and a fault for each stage of a fetch.

use super::Stage;

/// How the server behaves.
#[derive(Debug, Clone)]
pub struct Behaviour {
    /// Answers 401 unless the request carries this as its basic-auth password.
    pub token: Option<String>,
    /// Ignores the `Git-Protocol` header, as old servers do.
    pub only_v0: bool,
    /// Offers partial clones.
    pub filter: bool,
    /// What happens instead of `GET …/info/refs`.
    pub advertisement: Option<Fault>,
    /// What happens instead of, or to, the v2 command `ls-refs`.
    pub ls_refs: Option<Fault>,
    /// What happens instead of, or to, the request for a pack.
    pub fetch: Option<Fault>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self { token: None, only_v0: false, filter: true, advertisement: None, ls_refs: None, fetch: None }
    }
}

impl Behaviour {
    /// The fault for a stage.
    pub(crate) fn fault(&self, stage: Stage) -> Option<Fault> {
        match stage {
            Stage::Advertisement => self.advertisement.clone(),
            Stage::LsRefs => self.ls_refs.clone(),
            Stage::Fetch => self.fetch.clone(),
        }
    }
}

/// A way to fail.
#[derive(Debug, Clone)]
pub enum Fault {
    /// This status, and a body that no client should repeat.
    Status(u16),
    /// A redirect to this address; `{path}` stands for the request's own path and query.
    Redirect {
        /// 301, 302, 303, 307 or 308.
        status: u16,
        /// Value of the `Location` header; none is sent when empty.
        location: String,
    },
    /// No answer, ever.
    Hang,
    /// The real answer, up to this many bytes; then the connection breaks.
    CutAfter(usize),
    /// The real answer, up to this many bytes; then silence.
    HangAfter(usize),
    /// This body instead of the real one.
    Body {
        /// Its content type.
        content_type: String,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// A body that never ends.
    Flood {
        /// Its content type.
        content_type: String,
        /// The bytes that come once.
        head: Vec<u8>,
        /// The bytes that come for ever.
        repeat: Vec<u8>,
    },
}
