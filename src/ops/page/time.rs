//! Times as people read them: how long ago, and the exact time behind it.

use std::time::{Duration, SystemTime};

use maud::{Markup, html};

/// How long ago something was, with the time itself for whoever points at it and for programs.
pub(super) fn ago(at: SystemTime, now: SystemTime) -> Markup {
    let exact = humantime::format_rfc3339_seconds(at).to_string();
    let shown = exact.replace('T', " ").replace('Z', " UTC");
    let age = now.duration_since(at).unwrap_or_default();
    html! {
        time datetime=(exact) title=(shown) { (words(age)) }
    }
}

/// A past of this length in its largest unit.
fn words(age: Duration) -> String {
    let seconds = age.as_secs();
    let (count, unit) = match seconds {
        0..5 => return "just now".to_owned(),
        5..120 => (seconds, "s"),
        120..7200 => (seconds / 60, "min"),
        7200..172_800 => (seconds / 3600, "h"),
        _ => (seconds / 86_400, "days"),
    };
    format!("{count} {unit} ago")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_past_is_told_in_its_largest_unit() {
        for (seconds, expected) in [
            (0, "just now"),
            (5, "5 s ago"),
            (119, "119 s ago"),
            (120, "2 min ago"),
            (7200, "2 h ago"),
            (172_800, "2 days ago"),
        ] {
            assert_eq!(words(Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn the_exact_time_stands_behind_it() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        assert_eq!(
            ago(at, at + Duration::from_mins(3)).into_string(),
            "<time datetime=\"2023-11-14T22:13:20Z\" title=\"2023-11-14 22:13:20 UTC\">3 min ago</time>"
        );
        assert!(
            ago(at + Duration::from_hours(1), at)
                .into_string()
                .contains("just now")
        );
    }
}
