//! Fetching repositories from a real Git server, a failing one and a hostile one.

mod access;
mod hostile_packs;
mod hostile_trees;
mod lab;
mod limits;
mod names;
mod pack;
mod redirects;
