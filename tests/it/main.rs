//! The system as a whole, and what holds for the code as a whole.

mod app;
mod architecture;
mod compose;
mod demo;
mod health;
mod local_topology;
mod run;
mod serve;
