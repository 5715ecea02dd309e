//! The inputs and outputs that a model declares. Knows nothing of ONNX Runtime's types.

/// ONNX Runtime's name of 16-bit floats.
const HALF: &str = "f16";
/// ONNX Runtime's name of 8-bit numbers without a sign.
const BYTE: &str = "u8";

/// An input or output as the model declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Name.
    pub name: String,
    /// Element type as the runtime names it, for instance `f32`; `not a tensor` otherwise.
    pub element: String,
    /// Whether a network takes and gives it as 32-bit floats: it has those, or 16-bit floats, which are converted on the way.
    pub is_f32: bool,
    /// Sides, outermost first; -1 where free.
    pub shape: Vec<i64>,
}

impl Port {
    /// Whether the elements are 16-bit floats.
    pub(super) fn is_half(&self) -> bool {
        self.is_f32 && self.element == HALF
    }

    /// Whether the elements are 8-bit numbers without a sign.
    pub(crate) fn is_bytes(&self) -> bool {
        self.element == BYTE
    }
}

impl std::fmt::Display for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sides: Vec<_> = self
            .shape
            .iter()
            .map(|d| if *d < 0 { "?".into() } else { d.to_string() })
            .collect();
        write!(f, "{} {}[{}]", self.name, self.element, sides.join(", "))
    }
}

/// Lists ports for messages.
pub fn describe(ports: &[Port]) -> String {
    match ports {
        [] => "none".into(),
        ports => ports
            .iter()
            .map(Port::to_string)
            .collect::<Vec<_>>()
            .join("; "),
    }
}
