//! Users and passwords of URLs, which no complaint about a command line repeats.

/// What stands in their place.
const HIDDEN: &str = "…";

/// The text without what stands between `://` and the last `@` of the same word: passwords may hold every other sign.
pub(super) fn hidden(text: &str) -> String {
    text.split_inclusive(char::is_whitespace)
        .map(
            |word| match (word.split_once("://"), word.rsplit_once('@')) {
                (Some((scheme, rest)), Some((_, host))) if rest.contains('@') => {
                    format!("{scheme}://{HIDDEN}@{host}")
                }
                _ => word.to_owned(),
            },
        )
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_before_the_host_is_hidden() {
        for (text, expected) in [
            ("'http://ann:hunter2@host:1/x' is", "'http://…@host:1/x' is"),
            ("`https://t0ken@host`\n", "`https://…@host`\n"),
            ("http://a:b/c?d#e'f@g@host", "http://…@host"),
            (
                "no ann@host,  http://host/x, ssh://h",
                "no ann@host,  http://host/x, ssh://h",
            ),
            ("ann@x://host", "ann@x://host"),
        ] {
            assert_eq!(hidden(text), expected);
        }
    }
}
