//! Edits → diff.
