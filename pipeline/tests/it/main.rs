//! The pipeline over real HTTP: a Git server that serves, fails and attacks, and a model that follows a script.

mod access;
mod durability;
mod hostile_packs;
mod hostile_trees;
mod lab;
mod limits;
#[cfg(test)]
mod llm;
mod names;
mod pack;
mod passes;
mod paths;
mod redirects;
mod scene;
