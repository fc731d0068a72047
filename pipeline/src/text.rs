//! A file's bytes as the text a model sees, and back.
