//! Desired state as bytes. Filled in by its owner.
