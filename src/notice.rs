//! What a user should be told though nothing failed: one text, and whether it is for the better.

/// Whether a notice is good news.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    /// Something works better than before: a better provider is in use.
    Better,
    /// Something works less well than was asked for or than before.
    Worse,
    /// Neither: something that is worth knowing.
    Info,
}

impl Severity {
    /// Name for logs and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Info => "info",
        }
    }
}

/// Something that a user should be told though nothing failed, such as a change of provider. Its text says all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Whether it is good news.
    pub severity: Severity,
    /// One sentence that names the model, what changed, and the reason.
    pub text: String,
}

impl Notice {
    /// A change for the better.
    pub fn better(text: impl Into<String>) -> Self {
        Self::new(Severity::Better, text)
    }

    /// A change for the worse, or something that was asked for and cannot be had.
    pub fn worse(text: impl Into<String>) -> Self {
        Self::new(Severity::Worse, text)
    }

    /// Something that is worth knowing.
    pub fn info(text: impl Into<String>) -> Self {
        Self::new(Severity::Info, text)
    }

    fn new(severity: Severity, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { severity, text }
    }
}

impl std::fmt::Display for Notice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}
