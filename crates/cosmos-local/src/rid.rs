//! rid.
