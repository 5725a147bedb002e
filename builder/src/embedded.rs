//! The sources this crate carries: the SDK, and what is changed in the standard library.

/// The SDK: path and text.
pub(crate) const SDK: &[(&str, &str)] = &[];

/// What is changed in the standard library: path and text.
pub(crate) const STD: &[(&str, &str)] = &[];
