//! A device as an ordinary process.
