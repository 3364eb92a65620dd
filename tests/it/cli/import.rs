//! `gitboot import`: what comes over, what is told, and that it renders what the original served.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::source_tree;
use crate::support::fixture::golden;
use crate::support::process::{Ran, run_in};

/// The documented example of matchbox: one node, everybody else, a template of each kind.
const MATCHBOX: &str = r#"//- profiles/etcd.json
{
  "id": "etcd",
  "name": "Flatcar with etcd",
  "cloud_id": "cloud.yaml.tmpl",
  "ignition_id": "worker.ign",
  "generic_id": "setup.cfg",
  "boot": {
    "kernel": "http://mirror.example/flatcar/vmlinuz",
    "initrd": ["--name main http://mirror.example/flatcar/image.cpio.gz", "http://mirror.example/extra.img"],
    "args": [
      "initrd=main",
      "flatcar.config.url=http://matchbox.foo:8080/ignition?uuid=${uuid}&mac=${mac:hexhyp}",
      "flatcar.first_boot=yes",
      "cloud-config-url=http://matchbox.foo:8080/cloud?uuid=${uuid}&mac=${net0/mac:hexhyp}"
    ]
  }
}
//- profiles/memtest.json
{"id": "memtest", "boot": {"kernel": "/assets/memtest.bin", "initrd": [], "args": []}}
//- groups/node1.json
{
  "name": "node1",
  "profile": "etcd",
  "selector": {"mac": "52:54:00:89:D8:10"},
  "metadata": {
    "fleet_metadata": "role=etcd,name=node1",
    "etcd_name": "node1",
    "port": 2379,
    "peers": ["http://node1:2380", "http://node2:2380"],
    "ssh_authorized_keys": ["ssh-ed25519 AAAA ann"],
    "network": {"ip": "192.0.2.1/24", "dns": {"first": "192.0.2.53"}}
  }
}
//- groups/node1-installed.json
{
  "name": "node1, when it is installed",
  "profile": "memtest",
  "selector": {"mac": "52:54:00:89:d8:10", "os": "installed"}
}
//- groups/proxy.json
{
  "name": "etcd-proxy",
  "profile": "etcd",
  "metadata": {
    "fleet_metadata": "role=etcd-proxy",
    "etcd_name": "proxy",
    "port": 2379,
    "peers": [],
    "network": {"ip": "", "dns": {"first": "192.0.2.53"}}
  }
}
//- ignition/worker.ign
{"ignition": {"version": "3.3.0"}, "note": "{{ not a template }}"}
//- cloud/cloud.yaml.tmpl
#cloud-config
write_files:
  - path: /etc/motd
    content: |
      {{.etcd_name}} as {{printf "%s:%v" .etcd_name .port}}
//- generic/setup.cfg
# {{/* selectors, metadata, the request */}}
mac={{.request.query.mac}}
name={{ .etcd_name }} ${HOME}
fleet={{.fleet_metadata}}
dns={{.network.dns.first}}
{{- if index . "ssh_authorized_keys" }}
keys:
{{- range $element := .ssh_authorized_keys }}
  - {{$element}}
{{- end }}
{{- end }}
{{range $i, $peer := .peers}}peer{{$i}}={{$peer}}
{{else}}no peers
{{end}}{{with .network.ip}}ip={{.}}{{else}}dhcp{{end}}
"#;

/// A file for each `//- path`.
fn write(folder: &Path, text: &str) {
    for part in text.split("//- ").skip(1) {
        let (path, body) = part.split_once('\n').unwrap();
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, body).unwrap();
    }
}

/// All files below a folder, as they are written above.
fn written(folder: &Path) -> String {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(one) = folders.pop() {
        for entry in fs::read_dir(one).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                files.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    let files = files
        .iter()
        .map(|(name, text)| format!("//- {name}\n{text}"));
    files.collect()
}

/// Imports a fixture into `out` of a folder that is given back.
fn import(server: &str, source: &str, text: &str) -> (tempfile::TempDir, Ran) {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("original"), text);
    let source = format!("original/{source}");
    let ran = run_in(
        folder.path(),
        &["import", server, &source, "--out", "out"],
        &[],
    );
    (folder, ran)
}

fn render(folder: &tempfile::TempDir, args: &[&str]) -> Ran {
    run_in(folder.path(), &[&["render"], args, &["out"]].concat(), &[])
}

/// A script with the addresses of configs replaced by a word.
fn without_ids(script: &str) -> String {
    let mut parts = script.split("http://gitboot.invalid/config/");
    let mut text = parts.next().unwrap().to_owned();
    for part in parts {
        text.push_str("URL");
        text.push_str(&part[36..]);
    }
    text
}

fn golden_import(name: &str, folder: &tempfile::TempDir, ran: &Ran) {
    let made = format!(
        "exit code {}\n--- stdout\n{}--- stderr\n{}--- files\n{}",
        ran.code.unwrap(),
        ran.stdout,
        ran.stderr,
        written(&folder.path().join("out"))
    );
    let path = source_tree().join("tests/golden/import").join(name);
    golden(&path, &made);
}

#[test]
fn matchbox_serves_the_same_from_manifests() {
    let (folder, ran) = import("matchbox", "", MATCHBOX);
    golden_import("matchbox.txt", &folder, &ran);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(
        run_in(folder.path(), &["validate", "out"], &[]).code,
        Some(0)
    );
    // The script as matchbox's own template makes it, but for the addresses.
    let script = "#!ipxe\n\
        kernel http://mirror.example/flatcar/vmlinuz initrd=main flatcar.config.url=URL flatcar.first_boot=yes \
        cloud-config-url=URL\n\
        initrd --name main http://mirror.example/flatcar/image.cpio.gz\n\
        initrd http://mirror.example/extra.img\n\
        boot\n";
    for label in ["mac=52-54-00-89-d8-10", "mac=52:54:00:00:00:99"] {
        assert_eq!(
            without_ids(&render(&folder, &["--label", label]).stdout),
            script
        );
    }
    let config = |mac: &str, name: &str| {
        let ran = render(&folder, &["--label", mac, "--config", name]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran.stdout
    };
    let (node, other) = ("mac=52:54:00:89:d8:10", "mac=52:54:00:00:00:99");
    // What Go prints for these templates with these groups.
    assert_eq!(
        config(node, "generic"),
        "# \nmac=52:54:00:89:d8:10\nname=node1 ${HOME}\nfleet=role=etcd,name=node1\ndns=192.0.2.53\nkeys:\n  - ssh-ed25519 AAAA ann\n\
         peer0=http://node1:2380\npeer1=http://node2:2380\nip=192.0.2.1/24\n"
    );
    assert_eq!(
        config(other, "generic"),
        "# \nmac=52:54:00:00:00:99\nname=proxy ${HOME}\nfleet=role=etcd-proxy\ndns=192.0.2.53\nno peers\ndhcp\n"
    );
    assert_eq!(
        config(node, "cloud"),
        "#cloud-config\nwrite_files:\n  - path: /etc/motd\n    content: |\n      node1 as node1:2379\n"
    );
    assert_eq!(
        config(node, "ignition"),
        "{\"ignition\": {\"version\": \"3.3.0\"}, \"note\": \"{{ not a template }}\"}\n"
    );
    let installed = render(&folder, &["--label", node, "--label", "os=installed"]);
    assert_eq!(
        installed.stdout,
        "#!ipxe\nkernel /assets/memtest.bin\nboot\n"
    );
}

#[test]
fn what_cannot_be_converted_is_told_and_served_to_nobody() {
    let text = r#"//- profiles/butane.json
{"id": "butane", "ignition_id": "worker.yaml", "boot": {"kernel": "http://m/k", "args": ["x=http://mb:8080/ignition?mac=${mac:hexhyp}"]}}
//- profiles/second.json
{"id": "second", "ignition_id": "w.ign", "boot": {"kernel": "http://m/k", "args": ["x=http://mb:8080/ignition?mac=${mac}&os=installed"]}}
//- profiles/meta.json
{"id": "meta", "generic_id": "good.txt", "boot": {"kernel": "http://m/k", "args": ["x=http://mb:8080/metadata?mac=${mac}"]}}
//- profiles/bad-template.json
{"id": "bad-template", "generic_id": "bad.txt", "boot": {"kernel": "http://m/k"}}
//- groups/a.json
{"profile": "butane", "selector": {"serial": "A"}}
//- groups/b.json
{"profile": "second", "selector": {"serial": "B"}}
//- groups/c.json
{"profile": "meta", "selector": {"serial": "C"}, "metadata": {"name": "c"}}
//- groups/d.json
{"profile": "bad-template", "selector": {"serial": "D"}, "metadata": {"list": ["x"]}}
//- groups/e.json
{"profile": "nobody", "selector": {"serial": "E"}}
//- groups/f.json
{"profile": "meta", "selector": {"uuid": "a1b2c3d4"}, "metadata": {"name": "f"}}
//- groups/g.json
{"profile": "meta", "selector": {"serial": "C"}, "metadata": {"name": "g"}}
//- groups/broken.json
{"profile": "meta",}
//- groups/default.json
{"profile": "meta", "metadata": {"name": "default", "size": 10000000}}
//- ignition/worker.yaml
variant: flatcar
//- ignition/w.ign
{"ignition": {"version": "3.3.0"}}
//- generic/good.txt
{{.name}}
//- generic/bad.txt
{{.list}}
curl "{{.ignition_endpoint}}?{{.request.raw_query}}&os=installed"
{{template "other"}}
"#;
    let (folder, ran) = import("matchbox", "", text);
    golden_import("left-out.txt", &folder, &ran);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert_eq!(
        run_in(folder.path(), &["validate", "out"], &[]).code,
        Some(0)
    );
    // Half a boot is none, and the default is for others.
    for serial in ["A", "B", "C", "E"] {
        let ran = render(&folder, &["--label", &format!("serial={serial}")]);
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (Some(3), ""),
            "{serial}: {ran:?}"
        );
    }
    let ran = render(&folder, &["--label", "serial=C", "--config", "generic"]);
    assert_eq!(ran.stdout, "c\n");
}

#[test]
fn groups_that_meet_rank_as_in_matchbox() {
    let text = r#"//- profiles/p.json
{"id": "p", "generic_id": "name.txt"}
//- generic/name.txt
{{.name}}
//- groups/a.json
{"profile": "p", "selector": {"hostname": "x"}, "metadata": {"name": "a"}}
//- groups/b.json
{"profile": "p", "selector": {"domain": "y"}, "metadata": {"name": "b"}}
//- groups/c.json
{"profile": "p", "selector": {"domain": "y", "hostname": "x", "serial": "S"}, "metadata": {"name": "c"}}
//- groups/d.json
{"profile": "p", "selector": {"domain": "y", "hostname": "z"}, "metadata": {"name": "d"}}
//- groups/e.json
{"profile": "p", "selector": {"mac": "52:54:00:00:00:01"}, "metadata": {"name": "e"}}
"#;
    let (folder, ran) = import("matchbox", "", text);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let told: Vec<_> = ran
        .stderr
        .lines()
        .filter(|line| line.contains("[import-rank]"))
        .collect();
    assert_eq!(
        told,
        [
            "groups/d.json:1:18: warning[import-rank]: machines that this group shares with `e` get the latter from gitboot"
        ]
    );
    for (labels, name) in [
        (&["hostname=x"][..], "a"),
        (&["domain=y"], "b"),
        // As many selectors: the pair that comes first as text.
        (&["hostname=x", "domain=y"], "b"),
        (&["hostname=x", "domain=y", "serial=S"], "c"),
        (&["hostname=z", "domain=y"], "d"),
        (&["hostname=q", "mac=52:54:00:00:00:01"], "e"),
    ] {
        let labels: Vec<&str> = labels.iter().flat_map(|one| ["--label", one]).collect();
        let ran = render(&folder, &[&labels[..], &["--config", "generic"]].concat());
        assert_eq!(ran.stdout, format!("{name}\n"), "{labels:?}: {ran:?}");
    }
}

/// The documented example of the Harvester PXE server, shortened.
const PHS: &str = r#"//- data.yaml
server: http://192.168.178.6
downloadserver: https://releases.rancher.com
config:
  - cluster: location_X
    config_create: &location_X_create
      token: d506621a3d4acdf60d62475f1b2cb681
      os:
        hostname: harvester01
        ssh_authorized_keys:
          - github:your_username
      install:
        mode: create
        networks:
          harvester-mgmt:
            interfaces:
              - name: enp1s0
            method: dhcp
        poweroff: false
    config_join: &location_X_join
      server_url: https://192.168.178.41:8443
      token: d506621a3d4acdf60d62475f1b2cb681
      install:
        mode: join
        device: /dev/vda
maclist:
# harvester v0.2.0
- macaddress: 52:54:00:52:cb:c1
  values:
    ipaddress: 192.168.178.31
    netmask: 255.255.255.0
    gateway: 192.168.178.1
    interface: enp1s0
    version: "v0.2.0"
    type: create
    config:
      << : *location_X_create
- macaddress: 52:54:00:7d:1a:a2
  values: &join
    ipaddress: 192.168.178.32
    netmask: 255.255.255.0
    gateway: 192.168.178.1
    interface: enp1s0
    version: "v0.2.0"
    type: join
    config:
      << : *location_X_join
- macaddress: 52-54-00-31-3E-B8
  values:
    <<: *join
    ipaddress: 192.168.178.33
"#;

#[test]
fn the_harvester_server_serves_the_same_from_manifests() {
    let (folder, ran) = import("phs", "data.yaml", PHS);
    golden_import("phs.txt", &folder, &ran);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    let strict = run_in(folder.path(), &["validate", "--strict", "out"], &[]);
    assert_eq!(strict.code, Some(0), "{strict:?}");
    for (mac, address) in [
        ("52:54:00:52:cb:c1", "192.168.178.31"),
        ("52:54:00:7d:1a:a2", "192.168.178.32"),
        ("52:54:00:31:3e:b8", "192.168.178.33"),
    ] {
        let files = "https://releases.rancher.com/harvester/v0.2.0/harvester-v0.2.0";
        let script = format!(
            "#!ipxe\nkernel {files}-vmlinuz-amd64 ip={address}::192.168.178.1:255.255.255.0:harvester:enp1s0:off rd.cos.disable \
             rd.noverifyssl root=live:{files}-rootfs-amd64.squashfs console=ttyS0 console=tty1 \
             harvester.install.automatic=true harvester.install.config_url=URL net.ifnames=1\n\
             initrd {files}-initrd-amd64\nboot\n"
        );
        let ran = render(&folder, &["--label", &format!("mac={mac}")]);
        assert_eq!(without_ids(&ran.stdout), script);
    }
    let ran = render(
        &folder,
        &["--label=mac=52:54:00:31:3e:b8", "--config=config"],
    );
    assert_eq!(
        ran.stdout,
        "{\"install\":{\"device\":\"/dev/vda\",\"mode\":\"join\"},\"server_url\":\"https://192.168.178.41:8443\",\
         \"token\":\"d506621a3d4acdf60d62475f1b2cb681\"}\n"
    );
}

#[test]
fn odd_data_of_the_harvester_server_are_told() {
    let text = "//- data.yaml\nmaclist:\n- macaddress: nonsense\n  values: {}\n- macaddress: 52:54:00:00:00:01\n  values:\n    \
        version: 1.4\n- macaddress: 52:54:00:00:00:02\n  values:\n    version: old\n    config: {poweroff: yes, quoted: \"no\"}\n\
        - macaddress: 52:54:00:00:00:02\n  values: {version: new}\n- 7\n";
    let (folder, ran) = import("phs", "data.yaml", text);
    golden_import("phs-odd.txt", &folder, &ran);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    let ran = render(&folder, &["--label=mac=52:54:00:00:00:02"]);
    assert!(
        ran.stdout
            .contains("/harvester/new/vmlinuz ip=::::harvester::off "),
        "{ran:?}"
    );
    let (folder, ran) = import(
        "phs",
        "data.yaml",
        "//- data.yaml\nmaclist:\n- values: *nothing\n",
    );
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{ran:?}");
    assert!(
        ran.stderr
            .starts_with("data.yaml:2:11: error[yaml-syntax]: "),
        "{ran:?}"
    );
    assert!(!folder.path().join("out").exists());
}

#[test]
fn nothing_is_overwritten() {
    let (folder, ran) = import("matchbox", "", MATCHBOX);
    assert_eq!(ran.code, Some(0));
    let before = written(&folder.path().join("out"));
    let again = ["import", "matchbox", "original", "--out", "out"];
    let ran = run_in(folder.path(), &again, &[]);
    assert_eq!(
        (ran.code, ran.stderr.as_str()),
        (Some(64), "error: --out: `out` is not empty\n")
    );
    assert_eq!(written(&folder.path().join("out")), before);
    // A folder that is there, with nothing of somebody's in it, takes the same files.
    fs::create_dir_all(folder.path().join("repo/.git")).unwrap();
    let ran = run_in(
        &folder.path().join("repo"),
        &["import", "matchbox", "../original", "--out", "."],
        &[],
    );
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(written(&folder.path().join("repo")), before);
    let names: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|one| one.unwrap().file_name())
        .collect();
    assert_eq!(names.len(), 3, "{names:?}");
}

#[test]
fn what_is_no_folder_of_matchbox_is_told() {
    let (folder, ran) = import("matchbox", "", "//- assets/x\n");
    assert_eq!(ran.code, Some(64), "{ran:?}");
    assert!(!folder.path().join("out").exists());
    let (_folder, ran) = import("matchbox", "missing", "//- groups/x\n");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let (_folder, ran) = import("phs", "missing.yaml", "//- groups/x\n");
    assert_eq!(ran.code, Some(1), "{ran:?}");
}

/// The text of the fenced blocks of one language in the README's section about tables in SQL.
fn from_readme(language: &str) -> String {
    let readme = fs::read_to_string(source_tree().join("README.md")).unwrap();
    let (_, section) = readme.split_once("### Coming from a table in SQL").unwrap();
    let (_, block) = section.split_once(&format!("```{language}\n")).unwrap();
    block.split_once("```").unwrap().0.to_owned()
}

/// Runs SQL on a new SQLite database, by its own program or by Python's module: one of the two is everywhere.
fn sqlite(sql: &str) -> String {
    const PYTHON: &str = "import sqlite3, sys\nparts = sys.stdin.read().split(';')\ndb = sqlite3.connect(':memory:')\n\
        for part in parts:\n    for row in db.execute(part): print(row[0])";
    for (program, args) in [("sqlite3", &[":memory:"][..]), ("python3", &["-c", PYTHON])] {
        let child = Command::new(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let Ok(mut child) = child else { continue };
        child
            .stdin
            .take()
            .unwrap()
            .write_all(sql.as_bytes())
            .unwrap();
        let ended = child.wait_with_output().unwrap();
        assert!(ended.status.success(), "{program}");
        return String::from_utf8(ended.stdout).unwrap();
    }
    panic!("neither sqlite3 nor python3 is here");
}

#[test]
fn the_recipe_for_tables_works_as_it_stands_in_the_readme() {
    let table = "CREATE TABLE machines (name TEXT, mac TEXT, image TEXT);\n\
        INSERT INTO machines VALUES ('b1', '52:54:00:00:00:0b', 'debian-12'), ('a1', '52-54-00-00-00-0A', 'debian-12'),\n\
        ('m1', '52:54:00:00:00:0c', 'memtest');\n";
    let manifests = sqlite(&format!("{table}{}", from_readme("sql")));
    let profile = from_readme("yaml");
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    file("machines.yaml", &manifests);
    file("debian.yaml", &profile);
    file(
        "memtest.yaml",
        &profile.replace("name: debian-12", "name: memtest"),
    );
    let ran = run_in(folder.path(), &["validate", "--strict"], &[]);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (
            Some(0),
            "ok: 2 Profiles, 2 Assignments, 3 machines, 0 configs\n"
        ),
        "{manifests}{ran:?}"
    );
    let ran = run_in(
        folder.path(),
        &["render", "--label=mac=52:54:00:00:00:0a"],
        &[],
    );
    assert!(ran.stdout.contains("/debian-12/linux"), "{ran:?}");
}
