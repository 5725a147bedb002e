//! Compiles WAMR's fast interpreter from the C sources in the crate `wamrx-sys`, with our platform layer.
//!
//! A new platform is a folder `platform/<name>` and an arm in [`Platform::of_target`].

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The interpreter and its bridge to host functions, from `core/`: half the speed is lost below `-O2`, so an unoptimised or a small
/// build optimises them too.
const INTERPRETER: &[&str] = &["iwasm/interpreter/wasm_interp_fast.c", "iwasm/common/wasm_runtime_common.c"];

/// WAMR's other sources that every platform compiles, from `core/`.
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
    // The full loader, which validates; never `wasm_mini_loader.c`, which does not, and lets a hostile module do anything.
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
    // Ways into compiled code, which there is none of.
    ("WASM_ENABLE_QUICK_AOT_ENTRY", "0"),
    // A memory that grows does so in place where it can.
    ("WASM_HAVE_MREMAP", "1"),
];

/// What differs between platforms.
struct Platform {
    folder: &'static str,
    defines: &'static [(&'static str, &'static str)],
    flags: &'static [&'static str],
    /// How to optimise what is not the interpreter.
    optimise: &'static str,
}

impl Platform {
    fn of_target() -> Self {
        let target = env::var("TARGET").unwrap_or_default();
        let os = env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
        let architecture = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
        match (os.as_str(), architecture.as_str(), target.as_str()) {
            ("linux", "x86_64" | "aarch64", _) => Self {
                folder: "host",
                defines: &[
                    // Checks at branches and calls whether an application is to end or to be held back: see `platform_internal.h`.
                    ("WASM_ENABLE_THREAD_MGR", "1"),
                    ("WASM_UINT32_IS_ATOMIC", "0"),
                ],
                flags: &[],
                optimise: "2",
            },
            // Cortex-M3; Cortex-M4 and M7 without use of their FPU; with it.
            ("none", _, "thumbv7m-none-eabi") => Self {
                folder: CORTEX_M,
                defines: &[("BUILD_TARGET_THUMB", "1"), ("BUILD_TARGET", "\"thumbv7m\"")],
                flags: CORTEX_M_FLAGS,
                optimise: "s",
            },
            ("none", _, "thumbv7em-none-eabi") => Self {
                folder: CORTEX_M,
                defines: &[("BUILD_TARGET_THUMB", "1"), ("BUILD_TARGET", "\"thumbv7em\"")],
                flags: CORTEX_M_FLAGS,
                optimise: "s",
            },
            ("none", _, "thumbv7em-none-eabihf") => Self {
                folder: CORTEX_M,
                defines: &[("BUILD_TARGET_THUMB_VFP", "1"), ("BUILD_TARGET", "\"thumbv7em\"")],
                flags: CORTEX_M_FLAGS,
                optimise: "s",
            },
            _ => panic!(
                "wasmbed-runtime has no platform for {target}; there is one for Linux on x86_64 and aarch64, and for \
                 thumbv7m-none-eabi, thumbv7em-none-eabi and thumbv7em-none-eabihf"
            ),
        }
    }
}

const CORTEX_M: &str = "cortex-m";
/// The compiler's default on bare metal is enumerations as short as they can be: then a structure would not be laid out as
/// `src/wamr/raw.rs` says, and as it is everywhere else.
const CORTEX_M_FLAGS: &[&str] = &["-fno-short-enums", "--specs=nano.specs"];
/// What of newlib is linked: `memcpy`, `bsearch` and the like, and mathematics. What it has too large a one of is in `library.c`.
const CORTEX_M_LIBRARIES: &[&str] = &["c_nano", "m"];

fn main() {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("Cargo sets it"));
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=platform");
    println!("cargo:rerun-if-changed=wamr");

    let platform = Platform::of_target();
    let core = wamr_sources(&here.join("wamr/Cargo.toml")).join("wasm-micro-runtime/core");
    let own = here.join("platform");

    let mut common = cc::Build::new();
    common
        .std("gnu99")
        .warnings(false)
        .flag("-ffunction-sections")
        .flag("-fdata-sections")
        // They cost each function instructions and a register, and serve debuggers that cannot read line tables.
        .force_frame_pointer(false)
        .include(own.join(platform.folder))
        .include(&own);
    for flag in platform.flags {
        common.flag(flag);
    }
    for include in INCLUDES {
        common.include(core.join(include));
    }
    for (name, value) in DEFINES.iter().chain(platform.defines) {
        common.define(name, *value);
    }

    let mut build = common.clone();
    build.opt_level_str(platform.optimise);
    for source in SOURCES {
        build.file(core.join(source));
    }
    build.file(own.join(platform.folder).join("platform.c"));
    build.file(own.join("memory.c"));
    build.file(own.join("interpreter.c"));
    build.file(own.join("one_thread.c"));
    if platform.folder == CORTEX_M {
        build.file(own.join(CORTEX_M).join("library.c"));
    }
    // Compiled apart, linked as one: each refers to the other.
    let interpreter = common.opt_level(2).files(INTERPRETER.iter().map(|file| core.join(file))).compile_intermediates();
    build.objects(interpreter);
    build.compile("wamr");

    if platform.folder == CORTEX_M {
        link_newlib(&build);
    }
}

/// Links newlib where the compiler keeps it for this target.
fn link_newlib(build: &cc::Build) {
    let compiler = build.get_compiler();
    for library in CORTEX_M_LIBRARIES {
        let name = format!("lib{library}.a");
        let output = compiler.to_command().arg(format!("-print-file-name={name}")).output();
        let path = output.ok().and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
        // A compiler without it prints the bare name.
        match Path::new(path.trim()).parent().filter(|folder| folder.is_absolute()) {
            Some(folder) => println!("cargo:rustc-link-search=native={}", folder.display()),
            None => panic!(
                "{} has no {name}: install its C library (on Debian, the package libnewlib-arm-none-eabi)",
                compiler.path().display()
            ),
        }
        println!("cargo:rustc-link-lib=static:-bundle={library}");
    }
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
