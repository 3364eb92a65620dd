//! Every text of gitboot about somebody's repository, by subject.

pub mod assignment;
pub mod content;
pub mod document;
pub mod import;
pub mod lint;
pub mod ranking;
pub mod template;
