//! A file's bytes as the text a model sees, and back.

/// A file as text.
pub(crate) struct FileText {
    shown: String,
    hidden_characters: usize,
}

/// Bytes that are not text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotText {
    /// There is a NUL near the start.
    #[error("the file is binary")]
    Binary,
}

impl FileText {
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, NotText> {
        if is_binary(bytes) {
            return Err(NotText::Binary);
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let text = String::from_utf8_lossy(bytes);
        let shown = if text.contains('\r') { text.replace("\r\n", "\n") } else { text.into_owned() };
        let hidden_characters = if shown.is_ascii() {
            0
        } else {
            shown.chars().filter(|c| matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}')).count()
        };
        Ok(Self { shown, hidden_characters })
    }

    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    pub(crate) fn hidden_characters(&self) -> usize {
        self.hidden_characters
    }
}

/// Whether bytes are those of a binary file, by Git's own rule: a NUL in the first 8 kB.
pub(crate) fn is_binary(bytes: &[u8]) -> bool {
    bytes.iter().take(8000).any(|&byte| byte == 0)
}
