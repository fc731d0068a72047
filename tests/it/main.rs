//! The system as a whole, and what holds for the code as a whole.

mod app;
mod architecture;
mod demo;
mod run;
mod serve;
