//! Machine checks of an edited tree.
