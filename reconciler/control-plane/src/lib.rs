//! The embedded Kubernetes API for one machine.
