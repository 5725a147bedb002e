//! Which Releases a device should run; when a wave opens, halts or returns. Pure.
