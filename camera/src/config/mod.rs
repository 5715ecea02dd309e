//! What the program is to do: cameras, what comes out of each, the page and the gallery. Read from a TOML file by [`read`], or made from the
//! command line.

#[cfg(test)]
mod hostile;
mod read;
mod secret;
mod source;
mod values;
mod wanted;

pub use read::{Fault, parse_name, read};
pub use secret::Secret;
pub use source::{Source, Transport};
pub use values::{parse_sides, parse_size, parse_time};
pub use wanted::{Camera, Config, Gallery, HTTP_PORT, Hls, Http, Keep, Record, default_rtsp};
