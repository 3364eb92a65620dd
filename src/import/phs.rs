//! The Harvester PXE server (`phs`): one YAML file that lists MACs with their values.
//!
//! It serves a script that stands in its code, filled in from the values of the MAC in the path, and `values.config` as JSON.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::diagnostic::{Diagnostic, Location, import as say};
use crate::label::{Identity, normalise};
use crate::manifest::{Budget, Part, Step, read_values_file};
use crate::tree::{RepoPath, Tree};

use super::manifests::{Assignment, Config, Names, Profile};
use super::{Converted, Original};

/// The values that the script prints.
const PRINTED: [&str; 5] = ["gateway", "interface", "ipaddress", "netmask", "version"];

/// Where the downloads are when the data do not say it: what older versions had in their code.
const OLDER_DOWNLOADS: &str = "http://192.168.178.7";

/// Words that the original's YAML 1.1 takes for booleans, in lower case.
const BOOLEANS: [&str; 6] = ["y", "yes", "on", "n", "no", "off"];

/// The most steps into the data at which a word is looked for.
const MAX_DEPTH: usize = 64;

/// Converts the file at `path`.
#[must_use]
pub fn phs(tree: &Tree, path: &RepoPath, budget: Budget) -> Converted {
    let mut out = Converted::default();
    let data = match read_values_file(tree, path, budget) {
        Ok(data) => data,
        Err(diagnostics) => {
            out.diagnostics = diagnostics;
            return out;
        }
    };
    let original = Original::new(tree, budget);
    let reader = Reader {
        original: &original,
        path,
    };
    reader.booleans(&data, &mut out.diagnostics);
    let machines = reader.machines(&data, &mut out.diagnostics);
    write(&reader, &data, machines, &mut out);
    out
}

/// An entry of `maclist`.
struct Machine {
    mac: String,
    values: Map<String, Value>,
}

struct Reader<'r, 't> {
    original: &'r Original<'t>,
    path: &'r RepoPath,
}

impl Reader<'_, '_> {
    fn at(&self, steps: &[Step]) -> Location {
        let mut at = self
            .original
            .locator
            .in_values(self.path, steps, Part::Value);
        at.excerpt.clear();
        at
    }

    fn machines(&self, data: &Map<String, Value>, found: &mut Vec<Diagnostic>) -> Vec<Machine> {
        let list = match data.get("maclist") {
            Some(Value::Array(list)) => list.as_slice(),
            Some(_) => {
                found.push(say::phs_shape(
                    self.at(&["maclist".into()]),
                    "`maclist` is no list",
                ));
                &[]
            }
            None => {
                found.push(say::phs_shape(self.at(&[]), "`maclist` is missing"));
                &[]
            }
        };
        let mut machines: BTreeMap<String, (usize, Machine)> = BTreeMap::new();
        for (index, entry) in list.iter().enumerate() {
            let steps = [Step::from("maclist"), Step::from(index)];
            match self.machine(entry, &steps) {
                Ok(machine) => {
                    let mac = machine.mac.clone();
                    if let Some((before, _)) = machines.insert(mac.clone(), (index, machine)) {
                        let at = self.at(&["maclist".into(), before.into(), "macaddress".into()]);
                        found.push(say::phs_twice(at, &mac));
                    }
                }
                Err(diagnostic) => found.push(*diagnostic),
            }
        }
        let mut machines: Vec<(usize, Machine)> = machines.into_values().collect();
        machines.sort_by_key(|(index, _)| *index);
        machines.into_iter().map(|(_, machine)| machine).collect()
    }

    fn machine(&self, entry: &Value, steps: &[Step]) -> Result<Machine, Box<Diagnostic>> {
        let within = |key: &str| [steps, &[Step::from(key)]].concat();
        let Some(entry) = entry.as_object() else {
            return Err(say::phs_shape(self.at(steps), "an entry of `maclist` is no map").into());
        };
        let Some(mac) = entry.get("macaddress").and_then(Value::as_str) else {
            let what = "an entry of `maclist` has no `macaddress` that is a text";
            return Err(say::phs_shape(self.at(steps), what).into());
        };
        let mac = normalise(Identity::Mac.key(), mac)
            .map_err(|why| say::phs_mac(self.at(&within("macaddress")), &why.to_string()))?;
        let values = match entry.get("values") {
            Some(Value::Object(values)) => values.clone(),
            None | Some(Value::Null) => Map::new(),
            Some(_) => {
                return Err(
                    say::phs_shape(self.at(&within("values")), "`values` is no map").into(),
                );
            }
        };
        for key in PRINTED {
            if !matches!(values.get(key), None | Some(Value::String(_))) {
                let what = format!("`{key}` is no text; put quotes around it");
                let steps = [within("values").as_slice(), &[Step::from(key)]].concat();
                return Err(say::phs_shape(self.at(&steps), &what).into());
            }
        }
        Ok(Machine { mac, values })
    }

    /// Tells words that the original takes for booleans, where they stand without quotes.
    fn booleans(&self, data: &Map<String, Value>, found: &mut Vec<Diagnostic>) {
        let text = self.original.text(self.path).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let mut seen = BTreeSet::new();
        for (steps, word) in words(data) {
            let at = self.at(&steps);
            let line = at.line.checked_sub(1).and_then(|line| lines.get(line));
            let rest: String = line
                .map(|line| line.chars().skip(at.column.saturating_sub(1)).collect())
                .unwrap_or_default();
            if rest.starts_with(&word) && seen.insert((at.line, at.column)) {
                found.push(say::phs_boolean(at, &word));
            }
        }
    }
}

/// Every text that is a boolean of YAML 1.1, with the way to it.
fn words(data: &Map<String, Value>) -> Vec<(Vec<Step>, String)> {
    let mut found = Vec::new();
    let mut todo: Vec<(Vec<Step>, &Value)> = data
        .iter()
        .map(|(key, value)| (vec![Step::from(key.as_str())], value))
        .collect();
    while let Some((steps, value)) = todo.pop() {
        if steps.len() > MAX_DEPTH {
            continue;
        }
        let below = |step: Step| {
            let mut steps = steps.clone();
            steps.push(step);
            steps
        };
        match value {
            Value::String(text) if BOOLEANS.contains(&text.to_ascii_lowercase().as_str()) => {
                found.push((steps, text.clone()));
            }
            Value::Array(items) => {
                let items = items.iter().enumerate();
                todo.extend(items.map(|(index, item)| (below(index.into()), item)));
            }
            Value::Object(map) => {
                let entries = map.iter();
                todo.extend(entries.map(|(key, item)| (below(key.as_str().into()), item)));
            }
            _ => {}
        }
    }
    found
}

/// The script that stands in the code of the original, as a template.
fn script(older: bool) -> String {
    let file = |name: &str| {
        if older {
            format!("{{{{ values.downloadserver }}}}/harvester/{{{{ values.version }}}}/{name}")
        } else {
            let version = "{{ values.version }}";
            let name = match name {
                "rootfs.squashfs" => "rootfs-amd64.squashfs".to_owned(),
                name => format!("{name}-amd64"),
            };
            format!(
                "{{{{ values.downloadserver }}}}/harvester/{version}/harvester-{version}-{name}"
            )
        }
    };
    let (kernel, rootfs, initrd) = (file("vmlinuz"), file("rootfs.squashfs"), file("initrd"));
    format!(
        "#!ipxe\n\
         kernel {kernel} ip={{{{ values.ipaddress }}}}::{{{{ values.gateway }}}}:{{{{ values.netmask }}}}:harvester:{{{{ values.interface }}}}:off \
         rd.cos.disable rd.noverifyssl root=live:{rootfs} console=ttyS0 console=tty1 harvester.install.automatic=true \
         harvester.install.config_url={{{{ config }}}} net.ifnames=1\n\
         initrd {initrd}\n\
         boot\n"
    )
}

fn write(
    reader: &Reader<'_, '_>,
    data: &Map<String, Value>,
    machines: Vec<Machine>,
    out: &mut Converted,
) {
    let downloads = data.get("downloadserver").and_then(Value::as_str);
    let older = downloads.is_none();
    if older {
        let at = reader.at(&[]);
        out.diagnostics.push(say::phs_older(at, OLDER_DOWNLOADS));
    }
    let server = match data.get("server").and_then(Value::as_str) {
        Some(server) => server,
        None if older => OLDER_DOWNLOADS,
        None => "",
    };
    out.rewrites.push(format!(
        "{}: `{server}:10000/config/…` is now `{{{{ config }}}}`",
        reader.path
    ));
    let mut profile = Profile {
        comments: vec![format!(
            "From {}: what the server had in its code.",
            reader.path
        )],
        name: "harvester".to_owned(),
        script: Some("/scripts/harvester.ipxe".to_owned()),
        configs: vec![Config {
            name: "config",
            file: "/harvester/config.json".to_owned(),
            content_type: None,
            template: None,
        }],
        values: Map::new(),
    };
    let downloads = downloads.unwrap_or(OLDER_DOWNLOADS);
    profile
        .values
        .insert("downloadserver".to_owned(), downloads.into());
    // What a machine leaves out, the original prints as nothing.
    for key in PRINTED.into_iter().chain(["config"]) {
        if machines
            .iter()
            .any(|machine| !machine.values.contains_key(key))
        {
            let nothing = if key == "config" {
                Value::Null
            } else {
                Value::from("")
            };
            profile.values.insert(key.to_owned(), nothing);
        }
    }
    out.add("scripts/harvester.ipxe", script(older));
    out.add("harvester/config.json", "{{ values.config|tojson }}\n");
    out.add("profiles/harvester.yaml", profile.to_yaml());
    let mut taken = Names::default();
    for (title, machines) in clusters(data, machines) {
        let name = taken.take(&title);
        let assignment = assignment(reader.path, &name, machines);
        out.add(&format!("assignments/{name}.yaml"), assignment.to_yaml());
    }
}

/// Machines with one configuration belong together; the name comes from the list of configurations, if it is there.
fn clusters(data: &Map<String, Value>, machines: Vec<Machine>) -> Vec<(String, Vec<Machine>)> {
    let mut clusters: Vec<(String, Value, Vec<Machine>)> = Vec::new();
    for machine in machines {
        let config = machine.values.get("config").cloned().unwrap_or_default();
        let known = clusters.iter_mut().find(|(_, one, _)| *one == config);
        match known {
            Some((_, _, members)) => members.push(machine),
            None => clusters.push((title(data, &machine, &config), config, vec![machine])),
        }
    }
    clusters
        .into_iter()
        .map(|(title, _, members)| (title, members))
        .collect()
}

fn title(data: &Map<String, Value>, machine: &Machine, config: &Value) -> String {
    let listed = data.get("config").and_then(Value::as_array);
    for cluster in listed.into_iter().flatten() {
        let name = cluster.get("cluster").and_then(Value::as_str);
        for (field, mode) in [("config_create", "create"), ("config_join", "join")] {
            if let Some(name) = name.filter(|_| cluster.get(field) == Some(config)) {
                return format!("{name}-{mode}");
            }
        }
    }
    match machine.values.get("type").and_then(Value::as_str) {
        Some(mode) if !mode.is_empty() => format!("harvester-{mode}"),
        _ => "harvester".to_owned(),
    }
}

/// What all machines have goes into the Assignment, the rest stays with the machine.
fn assignment(path: &RepoPath, name: &str, machines: Vec<Machine>) -> Assignment {
    let mut common = machines
        .first()
        .map(|machine| machine.values.clone())
        .unwrap_or_default();
    common.retain(|key, value| {
        let mut others = machines.iter();
        others.all(|machine| machine.values.get(key) == Some(value))
    });
    let own = |machine: Machine| {
        let mut values = machine.values;
        values.retain(|key, _| !common.contains_key(key));
        (machine.mac, values)
    };
    Assignment {
        comments: vec![format!("From {path}.")],
        name: name.to_owned(),
        profile: "harvester".to_owned(),
        machines: machines.into_iter().map(own).collect(),
        values: common,
        ..Assignment::default()
    }
}
