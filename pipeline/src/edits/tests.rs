//! The edits as a whole: scenarios, random repositories, slips of a model, and damaged patches.

mod damage;
mod mutators;
mod property;
mod repository;
mod scenarios;
