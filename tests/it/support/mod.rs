//! What several subjects need.

pub(crate) mod http;
pub(crate) mod process;
