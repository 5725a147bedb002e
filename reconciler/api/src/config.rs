//! How an application is run: configuration, limits and restarts.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::quantity::{Cpu, Memory};

/// How an application is run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", from = "ConfigForms")]
pub struct Config {
    /// The most memory an instance may have, with translated code, tables and stack.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_limit: Option<Memory>,
    /// The share of the processor an instance may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_time_limit: Option<Cpu>,
    /// What an instance may log and publish.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub io_limit: Option<IoLimit>,
    /// The application's configuration, read by key.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env_vars: BTreeMap<String, String>,
    /// The application's arguments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Whether an instance that ended with an error is started again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_restart: Option<bool>,
    /// Restarts in a row before the application counts as failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_restarts: Option<u32>,
}

/// How an application is run.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ConfigForms {
    /// The most memory an instance may have, with translated code, tables and stack; what the module needs if absent (`256Ki` where it may grow).
    memory_limit: Option<Memory>,
    /// Old form of `memoryLimit`, in bytes.
    #[serde(rename = "memory_limit")]
    #[schemars(range(min = 1, max = 4_294_967_296u64))]
    old_memory_limit: Option<u64>,
    /// The share of one processor an instance may use; `1000m` if absent.
    cpu_time_limit: Option<Cpu>,
    /// Old form of `cpuTimeLimit`, in milliseconds a second.
    #[serde(rename = "cpu_time_limit")]
    #[schemars(range(min = 1, max = 1000))]
    old_cpu_time_limit: Option<u64>,
    /// What an instance may log and publish.
    io_limit: Option<IoLimit>,
    /// The application's configuration, read by key.
    env_vars: Option<BTreeMap<String, String>>,
    /// Old form of `envVars`.
    #[serde(rename = "env_vars")]
    old_env_vars: Option<BTreeMap<String, String>>,
    /// The application's arguments.
    args: Option<Vec<String>>,
    /// Whether an instance that ended with an error is started again; yes if absent.
    auto_restart: Option<bool>,
    /// Old form of `autoRestart`.
    #[serde(rename = "auto_restart")]
    old_auto_restart: Option<bool>,
    /// Restarts in a row before the application counts as failed; 5 if absent.
    #[schemars(range(min = 0, max = 1_000_000))]
    max_restarts: Option<u32>,
    /// Old form of `maxRestarts`.
    #[serde(rename = "max_restarts")]
    #[schemars(range(min = 0, max = 1_000_000))]
    old_max_restarts: Option<u32>,
}

impl From<ConfigForms> for Config {
    fn from(forms: ConfigForms) -> Self {
        Self {
            memory_limit: forms.memory_limit.or(forms.old_memory_limit.map(Memory::from_bytes)),
            cpu_time_limit: forms
                .cpu_time_limit
                .or(forms.old_cpu_time_limit.and_then(|millis| Cpu::from_millis(millis.clamp(1, 1000)))),
            io_limit: forms.io_limit,
            env_vars: forms.env_vars.or(forms.old_env_vars).unwrap_or_default(),
            args: forms.args.unwrap_or_default(),
            auto_restart: forms.auto_restart.or(forms.old_auto_restart),
            max_restarts: forms.max_restarts.or(forms.old_max_restarts),
        }
    }
}

impl JsonSchema for Config {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Config".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        ConfigForms::json_schema(generator)
    }
}

/// What an instance may send.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IoLimit {
    /// Bytes of log an instance may write a second; `4Ki` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_bytes_per_second: Option<Memory>,
    /// Messages an instance may publish a second; 10 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub messages_per_second: Option<u32>,
}

/// The limits of an instance, every one of them a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Bytes of linear memory.
    pub memory_bytes: u64,
    /// Milliseconds of processor time a second, 1 to 1000.
    #[schemars(range(min = 1, max = 1000))]
    pub cpu_millis: u16,
    /// Bytes of log a second.
    pub log_bytes_per_second: u64,
    /// Published messages a second.
    pub messages_per_second: u32,
}

/// Whether and how often an instance that ended with an error is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestartPolicy {
    /// Whether it is started again at all.
    pub automatic: bool,
    /// Restarts in a row before the application counts as failed.
    pub max: u32,
}

impl Config {
    /// Memory of an instance that may grow when none is declared, in bytes.
    pub const DEFAULT_MEMORY: u64 = 256 * 1024;
    /// Log of an instance when no limit is declared, in bytes a second.
    pub const DEFAULT_LOG_BYTES: u64 = 4 * 1024;
    /// Messages of an instance when no limit is declared, a second.
    pub const DEFAULT_MESSAGES: u32 = 10;
    /// Restarts in a row when none are declared.
    pub const DEFAULT_RESTARTS: u32 = 5;

    /// The limits, with the defaults for those not declared.
    pub fn limits(&self) -> Limits {
        let io = self.io_limit.clone().unwrap_or_default();
        Limits {
            memory_bytes: self.memory_limit.map_or(Self::DEFAULT_MEMORY, Memory::bytes),
            cpu_millis: self.cpu_time_limit.unwrap_or(Cpu::WHOLE).millis(),
            log_bytes_per_second: io.log_bytes_per_second.map_or(Self::DEFAULT_LOG_BYTES, Memory::bytes),
            messages_per_second: io.messages_per_second.unwrap_or(Self::DEFAULT_MESSAGES),
        }
    }

    /// The restart policy, with the defaults for what is not declared.
    pub fn restart_policy(&self) -> RestartPolicy {
        RestartPolicy {
            automatic: self.auto_restart.unwrap_or(true),
            max: self.max_restarts.unwrap_or(Self::DEFAULT_RESTARTS),
        }
    }
}
