//! Sizes, chosen so that a device with 64 KB of RAM can hold one record, one frame and one signed object at a time.
//! They are part of the protocol: changing one breaks old peers.

/// Longest frame body in bytes, without its two bytes of length.
pub const MAX_FRAME: usize = 4096;

/// Most plaintext bytes in one TLS record, in either direction. A frame may span two of them.
pub const TLS_RECORD: usize = 2048;

/// What to set rustls' `max_fragment_size` to, which counts the five bytes of the record header as well.
pub const TLS_MAX_FRAGMENT: usize = TLS_RECORD + 5;

/// Most module bytes in one `Chunk`, and the most a `Fetch` may ask for.
pub const CHUNK: usize = 2048;

/// Longest signed object (the whole COSE_Sign1), so that it and its envelope fit one frame.
pub const MAX_SIGNED: usize = 3072;

/// Longest name of a fleet, an application, a gateway or a device, in bytes.
pub const MAX_NAME: usize = 63;

/// Most applications on one device.
pub const MAX_APPLICATIONS: usize = 16;

/// Longest topic of an `Output`, in bytes.
pub const MAX_TOPIC: usize = 64;

/// Longest payload of an `Output`, in bytes.
pub const MAX_OUTPUT: usize = 1024;

/// Longest line of a `Log`, in bytes.
pub const MAX_LOG: usize = 512;

/// Longest error or reason, in bytes.
pub const MAX_REASON: usize = 256;

/// Most keys of one sort in a `KeySet`: one in use, and room to rotate.
pub const MAX_KEYS: usize = 4;

/// Most artifacts of one Release.
pub const MAX_ARTIFACTS: usize = 8;

/// Largest module in bytes. A device takes what its store has room for; what a ConfigMap does not hold lies in a registry.
pub const MAX_MODULE: u32 = 16 << 20;
