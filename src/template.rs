//! Strict templates. Filled in by its owner.
