//! A place for memory that depends on the type of a frame's samples, which is known only when a frame comes.

use std::any::Any;

/// Holds one value of any type.
pub struct TypedMemory(Box<dyn Any + Send>);

impl Default for TypedMemory {
    fn default() -> Self {
        Self(Box::new(()))
    }
}

impl TypedMemory {
    /// What is held, made new if that was of another type. Put it back after use.
    pub fn take<T: Default + Send + 'static>(&mut self) -> Box<T> {
        std::mem::take(self).0.downcast().unwrap_or_default()
    }

    /// Holds `value` from now on.
    pub fn put<T: Send + 'static>(&mut self, value: Box<T>) {
        self.0 = value;
    }
}
