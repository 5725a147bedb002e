//! The device agent: session, store and supervisor, sans I/O.
