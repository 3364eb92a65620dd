//! The boot listener, over real sockets.

mod access;
mod configs;
mod exact;
mod exchange;
mod flight;
mod fuzz;
mod hostile;
mod limits;
mod odd;
mod protocol;
mod scripts;
mod shapes;
mod siege;
mod tls;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use gitboot::http::{self, Access, Door, Limits, Settings};
use gitboot::id::{self, ConfigId, Content};
use gitboot::label::{Entry, FixedLabels, Identity};
use gitboot::publish::{Current, Moment, Publisher};
use gitboot::snapshot::{
    Binding, Body, Choice, Config, ConfigDir, ConfigName, Outfit, Rule, SelectorValues, Shared,
    Snapshot, Text, Tier,
};
use gitboot::tree::Revision;

use crate::support::http::{Client, Response};

/// A server on a port of its own; it ends when dropped.
pub(crate) struct Server {
    address: SocketAddr,
    door: Arc<Door>,
    publisher: Publisher,
    runtime: tokio::runtime::Runtime,
}

/// The settings of `gitboot serve` without a flag.
fn settings() -> Settings {
    Settings {
        external_url: None,
        fixed_labels: FixedLabels::default(),
        boot_api: true,
        access: Access::default(),
        client_label: None,
        boot_script: http::boot_script(10),
        ready_max_age: None,
        max_header_bytes: Limits::default().max_header_bytes,
        starting_until: Instant::now() + http::STARTING,
        poke: None,
        draining: Arc::new(AtomicBool::new(false)),
    }
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::with(settings(), Limits::default())
    }

    fn with(settings: Settings, limits: Limits) -> Self {
        let (publisher, current) = Publisher::new(Duration::from_mins(15));
        Self::of(publisher, current, settings, limits)
    }

    fn of(publisher: Publisher, current: Current, settings: Settings, limits: Limits) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = {
            let _inside = runtime.enter();
            http::bind(&["127.0.0.1:0".parse().unwrap()])
                .unwrap()
                .remove(0)
        };
        let address = listener.address();
        let door = Door::new(limits, settings.access.trusted_proxies.clone());
        let service = http::service(current, Arc::new(settings));
        runtime.spawn(Arc::clone(&door).serve(listener, service));
        Self {
            address,
            door,
            publisher,
            runtime,
        }
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    fn get(&self, target: &str) -> Response {
        self.connect().get(target)
    }

    pub(crate) fn publish(&mut self, snapshot: Snapshot) {
        self.publisher.publish(snapshot, Moment::now());
    }
}

/// A text where `{{ base_url }}` stands for the base URL, as the body of a script or config.
fn text(content: &str) -> Text {
    Text::cut(content, "{{ base_url }}")
}

/// A config with these bytes.
fn config(name: &str, content: &str) -> Arc<Config> {
    let text = text(content);
    let pieces = text.pieces().iter().map(AsRef::as_ref).collect();
    Arc::new(Config {
        id: id::config_id(None, "text/plain", &Content::Fixed(pieces)),
        name: name.to_owned(),
        content_type: "text/plain".to_owned(),
        labels: BTreeSet::new(),
        prints_base_url: text.has_base_url(),
        bytes: content.len(),
        body: Body::Fixed(text),
        signer: None,
        is_sealed: false,
    })
}

/// A snapshot with one machine that has this MAC, a script if one is given, and these configs, also as a directory.
fn snapshot(revision: &str, mac: &str, script: Option<&str>, configs: &[Arc<Config>]) -> Snapshot {
    let by_name: BTreeMap<String, Arc<Config>> = configs
        .iter()
        .map(|config| (config.name.clone(), Arc::clone(config)))
        .collect();
    let directory = Arc::new(ConfigDir {
        id: directory_id(configs),
        configs: by_name.clone(),
        labels: BTreeSet::new(),
        signer: None,
        is_sealed: false,
    });
    let values = gitboot::template::Values::from_json(&serde_json::Value::Null);
    let binding = Binding {
        profile: "worker".into(),
        script: None,
        names: by_name
            .keys()
            .map(|name| ConfigName {
                name: name.as_str().into(),
                exposed: true,
            })
            .collect(),
        shared: Some(Shared {
            outfit: Outfit {
                values,
                configs: by_name.into_values().collect(),
                directory: None,
            },
            script: script.map(text),
        }),
        own: Box::default(),
    };
    let rule = Rule {
        name: "rack".into(),
        tier: Tier::Named,
        priority: 0,
        selectors: Vec::<SelectorValues>::new(),
        entries: [Entry::new("x1", vec![(Identity::Mac, mac.to_owned())])].into(),
        choices: vec![Choice {
            requires: Vec::new(),
            binding,
        }],
    };
    let by_id: HashMap<ConfigId, Arc<Config>> = configs
        .iter()
        .map(|config| (config.id, Arc::clone(config)))
        .collect();
    Snapshot::new(
        Revision::new(revision),
        1,
        vec![rule],
        by_id,
        [(directory.id, directory)].into(),
    )
}

fn directory_id(configs: &[Arc<Config>]) -> ConfigId {
    id::directory_id(
        None,
        &configs
            .iter()
            .map(|config| (config.name.clone(), config.id))
            .collect(),
    )
}

/// Serves Profiles of every sort: what a whole commit looks like, rendered for real.
const TREE: &str = r#"
//- all.yaml
apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata: {name: worker}
spec:
  ipxe: |
    #!ipxe
    kernel {{ base_url }}/k r={{ revision }} i={{ ignition }} m={{ motd }} d={{ config_dir }}
  additionalConfig:
    ignition: {inline: '{"ignition": {"version": "3.4.0"}, "x": "{{ labels.serial }}"}'}
    motd: "hello\n"
    url: "{{ base_url }}\n"
---
apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata: {name: broken}
spec:
  ipxe: |
    #!ipxe
    echo {{ values.sites[labels.site] }}
  additionalConfig: {site: "{{ values.sites[labels.site] }}\n"}
  values: {sites: {x: in x}}
---
apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata: {name: silent}
spec: {additionalConfig: {motd: "hello\n"}}
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: rack}
spec:
  profile: worker
  machines: [{name: x1, mac: "52:54:00:ab:cd:ef", serial: SN 1}]
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: broken}
spec: {profile: broken, subjectSelectors: {mac: "52:54:00:ab:cd:01"}}
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: silent}
spec: {profile: silent, subjectSelectors: {mac: "52:54:00:ab:cd:02"}}
"#;

/// The headers but for those that tell the length.
fn headers(response: &Response) -> Vec<(&str, &str)> {
    let all = response
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    all.filter(|(name, _)| *name != "content-length").collect()
}

const MAC: &str = "52:54:00:ab:cd:ef";
