//! Memory of the size of frames and tiles: where the system refuses it, the frame fails, and the process goes on.
//!
//! What is smaller by far (a row, a number for each block of pixels, lists of tiles) is not asked for here: nobody refuses so little and then
//! has enough for anything else.

use crate::error::{Error, Result};

/// Has `values` be `length` long, `fill` in the place of what is new. `what` they are is for the message.
///
/// # Errors
/// [`Error::Memory`] where the system has none; `values` is as it was.
pub(crate) fn resize<T: Clone>(
    values: &mut Vec<T>,
    length: usize,
    fill: T,
    what: &str,
) -> Result<()> {
    reserve(values, length.saturating_sub(values.len()), what)?;
    values.resize(length, fill);
    Ok(())
}

/// Has room in `values` for `more` of them. `what` they are is for the message.
///
/// # Errors
/// [`Error::Memory`] where the system has none; `values` is as it was.
pub(crate) fn reserve<T>(values: &mut Vec<T>, more: usize, what: &str) -> Result<()> {
    let length = values.len().saturating_add(more);
    values.try_reserve(more).map_err(|_| Error::Memory {
        what: what.to_owned(),
        bytes: length.saturating_mul(size_of::<T>()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_has_is_an_error_and_leaves_what_is_there() {
        let mut values = vec![7_u16, 8];
        for more in [usize::MAX, isize::MAX as usize / 2] {
            let error = reserve(&mut values, more, "a picture").unwrap_err();
            assert!(matches!(error, Error::Memory { .. }), "{error}");
            let told = resize(&mut values, more, 0, "a picture").unwrap_err();
            assert!(
                told.to_string().starts_with("a picture: expected "),
                "{told}"
            );
        }
        assert_eq!(values, [7, 8]);
        resize(&mut values, 4, 1, "a picture").unwrap();
        assert_eq!(values, [7, 8, 1, 1]);
        resize(&mut values, 1, 1, "a picture").unwrap();
        assert_eq!(values, [7]);
    }
}
