//! Modules that no ConfigMap holds: they lie in a registry, or their applications are held.

use std::collections::BTreeSet;

use wasmbed_api::Digest;
use wasmbed_registry::{MAX_IN_CONFIG_MAP, MAX_MODULE, Registry, RegistryError};

use crate::build::Module;

/// The registry, and what this process knows to lie in it.
#[derive(Default)]
pub(super) struct LargeModules {
    registry: Option<Registry>,
    stored: BTreeSet<Digest>,
}

/// Whether no ConfigMap holds it.
pub(super) fn is_large(module: &Module) -> bool {
    u64::from(module.size) > MAX_IN_CONFIG_MAP
}

impl LargeModules {
    pub(super) fn new(registry: Option<Registry>) -> Self {
        Self { registry, stored: BTreeSet::new() }
    }

    /// Why the module can lie nowhere.
    pub(super) fn refusal(&self, module: &Module) -> Option<String> {
        if !is_large(module) {
            return None;
        }
        let size = module.size;
        match &self.registry {
            None => Some(format!(
                "the module has {size} bytes, and a ConfigMap holds {MAX_IN_CONFIG_MAP}: start the reconciler and the gateways with \
                 --registry HOST/REPOSITORY, or make the module smaller"
            )),
            Some(registry) if u64::from(size) > registry.max_module() => Some(format!(
                "the module has {size} bytes, and modules may have {}: make it smaller, or give --registry-max-module more (at most \
                 {MAX_MODULE})",
                registry.max_module()
            )),
            Some(_) => None,
        }
    }

    /// Whether the registry has it already.
    pub(super) fn is_stored(&self, module: &Digest) -> bool {
        self.stored.contains(module)
    }

    /// Puts it into the registry.
    ///
    /// # Errors
    /// When the registry does not take it.
    pub(super) async fn store(&mut self, module: &Digest, bytes: Vec<u8>) -> Result<(), RegistryError> {
        if let Some(registry) = &self.registry {
            registry.push(module, bytes.into()).await?;
            self.stored.insert(*module);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use wasmbed_registry::RegistryOptions;

    use super::*;

    fn refusal(size: u32, max_module: Option<u64>) -> Option<String> {
        let registry = max_module.map(|max_module| {
            let options =
                RegistryOptions { repository: "r.example/m".to_owned(), ca: None, credentials: None, max_module };
            Registry::new(options).expect("a repository")
        });
        LargeModules::new(registry).refusal(&Module { digest: Digest::of(b"module"), size, memory: 0 })
    }

    #[test]
    fn what_no_config_map_holds_needs_a_registry_and_what_is_missing_is_said() {
        assert_eq!(refusal(1_000_000, None), None);
        let said = refusal(1_000_001, None).expect("refused");
        assert!(said.contains("1000001 bytes") && said.contains("--registry HOST/REPOSITORY"), "{said}");
        assert_eq!(refusal(1_000_001, Some(2_000_000)), None);
        assert!(refusal(2_000_001, Some(2_000_000)).expect("refused").contains("may have 2000000"));
    }
}
