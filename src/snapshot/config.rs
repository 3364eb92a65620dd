//! Bodies: what is sent, either ready or one render away.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::id::{BodyDigest, ConfigId, IdKey};
use crate::secret::Secret;
use crate::template::{Kind, Template, Values};

/// What iPXE takes for a script (image/script.c): these six bytes and one white space. BIOS machines execute any other
/// body as machine code.
const SCRIPT_MAGIC: &[u8] = b"#!ipxe";

/// Whether iPXE takes these bytes for a script.
#[must_use]
pub fn is_script(bytes: &[u8]) -> bool {
    bytes
        .strip_prefix(SCRIPT_MAGIC)
        .and_then(<[u8]>::first)
        .is_some_and(u8::is_ascii_whitespace)
}

/// A text cut where the base URL stands: the pieces around it, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    pieces: Vec<Bytes>,
    /// Of a text without a base URL, so that nothing is hashed when it is asked for.
    digest: Option<BodyDigest>,
}

impl Text {
    /// A text without a base URL.
    #[must_use]
    pub fn whole(bytes: Bytes) -> Self {
        Self {
            digest: Some(BodyDigest::of(&bytes)),
            pieces: vec![bytes],
        }
    }

    /// A text that is cut wherever the mark stands.
    #[must_use]
    pub fn cut(text: &str, mark: &str) -> Self {
        let pieces: Vec<Bytes> = text
            .split(mark)
            .map(|piece| Bytes::copy_from_slice(piece.as_bytes()))
            .collect();
        match pieces.as_slice() {
            [whole] => Self::whole(whole.clone()),
            _ => Self {
                pieces,
                digest: None,
            },
        }
    }

    /// The pieces between the places of the base URL.
    #[must_use]
    pub fn pieces(&self) -> &[Bytes] {
        &self.pieces
    }

    /// Whether a base URL stands in it.
    #[must_use]
    pub fn has_base_url(&self) -> bool {
        self.pieces.len() > 1
    }

    /// The digest of the text, which is known as long as no base URL stands in it.
    #[must_use]
    pub fn digest(&self) -> Option<BodyDigest> {
        self.digest
    }

    /// The text with the base URL in its places; without one, the bytes are shared and not copied.
    #[must_use]
    pub fn with_base_url(&self, base: &str) -> Bytes {
        match self.pieces.as_slice() {
            [whole] => whole.clone(),
            pieces => pieces.join(base.as_bytes()).into(),
        }
    }
}

/// What is sent for a config. A secret may stand in it, so it prints without its bytes.
pub enum Body {
    /// Bytes that no label changes.
    Fixed(Text),
    /// A template that is rendered for each request.
    Rendered(Rendering),
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fixed(_) => "Fixed(…)",
            Self::Rendered(_) => "Rendered(…)",
        })
    }
}

/// A template with everything it needs but the labels and the base URL.
#[derive(Debug)]
pub struct Rendering {
    /// The template.
    pub template: Arc<Template>,
    /// How labels are escaped in it.
    pub kind: Kind,
    /// The names and values it is rendered with.
    pub scope: Arc<Scope>,
    /// The configs it names.
    pub links: Vec<(String, Link)>,
    /// Whether a secret may stand in what it prints.
    pub has_secrets: bool,
}

/// The names and values that a template sees.
#[derive(Debug)]
pub struct Scope {
    /// The Profile's name.
    pub profile: Arc<str>,
    /// The Assignment's name.
    pub assignment: Arc<str>,
    /// The machine's name; empty where there is none.
    pub machine: Box<str>,
    /// The merged values.
    pub values: Values,
    /// What configs find in `secrets`; the same for everybody.
    pub secrets: Arc<Secret<Values>>,
}

/// What a template prints for the name of a config.
#[derive(Clone, Debug)]
pub enum Link {
    /// The config's URL.
    Url(Arc<Config>),
    /// The config's text (`exposed: false`).
    Text(Arc<Config>),
}

impl Link {
    /// The config behind the name.
    #[must_use]
    pub fn config(&self) -> &Arc<Config> {
        match self {
            Self::Url(config) | Self::Text(config) => config,
        }
    }
}

/// One named file of a Profile, as a machine may fetch it.
#[derive(Debug)]
pub struct Config {
    /// Its id.
    pub id: ConfigId,
    /// The name that the first Profile with this content gives it, for logs.
    pub name: String,
    /// A valid header value.
    pub content_type: String,
    /// The labels that its bytes depend on; its URL carries them.
    pub labels: BTreeSet<String>,
    /// Whether a base URL stands in it.
    pub prints_base_url: bool,
    /// About how many bytes it takes, for the bounds of retention.
    pub bytes: usize,
    /// What is sent.
    pub body: Body,
    /// What signs the labels in its URL: a key, if ids are made under one and labels are used.
    pub signer: Option<IdKey>,
    /// Whether its id is made of secrets, or of a key, that are not known here, so that a server gives it another one.
    pub is_sealed: bool,
}

impl Config {
    /// Its URL without labels. A sealed one stands there by its name in angle brackets.
    #[must_use]
    pub fn url(&self, base: &str, name: &str) -> String {
        if self.is_sealed {
            format!("{base}/config/<{name}>")
        } else {
            [base, "/config/", self.id.write(&mut [0; 36])].concat()
        }
    }
}

impl Config {
    /// Whether it shows of a label what was said and nothing that depends on it, so that asking for it as another machine tells
    /// nobody anything. Only what is written into it in place of a name counts, not what stands behind a URL.
    #[must_use]
    pub fn only_prints_labels(&self) -> bool {
        let Body::Rendered(rendering) = &self.body else {
            return true;
        };
        let mut links = rendering.links.iter();
        rendering.template.only_prints()
            && links.all(|(_, link)| match link {
                Link::Url(_) => true,
                Link::Text(config) => config.only_prints_labels(),
            })
    }
}

/// All configs of one machine, pinned together.
#[derive(Debug)]
pub struct ConfigDir {
    /// The id, over the names and ids.
    pub id: ConfigId,
    /// The configs by name.
    pub configs: BTreeMap<String, Arc<Config>>,
    /// The labels that any of them depends on.
    pub labels: BTreeSet<String>,
    /// As for a config.
    pub signer: Option<IdKey>,
    /// Whether any of them is sealed.
    pub is_sealed: bool,
}

impl ConfigDir {
    /// Its URL without labels and without the slash at its end. A sealed one stands there as `<config_dir>`.
    #[must_use]
    pub fn url(&self, base: &str) -> String {
        if self.is_sealed {
            format!("{base}/config/<config_dir>")
        } else {
            format!("{base}/config/{}", self.id)
        }
    }
}

impl Config {
    /// The digest of what is sent, where it is the same for everybody.
    #[must_use]
    pub fn digest(&self) -> Option<BodyDigest> {
        match &self.body {
            Body::Fixed(text) => text.digest(),
            Body::Rendered(_) => None,
        }
    }
}
