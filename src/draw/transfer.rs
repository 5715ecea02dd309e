//! How pictures get to a network and back, for reports. Plain values.

/// Where a network's pictures are staged on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Staging {
    /// Nowhere that is kept: the runtime sees to it in each run.
    #[default]
    None,
    /// In ordinary memory that is kept.
    Ordinary,
    /// In page-locked memory that is kept, which the device reads and writes by itself.
    Pinned,
}

/// How pictures get to a network and back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Transfer {
    /// As bytes, which the device converts; as floats otherwise, converted by the CPU.
    pub bytes: bool,
    /// Where they are staged.
    pub staging: Staging,
    /// Whether runs are replayed from a CUDA graph.
    pub graph: bool,
}

impl std::fmt::Display for Transfer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.bytes { "bytes" } else { "floats" })?;
        match self.staging {
            Staging::None => {}
            Staging::Ordinary => f.write_str(", ordinary staging")?,
            Staging::Pinned => f.write_str(", page-locked staging")?,
        }
        if self.graph {
            f.write_str(", CUDA graph")?;
        }
        Ok(())
    }
}
