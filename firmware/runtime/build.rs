//! Compiles WAMR's fast interpreter from the C sources in the crate `wamrx-sys`, with our platform layer.
//!
//! A new platform is a folder `platform/<name>` and an arm in [`Platform::of_target`].

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// WAMR's sources that every platform compiles, from `core/`. The interpreter itself is apart: it is always optimised.
const SOURCES: &[&str] = &[
    "shared/mem-alloc/mem_alloc.c",
    "shared/mem-alloc/ems/ems_alloc.c",
    "shared/mem-alloc/ems/ems_gc.c",
    "shared/mem-alloc/ems/ems_hmu.c",
    "shared/mem-alloc/ems/ems_kfc.c",
    "shared/utils/bh_assert.c",
    "shared/utils/bh_bitmap.c",
    "shared/utils/bh_common.c",
    "shared/utils/bh_hashmap.c",
    "shared/utils/bh_leb128.c",
    "shared/utils/bh_list.c",
    "shared/utils/bh_log.c",
    "shared/utils/bh_queue.c",
    "shared/utils/bh_vector.c",
    "shared/utils/runtime_timer.c",
    "iwasm/common/wasm_blocking_op.c",
    "iwasm/common/wasm_exec_env.c",
    "iwasm/common/wasm_loader_common.c",
    "iwasm/common/wasm_memory.c",
    "iwasm/common/wasm_native.c",
    "iwasm/common/wasm_runtime_common.c",
    "iwasm/interpreter/wasm_interp_fast.c",
    // The full loader, which validates; never `wasm_mini_loader.c`.
    "iwasm/interpreter/wasm_loader.c",
    "iwasm/interpreter/wasm_runtime.c",
];

/// Where WAMR's headers are, from `core/`.
const INCLUDES: &[&str] = &[
    "shared/platform/include",
    "shared/mem-alloc",
    "shared/utils",
    "iwasm/include",
    "iwasm/common",
    "iwasm/interpreter",
    "iwasm/libraries/thread-mgr",
];

/// WAMR's configuration on every platform. What a module may use must be the same everywhere.
const DEFINES: &[(&str, &str)] = &[
    ("BH_MALLOC", "wasm_runtime_malloc"),
    ("BH_FREE", "wasm_runtime_free"),
    ("NDEBUG", "1"),
    ("WASM_ENABLE_INTERP", "1"),
    ("WASM_ENABLE_FAST_INTERP", "1"),
    ("WASM_ENABLE_BULK_MEMORY", "1"),
    ("WASM_ENABLE_BULK_MEMORY_OPT", "1"),
    ("WASM_ENABLE_REF_TYPES", "1"),
    ("WASM_ENABLE_CALL_INDIRECT_OVERLONG", "1"),
    ("WASM_ENABLE_SHRUNK_MEMORY", "1"),
    ("WASM_DISABLE_HW_BOUND_CHECK", "1"),
    ("WASM_DISABLE_STACK_HW_BOUND_CHECK", "1"),
    ("WASM_ENABLE_LOG", "0"),
];

/// What differs between platforms.
struct Platform {
    folder: &'static str,
    defines: &'static [(&'static str, &'static str)],
}

impl Platform {
    fn of_target() -> Self {
        let os = env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
        let architecture = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
        match (os.as_str(), architecture.as_str()) {
            ("linux", "x86_64" | "aarch64") => Self {
                folder: "host",
                defines: &[
                    // Checks at branches and calls whether an application is to end or to be held back: see `platform_internal.h`.
                    ("WASM_ENABLE_THREAD_MGR", "1"),
                    ("WASM_UINT32_IS_ATOMIC", "0"),
                    ("WASM_HAVE_MREMAP", "1"),
                ],
            },
            _ => panic!(
                "wasmbed-runtime has no platform for {architecture} on {os}; there is one for Linux on x86_64 and aarch64"
            ),
        }
    }
}

fn main() {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("Cargo sets it"));
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=platform");
    println!("cargo:rerun-if-changed=wamr");

    let platform = Platform::of_target();
    let core = wamr_sources(&here.join("wamr/Cargo.toml")).join("wasm-micro-runtime/core");
    let own = here.join("platform");

    let mut build = cc::Build::new();
    build
        .std("gnu99")
        .warnings(false)
        // Half the speed is lost below this, so an unoptimised build optimises it too.
        .opt_level(2)
        .flag("-ffunction-sections")
        .flag("-fdata-sections")
        .include(own.join(platform.folder))
        .include(&own);
    for include in INCLUDES {
        build.include(core.join(include));
    }
    for (name, value) in DEFINES.iter().chain(platform.defines) {
        build.define(name, *value);
    }
    for source in SOURCES {
        build.file(core.join(source));
    }
    build.file(own.join(platform.folder).join("platform.c"));
    build.file(own.join("checkpoint.c"));
    build.file(own.join("one_thread.c"));
    build.compile("wamr");
}

/// The folder of the crate `wamrx-sys`: what Cargo has, else what Cargo downloads.
fn wamr_sources(manifest: &Path) -> PathBuf {
    let found = metadata(manifest, true).or_else(|_| metadata(manifest, false));
    match found {
        Ok(folder) => folder,
        Err(reason) => panic!(
            "the sources of WAMR (crate wamrx-sys, named in {}) are not here and cannot be downloaded: {reason}\n\
             Build once with access to the crate registry.",
            manifest.display()
        ),
    }
}

fn metadata(manifest: &Path, offline: bool) -> Result<PathBuf, String> {
    let mut cargo = Command::new(env::var_os("CARGO").expect("Cargo sets it"));
    cargo.args(["metadata", "--format-version", "1", "--locked", "--manifest-path"]).arg(manifest);
    if offline {
        cargo.arg("--offline");
    }
    let output = cargo.output().map_err(|e| format!("cargo does not start: {e}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).map_err(|e| format!("cargo metadata is not JSON: {e}"))?;
    metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|package| package["name"] == "wamrx-sys")
        .and_then(|package| Path::new(package["manifest_path"].as_str()?).parent())
        .map(Path::to_path_buf)
        .ok_or_else(|| "cargo metadata does not name it".to_owned())
}
