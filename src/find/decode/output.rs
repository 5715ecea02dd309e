//! An output of a detector, before it is decoded.

/// One output of a detector: name, shape, values.
#[derive(Debug, Clone, Copy)]
pub struct Output<'a> {
    /// Name in the model.
    pub name: &'a str,
    /// Sides, outermost first.
    pub shape: &'a [i64],
    /// Values, innermost side fastest.
    pub values: &'a [f32],
}

/// The output called `name`.
pub(super) fn output<'a, 'o>(
    outputs: &'o [Output<'a>],
    name: &str,
) -> Result<&'o Output<'a>, String> {
    outputs.iter().find(|o| o.name == name).ok_or_else(|| {
        let names: Vec<_> = outputs.iter().map(|o| o.name).collect();
        format!("an output called {name}, found {}", names.join(", "))
    })
}
