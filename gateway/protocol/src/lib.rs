//! The wire protocol between device and gateway, and the signed objects.
