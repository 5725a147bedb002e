//! A courier between the cluster and the devices.
