//! The publication point. Filled in by its owner.
