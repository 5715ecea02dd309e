//! What GPUs want: pictures staged where a device reads and writes them by itself, runs at fixed addresses for CUDA graphs, and
//! NVIDIA's libraries loaded.

pub(super) mod binding;
pub(super) mod graph;
pub(super) mod memory;
pub(super) mod preload;
#[cfg(test)]
mod tests;
