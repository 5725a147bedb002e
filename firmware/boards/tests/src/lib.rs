//! Builds the images of the boards on the host, runs them in QEMU, and reads what they say.
