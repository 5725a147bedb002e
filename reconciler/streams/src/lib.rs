//! The streams between components: HTTP/2 with CBOR bodies.
