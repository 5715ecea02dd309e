//! Whether a provider works here at all.

use super::session::Network;
use crate::error::Result;
use crate::settings::{Config, Provider};

/// Opens and runs a network of one node on `provider`, for diagnosis.
///
/// # Errors
/// [`crate::Error::Runtime`] without a library, [`crate::Error::Provider`] with the reason otherwise.
pub fn try_provider(provider: Provider, config: &Config) -> Result<()> {
    let config = Config {
        provider,
        ..config.clone()
    };
    Network::open_bytes(RELU, "relu", &config).map(drop)
}

/// `output = Relu(input)`, f32[1, 3, 8, 8], as an ONNX file (IR version 8, opset 17).
#[rustfmt::skip]
const RELU: &[u8] = b"\x08\x08\x3a\x5d\x0a\x15\x0a\x05input\x12\x06output\x22\x04Relu\x12\x01gZ\x1f\x0a\x05input\x12\x16\x0a\
    \x14\x08\x01\x12\x10\x0a\x02\x08\x01\x0a\x02\x08\x03\x0a\x02\x08\x08\x0a\x02\x08\x08b\x20\x0a\x06outp\
    ut\x12\x16\x0a\x14\x08\x01\x12\x10\x0a\x02\x08\x01\x0a\x02\x08\x03\x0a\x02\x08\x08\x0a\x02\x08\x08B\x04\
    \x0a\x00\x10\x11";
