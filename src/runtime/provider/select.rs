//! The providers by name: which are there, and what each is told.

use ort::ep::ExecutionProviderDispatch;

use super::options::{ProviderExtras, ShapeProfile, words};
use super::{cpu, cuda, openvino, tensorrt};
use crate::error::{Error, Result};
use crate::runtime::io_mode::IoMode;
use crate::runtime::library;
use crate::settings::{Config, Precision, Provider};

/// What else `provider` is told, for the key of its cache.
pub(in crate::runtime) fn cache_options(
    provider: Provider,
    config: &Config,
    precision: Precision,
    mode: &IoMode,
) -> String {
    match provider {
        Provider::TensorRt => tensorrt::cache_options(config, precision, mode),
        _ => mode.key(),
    }
}

/// What `provider` is told by the settings, for the key under which a session is shared.
pub(in crate::runtime) fn session_options(
    provider: Provider,
    config: &Config,
    precision: Precision,
) -> String {
    match provider {
        Provider::TensorRt => {
            let floats = IoMode::default();
            let tensorrt = tensorrt::cache_options(config, precision, &floats);
            // CUDA takes the nodes that TensorRT cannot.
            format!("{tensorrt}; {}", words(&cuda::options(config, false)))
        }
        Provider::Cuda => words(&cuda::options(config, false)),
        Provider::OpenVino | Provider::Cpu | Provider::Auto => String::new(),
    }
}

/// Why `provider` does not compute in half precision with a model of single precision, if it does not.
pub(in crate::runtime) fn no_half(provider: Provider) -> Option<String> {
    match provider {
        Provider::Cuda => Some(
            "precision=fp16 needs a half precision model here; expected fp32 or auto".to_owned(),
        ),
        Provider::Cpu | Provider::Auto => Some(
            "precision=fp16 is not served by the CPU's kernels; expected fp32 or auto".to_owned(),
        ),
        Provider::OpenVino => Some(
            "precision=fp16 is not served by OpenVINO on the CPU; expected fp32 or auto".to_owned(),
        ),
        Provider::TensorRt => None,
    }
}

/// Whether the library, which must be loaded, was built with `provider`. Whether it works here is another matter.
pub(in crate::runtime) fn is_in_library(provider: Provider) -> bool {
    match provider {
        Provider::TensorRt => tensorrt::is_in_library(),
        Provider::Cuda => cuda::is_in_library(),
        Provider::OpenVino => openvino::is_in_library(),
        Provider::Cpu | Provider::Auto => true,
    }
}

/// Whether `config` leaves nothing but the processor to compute on: what comes after it is never tried, because it always works.
///
/// # Errors
/// [`Error::Runtime`] without a library.
pub(crate) fn only_processor(config: &Config) -> Result<bool> {
    library::load(config.runtime_library.as_deref())?;
    let candidates = config.candidates().into_iter();
    let mut before = candidates.take_while(|provider| *provider != Provider::Cpu);
    Ok(before.all(|provider| !is_in_library(provider)))
}

/// Refuses, before anything is opened, a provider that was asked for by name and that the library was not built with.
///
/// # Errors
/// [`Error::Runtime`] without a library, [`Error::Provider`] naming it.
pub fn check_named(config: &Config) -> Result<()> {
    let loaded = library::load(config.runtime_library.as_deref())?;
    if is_in_library(config.provider) {
        return Ok(());
    }
    let (provider, path) = (config.provider, loaded.path.display());
    Err(Error::Provider {
        model: config.general_model.clone(),
        requested: provider.to_string(),
        reasons: format!(
            "{provider}: {path} was built without it; set runtime-library to one that has it, or provider=auto takes the best that works"
        ),
    })
}

/// The runtime's registrations for `provider`, or the reason why the settings rule it out.
pub(in crate::runtime) fn registrations(
    provider: Provider,
    config: &Config,
    precision: Precision,
    profile: &ShapeProfile,
    extras: &ProviderExtras,
) -> std::result::Result<Vec<ExecutionProviderDispatch>, String> {
    if i32::try_from(config.device_id).is_err() {
        return Err(format!("no device {}", config.device_id));
    }
    let dispatches = match provider {
        Provider::TensorRt => vec![
            tensorrt::registration(config, precision, profile, extras),
            // CUDA takes the nodes that TensorRT cannot.
            cuda::registration(config, false),
        ],
        Provider::Cuda => vec![cuda::registration(config, extras.graph)],
        Provider::OpenVino => vec![openvino::registration(config, extras)],
        Provider::Cpu | Provider::Auto => vec![cpu::registration()],
    };
    Ok(dispatches
        .into_iter()
        .map(ExecutionProviderDispatch::error_on_failure)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precisions_are_those_that_providers_gain_by() {
        use Precision::{Auto, Fp16, Fp32, Int8};
        for provider in Provider::ORDER {
            assert_eq!(provider.precision(Fp32), Fp32);
            assert_eq!(provider.precision(Fp16), Fp16);
            // What is in eight bits is the file.
            assert_eq!(provider.precision(Int8), Fp32);
            let gains = provider == Provider::TensorRt;
            assert_eq!(provider.precision(Auto), if gains { Fp16 } else { Fp32 });
        }
        assert!(Provider::TensorRt.reduces(Fp16) && !Provider::TensorRt.reduces(Fp32));
        // CUDA computes in what the file is made of.
        assert!(!Provider::Cuda.reduces(Fp16));
    }
}
