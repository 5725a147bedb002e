pub(crate) use wasmbed_protocol::Crc32;
