//! The system as a whole, and what holds for the code as a whole.

mod architecture;
