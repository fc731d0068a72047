//! The sheet: the document of paths and contents that pass 1 builds.
