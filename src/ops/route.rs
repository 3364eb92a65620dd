//! The operations listener's table of routes.

/// What a path asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// What is counted.
    Metrics,
    /// How the server does.
    Status,
    /// All Profiles.
    Profiles,
    /// All Assignments.
    Assignments,
    /// Why a machine gets what it gets.
    Explain,
    /// The machines that were seen lately.
    Machines,
    /// The page for people.
    Front,
    /// The same as [`Self::Explain`], for people.
    Explained,
    /// Looking for machines.
    Search,
    /// Where a forge says that there is something new.
    Hook,
    /// Nothing that we have.
    Unknown,
}

impl Route {
    /// The route of a path. Empty segments do not count.
    pub(super) fn of(path: &str) -> Self {
        let mut segments = path.split('/').filter(|segment| !segment.is_empty());
        let route = match (segments.next(), segments.next()) {
            (None, _) if path.starts_with('/') => Self::Front,
            (Some("explain"), None) => Self::Explained,
            (Some("search"), None) => Self::Search,
            (Some("metrics"), None) => Self::Metrics,
            (Some("status"), None) => Self::Status,
            (Some("api"), Some("profiles")) => Self::Profiles,
            (Some("api"), Some("assignments")) => Self::Assignments,
            (Some("api"), Some("explain")) => Self::Explain,
            (Some("api"), Some("machines")) => Self::Machines,
            (Some("hooks"), Some("push")) => Self::Hook,
            _ => Self::Unknown,
        };
        if segments.next().is_some() {
            return Self::Unknown;
        }
        route
    }

    /// Whether it tells about the fleet, which is not for everybody on a network.
    pub(super) fn is_private(self) -> bool {
        match self {
            Self::Profiles
            | Self::Assignments
            | Self::Explain
            | Self::Machines
            | Self::Front
            | Self::Explained
            | Self::Search => true,
            Self::Metrics | Self::Status | Self::Hook | Self::Unknown => false,
        }
    }

    /// Whether it is for people, who are asked for the token by a form.
    pub(super) fn is_page(self) -> bool {
        matches!(self, Self::Front | Self::Explained | Self::Search)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_too_many_are_tolerated_and_segments_are_not() {
        for path in ["/status", "//status", "/status/"] {
            assert_eq!(Route::of(path), Route::Status, "{path}");
        }
        assert_eq!(Route::of("/api/machines"), Route::Machines);
        for path in ["/", "//"] {
            assert_eq!(Route::of(path), Route::Front, "{path}");
        }
        for path in [
            "",
            "*",
            "/explain/x",
            "/status/x",
            "/api",
            "/api/x",
            "/api/machines/x",
            "/hooks",
        ] {
            assert_eq!(Route::of(path), Route::Unknown, "{path}");
        }
    }
}
