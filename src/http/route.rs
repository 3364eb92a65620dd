//! The boot listener's table of routes.

use std::borrow::Cow;

use crate::id::ConfigId;
use crate::label;

/// What a path asks for. `None` stands for an identifier that can name nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route<'r> {
    /// The first stage, which chains to [`Route::Script`].
    BootScript,
    /// The script for the labels of the query.
    Script,
    /// The script for one MAC, in normal form.
    ScriptOfMac(Option<String>),
    /// One config.
    Config(Option<ConfigId>),
    /// One config of a config directory; the labels are still in query syntax.
    ConfigOfDir {
        id: Option<ConfigId>,
        labels: &'r str,
        name: Cow<'r, str>,
    },
    /// Ironic's boot configuration API.
    BootApi {
        mac: Option<String>,
        name: Cow<'r, str>,
    },
    /// Whether the process serves.
    Health,
    /// Whether something is published.
    Ready,
    /// Nothing that we have.
    Unknown,
}

/// The most segments of any route's path.
const MAX_SEGMENTS: usize = 4;

impl<'r> Route<'r> {
    /// The route of a path that is still percent-encoded. Empty segments do not count: `//` and a trailing slash are
    /// tolerated.
    pub(super) fn of(path: &'r str) -> Self {
        let mut raw = path.split('/').filter(|segment| !segment.is_empty());
        let mut segments: [&str; MAX_SEGMENTS] = [""; MAX_SEGMENTS];
        for (slot, segment) in segments.iter_mut().zip(raw.by_ref()) {
            *slot = segment;
        }
        if raw.next().is_some() {
            return Self::Unknown;
        }
        let [first, second, third, fourth] = segments;
        match (&*decoded(first), &*decoded(second), third, fourth) {
            ("boot.ipxe" | "boot.ipxe.0" | "autoexec.ipxe", "", "", "") => Self::BootScript,
            ("ipxe", "", "", "") => Self::Script,
            ("ipxe", mac, "", "") => Self::ScriptOfMac(normal_mac(mac)),
            ("health" | "healthz", "", "", "") => Self::Health,
            ("ready" | "readyz", "", "", "") => Self::Ready,
            ("config" | "content", "", "", "") => Self::Unknown,
            ("config" | "content", id, "", "") => Self::Config(ConfigId::parse(id)),
            ("config" | "content", id, name, "") => Self::of_dir(id, "", name),
            ("config" | "content", id, labels, name) => Self::of_dir(id, labels, name),
            ("v1", "boot", mac, name) if !mac.is_empty() && !name.is_empty() => Self::BootApi {
                mac: normal_mac(&decoded(mac)),
                name: decoded(name),
            },
            _ => Self::Unknown,
        }
    }

    fn of_dir(id: &str, labels: &'r str, name: &'r str) -> Self {
        Self::ConfigOfDir {
            id: ConfigId::parse(id),
            labels,
            name: decoded(name),
        }
    }

    /// What log lines and metrics call this kind of route.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::BootScript => "boot_script",
            Self::Script | Self::ScriptOfMac(_) => "script",
            Self::Config(_) | Self::ConfigOfDir { .. } => "config",
            Self::BootApi { .. } => "boot_api",
            Self::Health => "health",
            Self::Ready => "ready",
            Self::Unknown => "other",
        }
    }

    /// What traces call it, with names in place of what differs. `None` for what is no route, and for those that monitoring
    /// asks every few seconds.
    pub(super) fn template(&self) -> Option<&'static str> {
        Some(match self {
            Self::BootScript => "/boot.ipxe",
            Self::Script => "/ipxe",
            Self::ScriptOfMac(_) => "/ipxe/{mac}",
            Self::Config(_) => "/config/{uuid}",
            Self::ConfigOfDir { .. } => "/config/{uuid}/{labels}/{name}",
            Self::BootApi { .. } => "/v1/boot/{mac}/{name}",
            Self::Health | Self::Ready | Self::Unknown => return None,
        })
    }

    /// The same; `None` for routes that are not logged.
    pub(super) fn logged_as(&self) -> Option<&'static str> {
        match self {
            Self::BootScript | Self::Health | Self::Ready | Self::Unknown => None,
            logged => Some(logged.name()),
        }
    }
}

fn normal_mac(text: &str) -> Option<String> {
    label::normalise("mac", text).ok()
}

/// A segment with its escapes decoded. One that is not UTF-8 stays as it is: it names nothing.
fn decoded(segment: &str) -> Cow<'_, str> {
    if !segment.contains('%') {
        return Cow::Borrowed(segment);
    }
    let mut bytes = Vec::new();
    label::decode_percent(segment, &mut bytes);
    String::from_utf8(bytes).map_or(Cow::Borrowed(segment), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: &str = "3b7e8f1c-1111-8222-8333-444455556666";

    fn id() -> ConfigId {
        ConfigId::parse(ID).unwrap()
    }

    #[test]
    fn slashes_too_many_are_tolerated() {
        for path in [
            "/boot.ipxe",
            "//boot.ipxe",
            "/boot.ipxe/",
            "/boot.ipxe.0",
            "/autoexec.ipxe",
        ] {
            assert_eq!(Route::of(path), Route::BootScript, "{path}");
        }
        for path in ["/ipxe", "//ipxe", "/ipxe/"] {
            assert_eq!(Route::of(path), Route::Script, "{path}");
        }
    }

    #[test]
    fn ids_are_read_in_any_case_and_in_one_form() {
        assert_eq!(
            Route::of(&format!("/config/{ID}")),
            Route::Config(Some(id()))
        );
        assert_eq!(
            Route::of(&format!("/content/{}", ID.to_uppercase())),
            Route::Config(Some(id()))
        );
        assert_eq!(Route::of("/config/junk"), Route::Config(None));
        assert_eq!(
            Route::of(&format!("/config/{}", ID.replace('-', ""))),
            Route::Config(None)
        );
    }

    #[test]
    fn directories_take_labels_as_a_segment_that_stays_encoded() {
        let with = format!("/config/{ID}/serial.hex=41%3d&site=x/user%2ddata");
        assert_eq!(
            Route::of(&with),
            Route::ConfigOfDir {
                id: Some(id()),
                labels: "serial.hex=41%3d&site=x",
                name: "user-data".into()
            }
        );
        let without = format!("/config/{ID}//meta-data");
        assert_eq!(
            Route::of(&without),
            Route::ConfigOfDir {
                id: Some(id()),
                labels: "",
                name: "meta-data".into()
            }
        );
        assert_eq!(Route::of(&format!("/config/{ID}/a/b/c")), Route::Unknown);
    }

    #[test]
    fn everything_else_is_unknown() {
        for path in [
            "/",
            "",
            "*",
            "/boot",
            "/ipxe/a/b",
            "/v1",
            "/v1/boot",
            "/v1/boot/x",
            "/config",
            "/health/x",
        ] {
            assert_eq!(Route::of(path), Route::Unknown, "{path}");
        }
        assert_eq!(Route::of("/health"), Route::Health);
        assert_eq!(Route::of("/healthz/"), Route::Health);
        assert_eq!(Route::of("/ready"), Route::Ready);
        assert_eq!(Route::of("/readyz"), Route::Ready);
    }

    #[test]
    fn an_escaped_path_is_the_same_path() {
        assert_eq!(Route::of("/%62oot%2Eipxe"), Route::BootScript);
        assert_eq!(Route::of("/ip%78e"), Route::Script);
        assert_eq!(
            Route::of("/ipxe/52%3A54%3A00%3aab%3acd%3aef"),
            Route::ScriptOfMac(Some("52:54:00:ab:cd:ef".to_owned()))
        );
        let escaped = format!("/conf%69g/{}", ID.replace('-', "%2d"));
        assert_eq!(Route::of(&escaped), Route::Config(Some(id())));
        // An escaped slash is no separator, and a NUL no end.
        for path in [
            "/ipxe%2F",
            "/%2Fipxe",
            "/boot.ipxe%00",
            "/%ff",
            "/health%zz",
        ] {
            assert_eq!(Route::of(path), Route::Unknown, "{path}");
        }
    }

    #[test]
    fn escapes_are_decoded_and_malformed_ones_stay() {
        assert_eq!(decoded("52%3A54%3a"), "52:54:");
        assert_eq!(decoded("a%2"), "a%2");
        assert_eq!(decoded("%zz%"), "%zz%");
        assert_eq!(decoded("%ff"), "%ff");
    }

    proptest! {
        #[test]
        fn routing_never_panics_and_decoding_leaves_plain_text_alone(text in "\\PC*|(/?[a-z0-9%.]{0,8}){0,6}") {
            Route::of(&text);
            prop_assert!(decoded(&text).len() <= text.len());
            let plain = text.replace('%', "");
            prop_assert_eq!(decoded(&plain), plain.as_str());
        }
    }
}
