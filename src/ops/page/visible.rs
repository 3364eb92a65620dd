//! Characters that show nothing, or make text read otherwise than it is.

use std::fmt::Write as _;

/// The text with each of them as its number. Pages pass through here as a whole, so that nobody has to think of it.
pub(super) fn visible(text: String) -> String {
    if !text.contains(is_invisible) {
        return text;
    }
    let mut shown = String::with_capacity(text.len() + 64);
    for c in text.chars() {
        if is_invisible(c) {
            // Writing into a string cannot fail.
            let _ = write!(shown, "⟨U+{:04X}⟩", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Control characters, but for those that lay text out, and those that turn the direction of text, have no width, or tag.
fn is_invisible(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        '\u{ad}'
        | '\u{34f}'
        | '\u{61c}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e0fff}' => true,
        _ => c.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_turns_text_around_is_shown() {
        assert_eq!(
            visible("SN\u{202e}42\u{2066}\u{feff}\u{7f}\r".to_owned()),
            "SN⟨U+202E⟩42⟨U+2066⟩⟨U+FEFF⟩⟨U+007F⟩⟨U+000D⟩"
        );
        let plain = "a line\n\tgrün, 東京, עברית";
        assert_eq!(visible(plain.to_owned()), plain);
    }
}
