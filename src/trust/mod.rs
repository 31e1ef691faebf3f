//! Trust: what is signed, by whom, and what may replace what.
//!
//! [`Verified`] is the seal of this folder: it can only be made here, by checking a signature over raw bytes.

/// A value whose bytes were signed by enough trusted keys, or that was computed from such a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    /// The value.
    pub fn get(&self) -> &T {
        &self.0
    }

    /// Carries the seal over to what is computed from the value alone.
    ///
    /// # Errors
    /// Those of `compute`.
    pub fn try_map<U, E>(self, compute: impl FnOnce(T) -> Result<U, E>) -> Result<Verified<U>, E> {
        compute(self.0).map(Verified)
    }
}
