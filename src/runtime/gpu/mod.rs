//! What GPUs want of memory: pictures staged where a device reads and writes them by itself, and runs at fixed addresses for CUDA
//! graphs.

pub(super) mod binding;
pub(super) mod graph;
pub(super) mod memory;
#[cfg(test)]
mod tests;
