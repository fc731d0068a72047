//! The stages: one file each, one function that does the stage's work.

pub(crate) mod edit;
pub(crate) mod plan;
pub(crate) mod repair;
pub(crate) mod review;
pub(crate) mod sheet;
