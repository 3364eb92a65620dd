//! What the README shows, for tests that hold it to be true.

use std::path::Path;

/// The text of the README.
pub(crate) fn text() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    std::fs::read_to_string(path).unwrap()
}

/// The code blocks in one language, in order.
pub(crate) fn blocks(language: &str) -> Vec<String> {
    let (text, fence) = (text(), format!("\n```{language}\n"));
    let after = text.split(&fence).skip(1);
    after
        .map(|rest| format!("{}\n", rest.split("\n```").next().unwrap()))
        .collect()
}

/// The one code block in this language that holds this text.
pub(crate) fn block_with(language: &str, text: &str) -> String {
    let mut found = blocks(language)
        .into_iter()
        .filter(|block| block.contains(text));
    let block = found
        .next()
        .unwrap_or_else(|| panic!("no block with {text}"));
    assert_eq!(found.next(), None, "two blocks with {text}");
    block
}
