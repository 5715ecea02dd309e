//! What decides whether two networks may run in one session.

use std::path::PathBuf;

use super::io_mode::IoMode;
use super::provider;
use super::purpose::Purpose;
use crate::settings::{Config, Precision, Provider};

/// What two networks must have in common to run in one session; the runtime's library is the same for a whole process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SessionKey {
    pub(super) sha256: String,
    /// Files of equal sums may have their weights in different files beside them.
    pub(super) path: PathBuf,
    pub(super) provider: Provider,
    pub(super) device_id: u32,
    /// What is computed in: never `Auto`.
    pub(super) precision: Precision,
    /// Everything else that the provider is told, such as whether TensorFloat-32 may stand for single precision.
    pub(super) options: String,
    pub(super) threads: usize,
    /// Input that the provider compiles for, if it does.
    pub(super) tile: Option<[usize; 4]>,
    /// How pictures get there and back.
    pub(super) io_mode: String,
    pub(super) cache_dir: Option<PathBuf>,
}

impl SessionKey {
    /// The key of the model in `path` on `provider`.
    pub(super) fn new(
        sha256: &str,
        path: PathBuf,
        provider: Provider,
        precision: Precision,
        mode: &IoMode,
        purpose: &Purpose,
        config: &Config,
    ) -> Self {
        let compiles = matches!(provider, Provider::TensorRt | Provider::OpenVino);
        Self {
            sha256: sha256.to_owned(),
            path,
            provider,
            device_id: match provider {
                Provider::Cpu | Provider::OpenVino => 0,
                _ => config.device_id,
            },
            precision,
            options: provider::session_options(provider, config, precision),
            threads: config.threads,
            tile: purpose.tile.filter(|_| provider == Provider::TensorRt),
            io_mode: match purpose.forced {
                None => mode.key(),
                Some(_) => format!("forced {}", mode.key()),
            },
            cache_dir: config.cache_dir.clone().filter(|_| compiles),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(provider: Provider, config: &Config) -> SessionKey {
        let (mode, purpose) = (IoMode::default(), Purpose::default());
        let precision = provider.precision(config.precision);
        SessionKey::new(
            "13ae",
            "m.onnx".into(),
            provider,
            precision,
            &mode,
            &purpose,
            config,
        )
    }

    #[test]
    fn whatever_changes_what_is_computed_is_in_the_key() {
        let asked = |precision| Config {
            precision,
            ..Config::default()
        };
        // Both compute in floats of 32 bits, but only one may round to TensorFloat-32 on the way.
        for provider in [Provider::Cuda, Provider::TensorRt] {
            assert_ne!(
                key(provider, &asked(Precision::Auto)),
                key(provider, &asked(Precision::Fp32)),
                "{provider}"
            );
        }
        // The CPU computes the same for both: one session serves.
        assert_eq!(
            key(Provider::Cpu, &asked(Precision::Auto)),
            key(Provider::Cpu, &asked(Precision::Fp32))
        );
        let other = |config: Config| {
            assert_ne!(
                key(Provider::Cuda, &config),
                key(Provider::Cuda, &Config::default())
            )
        };
        other(Config {
            device_id: 1,
            ..Config::default()
        });
        other(Config {
            threads: 1,
            ..Config::default()
        });
    }
}
