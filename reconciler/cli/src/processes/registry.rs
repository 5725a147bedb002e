//! Where large modules lie.

use anyhow::{Context, Result};
use wasmbed_registry::{Registry, RegistryOptions};

use crate::arguments::RegistryArguments;

/// The registry of large modules, if the arguments name one.
///
/// # Errors
/// When what they name is no repository, or a file that they name is not there.
pub(crate) fn registry(arguments: &RegistryArguments) -> Result<Option<Registry>> {
    let Some(repository) = arguments.registry.clone() else { return Ok(None) };
    let (credentials, ca) = (arguments.registry_credentials.clone(), arguments.registry_ca.clone());
    for (flag, file) in [("--registry-credentials", &credentials), ("--registry-ca", &ca)] {
        let Some(file) = file else { continue };
        std::fs::metadata(file).with_context(|| format!("{flag} {} cannot be read", file.display()))?;
    }
    let options = RegistryOptions { repository, ca, credentials, max_module: arguments.registry_max_module };
    Ok(Some(Registry::new(options)?))
}
