//! `deploy/kubernetes/`: what kustomize and Helm render is what the API takes, both render the same, and the real binary
//! runs with it.

mod front_door;
mod pages;
mod rendered;
mod tools;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use rendered::{Rendered, VALUES, chart};

/// The oldest and the newest version whose schemas manifests are held to; the chart's `kubeVersion` says 1.27, of which
/// there are no strict ones.
const API_VERSIONS: [&str; 2] = ["1.28", "1.37"];

/// What operators define; their types are checked by themselves.
const CUSTOM: [(&str, &str); 3] = [
    ("Certificate", "cert-manager/cert-manager.io/v1"),
    (
        "PrometheusRule",
        "prometheus-operator/monitoring.coreos.com/v1",
    ),
    (
        "ServiceMonitor",
        "prometheus-operator/monitoring.coreos.com/v1",
    ),
];

#[test]
fn the_api_takes_what_is_rendered_and_refuses_what_is_misspelt() {
    let validator = tools::validator();
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("rendered.yaml");
    for rendered in Rendered::all() {
        for version in API_VERSIONS {
            fs::write(&file, &rendered.text).unwrap();
            let args = ["--strict", "-k", version, file.to_str().unwrap()];
            let said = tools::run(Path::new("/"), &validator, &args);
            let lines: Vec<&str> = said.lines().collect();
            assert_eq!(
                lines.len(),
                rendered.documents.len(),
                "{}: {said}",
                rendered.name
            );
            for line in lines {
                let is_custom = CUSTOM
                    .iter()
                    .any(|(kind, _)| line.contains(&format!("find schema for kind {kind} ")));
                assert!(
                    line.contains(" passed ") || is_custom,
                    "{}: {line}",
                    rendered.name
                );
            }
        }
    }
    let misspelt = Rendered::all()[0]
        .text
        .replace("readinessProbe", "readynessProbe");
    fs::write(&file, misspelt).unwrap();
    let args = ["--strict", file.to_str().unwrap()];
    let (good, said, _) = tools::attempt(Path::new("/"), &validator, &args);
    assert!(!good && said.contains("readynessProbe"), "{said}");
}

#[test]
fn operators_take_their_resources_and_refuse_misspelt_ones() {
    let models = tools::models();
    let mut sources = String::new();
    for (kind, path) in CUSTOM {
        writeln!(
            sources,
            "import {{ {kind}, type I{kind} }} from \"@kubernetes-models/{path}/{kind}\";"
        )
        .unwrap();
    }
    let mut count = 0;
    for rendered in Rendered::all() {
        for (kind, _) in CUSTOM {
            for document in rendered.of_kind(kind) {
                writeln!(
                    sources,
                    "const c{count}: I{kind} = {document};\nnew {kind}(c{count}).validate();"
                )
                .unwrap();
                count += 1;
            }
        }
    }
    assert_eq!(count, 6, "of each kind two");
    let compile = |name: &str, sources: &str| {
        fs::write(models.join(name), sources).unwrap();
        let args =
            "--strict --skipLibCheck --module nodenext --moduleResolution nodenext --target es2022";
        let args: Vec<&str> = args.split(' ').chain([name]).collect();
        tools::attempt(&models, models.join("node_modules/.bin/tsc"), &args)
    };
    let (good, said, _) = compile("resources.ts", &sources);
    assert!(good, "{said}");
    tools::run(&models, "node", &["resources.js"]);
    for field in ["renewBefore", "interval", "expr"] {
        let misspelt = sources.replacen(&format!("\"{field}\":"), &format!("\"{field}s\":"), 1);
        let (good, said, _) = compile("misspelt.ts", &misspelt);
        assert!(
            !good && said.contains(&format!("'\"{field}s\"' does not exist")),
            "{said}"
        );
    }
}

#[test]
fn helm_likes_the_chart() {
    for values in VALUES {
        let mut args = vec!["lint", "--strict", "."];
        args.extend(values.iter().flat_map(|values| ["--values", values]));
        let said = tools::run(&chart(), tools::helm(), &args);
        assert!(
            said.contains("1 chart(s) linted, 0 chart(s) failed"),
            "{said}"
        );
        assert!(
            !said.contains("WARNING") && !said.contains("ERROR"),
            "{said}"
        );
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/deploy/kubernetes/lint.py");
    let args = [script, tools::helm4(), chart()];
    let said = tools::run(Path::new("/"), "python3", &args);
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (&said["TotalChartsLinted"], &said["Errors"]),
        (&1.into(), &Value::Null)
    );
    // 1 is information: there is no icon.
    let messages = said["Messages"].as_array().unwrap();
    assert!(
        messages.iter().all(|message| message["Severity"] == 1),
        "{said:#}"
    );
}

#[test]
fn the_chart_has_the_version_of_the_program() {
    let text = fs::read_to_string(chart().join("Chart.yaml")).unwrap();
    let chart: Value = serde_yaml::from_str(&text).unwrap();
    assert_eq!(chart["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
    for rendered in Rendered::all() {
        let image = rendered.container()["image"].as_str().unwrap();
        assert!(
            image.ends_with(concat!("gitboot:", env!("CARGO_PKG_VERSION"))),
            "{image}"
        );
    }
}

#[test]
fn the_chart_refuses_values_that_it_does_not_know() {
    for wrong in [
        "servce.port=80",
        "service.type=Loadbalancer",
        "settings.GIT_REF=main",
        "secrets.git=token",
        "image.tag=",
    ] {
        let args = [
            "template",
            "gitboot",
            ".",
            "--kube-version=1.32.0",
            "--set",
            wrong,
        ];
        let (good, _, said) = tools::attempt(&chart(), tools::helm(), &args);
        // The last one is right.
        assert_eq!(good, wrong == "image.tag=", "{wrong}: {said}");
    }
}

#[test]
fn settings_of_the_chart_become_variables() {
    let more = [
        "--set=settings.max-files=100000000",
        "--set=settings.retain=0",
        "--set=settings.drain=null",
        "--set=settings.label={site=a,row=b}",
        "--set=settings.allow-empty=true",
    ];
    let env = Rendered::helm(None, &more).env();
    assert_eq!(env["GITBOOT_MAX_FILES"], "100000000");
    assert_eq!(env["GITBOOT_RETAIN"], "0");
    assert_eq!(env["GITBOOT_LABEL"], "site=a\nrow=b");
    assert_eq!(env["GITBOOT_ALLOW_EMPTY"], "true");
    assert!(!env.contains_key("GITBOOT_DRAIN"));
}

#[test]
fn the_chart_is_the_base_and_with_other_values_the_production_overlay() {
    for (overlay, values) in [
        ("base", None),
        ("overlays/production", Some("ci/production-values.yaml")),
    ] {
        let one = comparable(&Rendered::kustomize(overlay));
        let other = comparable(&Rendered::helm(values, &[]));
        let names = |all: &BTreeMap<_, _>| all.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&one), names(&other), "{overlay}");
        for (name, document) in one {
            let other = &other[&name];
            assert!(
                document == *other,
                "{name:?} of {overlay}: {document:#}\nand of the chart: {other:#}"
            );
        }
    }
}

/// Objects by kind and name, without what only one of the tools writes, lists in one order.
fn comparable(rendered: &Rendered) -> BTreeMap<(String, String), Value> {
    let mut all = BTreeMap::new();
    for document in &rendered.documents {
        let is_test = !document["metadata"]["annotations"]["helm.sh/hook"].is_null();
        if is_test || document["kind"] == "Namespace" {
            continue;
        }
        let mut document = document.clone();
        let metadata = document["metadata"].as_object_mut().unwrap();
        metadata.remove("namespace");
        if let Some(labels) = metadata.get_mut("labels").and_then(Value::as_object_mut) {
            for tools_own in [
                "helm.sh/chart",
                "app.kubernetes.io/version",
                "app.kubernetes.io/managed-by",
            ] {
                labels.remove(tools_own);
            }
            if ["ConfigMap", "PrometheusRule"]
                .iter()
                .any(|kind| document["kind"] == *kind)
            {
                // Those of deploy/monitoring/ may be applied by themselves.
                document["metadata"]["labels"]
                    .as_object_mut()
                    .unwrap()
                    .remove("app.kubernetes.io/instance");
            }
        }
        sort(&mut document);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let name = (text(&document["kind"]), text(&document["metadata"]["name"]));
        assert!(all.insert(name, document).is_none());
    }
    all
}

/// Brings named things of lists into the order of their names.
fn sort(value: &mut Value) {
    match value {
        Value::Array(all) => {
            all.iter_mut().for_each(sort);
            if all.iter().all(|one| one["name"].is_string()) {
                all.sort_by_key(|one| one["name"].as_str().map(str::to_owned));
            }
        }
        Value::Object(fields) => fields.values_mut().for_each(sort),
        _ => {}
    }
}

#[test]
fn all_that_manifests_name_is_there() {
    let help = Command::new(env!("CARGO_BIN_EXE_gitboot"))
        .args(["serve", "--help"])
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let words: BTreeSet<&str> = help
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'))
        .collect();
    for rendered in Rendered::all() {
        let (name, pod, container) = (&rendered.name, rendered.pod(), rendered.container());
        assert_eq!(container["args"], serde_json::json!(["serve"]));
        let mounts = named(&container["volumeMounts"], "mountPath");
        let volumes = named(&pod["volumes"], "name");
        for mount in container["volumeMounts"].as_array().unwrap() {
            assert!(
                volumes.contains(mount["name"].as_str().unwrap()),
                "{name}: {mount}"
            );
        }
        let env = rendered.env();
        for (variable, value) in &env {
            let flag = variable.strip_prefix("GITBOOT_").unwrap();
            let flag = format!("--{}", flag.to_lowercase().replace('_', "-"));
            assert!(
                words.contains(flag.as_str()),
                "{name}: {flag} is no flag of serve"
            );
            if value.starts_with('/') {
                let below = |mount: &String| value.starts_with(&format!("{mount}/"));
                assert!(mounts.iter().any(below), "{name}: {value} is on no volume");
            }
        }
        let ports = named(&container["ports"], "name");
        let number = |name: &str| {
            let all = container["ports"].as_array().unwrap().iter();
            let port = all
                .filter(|port| port["name"] == name)
                .map(|port| &port["containerPort"]);
            port.map(|port| format!("[::]:{port}")).next()
        };
        assert_eq!(
            number("boot").unwrap(),
            "[::]:8080",
            "the default of --listen"
        );
        assert_eq!(number("ops").as_ref(), env.get("GITBOOT_OPS_LISTEN"));
        assert_eq!(number("boot-tls").as_ref(), env.get("GITBOOT_TLS_LISTEN"));
        let mut targets: Vec<&Value> = Vec::new();
        for probe in ["readinessProbe", "livenessProbe"] {
            targets.push(&container[probe]["httpGet"]["port"]);
        }
        for service in rendered.of_kind("Service") {
            let all = service["spec"]["ports"].as_array().unwrap();
            targets.extend(all.iter().map(|port| &port["targetPort"]));
            let selector = service["spec"]["selector"].as_object().unwrap();
            let labels = &rendered.deployment()["spec"]["template"]["metadata"]["labels"];
            assert!(
                selector.iter().all(|(key, value)| labels[key] == *value),
                "{name}"
            );
        }
        for target in targets {
            assert!(
                ports.contains(target.as_str().unwrap()),
                "{name}: no port {target}"
            );
        }
    }
}

/// The values of one field of all things of a list.
fn named(list: &Value, field: &str) -> BTreeSet<String> {
    let all = list.as_array().unwrap().iter();
    all.map(|one| one[field].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn pods_are_as_restricted_as_they_can_be_and_end_in_time() {
    for rendered in Rendered::all() {
        let (name, pod, container) = (&rendered.name, rendered.pod(), rendered.container());
        assert_eq!(pod["automountServiceAccountToken"], false, "{name}");
        assert_eq!(pod["enableServiceLinks"], false, "{name}");
        let security = &pod["securityContext"];
        assert_eq!(security["runAsNonRoot"], true, "{name}");
        assert_eq!(security["runAsUser"], 65532, "{name}");
        assert_eq!(security["fsGroup"], security["runAsGroup"], "{name}");
        assert_eq!(
            security["seccompProfile"]["type"], "RuntimeDefault",
            "{name}"
        );
        let security = &container["securityContext"];
        assert_eq!(security["readOnlyRootFilesystem"], true, "{name}");
        assert_eq!(security["allowPrivilegeEscalation"], false, "{name}");
        assert_eq!(
            security["capabilities"]["drop"],
            serde_json::json!(["ALL"]),
            "{name}"
        );
        assert!(
            container["resources"]["requests"]["memory"].is_string(),
            "{name}"
        );
        let env = rendered.env();
        let seconds = |variable: &str| {
            let text = env[variable].strip_suffix('s').unwrap();
            text.parse::<u64>().unwrap()
        };
        let grace = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
        let drain = seconds("GITBOOT_DRAIN_DELAY") + seconds("GITBOOT_DRAIN");
        assert!(
            grace > drain,
            "{name}: {grace} s of grace, {drain} s of draining"
        );
        // Two probes that fail are noticed before connections are turned away.
        let probe = &container["readinessProbe"];
        let noticed =
            probe["periodSeconds"].as_u64().unwrap() * probe["failureThreshold"].as_u64().unwrap();
        let is_lab = name.ends_with("lab");
        assert!(is_lab || noticed < seconds("GITBOOT_DRAIN_DELAY"), "{name}");
        for budget in rendered.of_kind("PodDisruptionBudget") {
            let selector = &rendered.deployment()["spec"]["selector"];
            assert_eq!(budget["spec"]["selector"], *selector, "{name}");
        }
        for volume in pod["volumes"].as_array().unwrap() {
            if volume["secret"].is_object() {
                assert_eq!(volume["secret"]["defaultMode"], 0o440, "{name}: {volume}");
            }
        }
    }
}

#[test]
fn production_has_what_it_takes() {
    let rendered = Rendered::kustomize("overlays/production");
    for kind in [
        "Certificate",
        "HorizontalPodAutoscaler",
        "Namespace",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "PrometheusRule",
        "ServiceAccount",
        "ServiceMonitor",
    ] {
        assert_eq!(rendered.of_kind(kind).len(), 1, "{kind}");
    }
    let scaler = rendered.of_kind("HorizontalPodAutoscaler")[0];
    assert_eq!(scaler["spec"]["minReplicas"], 3);
    // A number here would be put back at every apply.
    assert_eq!(rendered.deployment()["spec"]["replicas"], Value::Null);
    let service = rendered.service("gitboot");
    assert_eq!(service["spec"]["type"], "LoadBalancer");
    assert_eq!(service["spec"]["externalTrafficPolicy"], "Local");
    let certificate = rendered.of_kind("Certificate")[0];
    let volumes = rendered.pod()["volumes"].as_array().unwrap();
    let tls = volumes
        .iter()
        .find(|volume| volume["name"] == "tls")
        .unwrap();
    assert_eq!(
        tls["secret"]["secretName"],
        certificate["spec"]["secretName"]
    );
    let monitor = rendered.of_kind("ServiceMonitor")[0];
    let ops = rendered.service("gitboot-ops");
    let selected = monitor["spec"]["selector"]["matchLabels"]
        .as_object()
        .unwrap();
    for (key, value) in selected {
        assert_eq!(ops["metadata"]["labels"][key], *value);
    }
    let policy = rendered.of_kind("NetworkPolicy")[0].to_string();
    for port in ["\"boot\"", "\"boot-tls\"", "\"ops\""] {
        assert!(policy.contains(port), "{port}");
    }
}
