//! A fleet of machines, what they ask, and what they have to get.

use std::fmt::Write as _;

/// Machines in one Assignment: a row of racks.
const MACHINES_PER_ASSIGNMENT: usize = 500;
/// Shares no factor with a round number, so that every machine has its turn.
const STRIDE: usize = 7_919;

/// What every machine of the fleet fetches after its script.
pub(crate) const IGNITION: &str = r#"{
  "ignition": {"version": "3.4.0"},
  "passwd": {"users": [{"name": "core", "sshAuthorizedKeys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExampleExampleExampleExampleExampleExampleEx core@lab"]}]},
  "storage": {"files": [
    {"path": "/etc/sysctl.d/10-lab.conf", "contents": {"source": "data:,net.ipv4.ip_forward%3D1%0A"}},
    {"path": "/etc/hostname", "contents": {"source": "data:,worker"}}
  ]},
  "systemd": {"units": [{"name": "containerd.service", "enabled": true}, {"name": "locksmithd.service", "mask": true}]}
}
"#;

const PROFILE: &str = "\
apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata: {name: worker}
spec:
  ipxe: |
    #!ipxe
    kernel {{ values.mirror }}/vmlinuz initrd=main console={{ values.console }} serial={{ labels.serial }} ignition.config.url={{ ignition }}
    initrd --name main {{ values.mirror }}/initrd.img
    boot
  additionalConfig:
    ignition: {file: worker.ign}
  values: {mirror: \"http://mirror.lab.example/flatcar\"}
";

/// So many machines.
#[derive(Clone, Copy)]
pub(crate) struct Fleet {
    pub(crate) machines: usize,
}

impl Fleet {
    /// The repository's files.
    pub(crate) fn files(self) -> Vec<(String, String)> {
        let mut files = vec![
            ("worker.yaml".to_owned(), PROFILE.to_owned()),
            ("worker.ign".to_owned(), IGNITION.to_owned()),
        ];
        let all: Vec<usize> = (0..self.machines).collect();
        for (number, row) in all.chunks(MACHINES_PER_ASSIGNMENT).enumerate() {
            let mut text = format!(
                "apiVersion: gitboot.dev/v1alpha1\nkind: Assignment\nmetadata: {{name: row-{number:05}}}\nspec:\n  \
                 profile: worker\n  values: {{console: ttyS{}}}\n  machines:\n",
                number % 10
            );
            for machine in row {
                let mac = mac(*machine, ":");
                writeln!(text, "    - {{name: m{machine:07}, mac: '{mac}'}}").unwrap();
            }
            files.push((format!("rows/{number:05}.yaml"), text));
        }
        files
    }

    /// The machine whose turn it is.
    pub(crate) fn turn(self, turn: usize) -> Machine {
        Machine(turn.wrapping_mul(STRIDE) % self.machines)
    }
}

/// One of the fleet, by its number.
#[derive(Clone, Copy)]
pub(crate) struct Machine(usize);

impl Machine {
    /// What it asks, with nine labels as `/boot.ipxe` makes iPXE send them.
    pub(crate) fn target(self) -> String {
        let mac = mac(self.0, "-");
        let number = self.0;
        let mut target = format!(
            "/ipxe?uuid=47c6da67-7477-4970-aa03-{number:012x}&mac={mac}&buildarch=x86_64&platform=efi"
        );
        for (key, value) in [
            ("serial", self.serial()),
            ("asset", format!("AT-{number:08}")),
            ("manufacturer", "Dell Inc.".to_owned()),
            ("product", "PowerEdge R650".to_owned()),
            ("hostname", format!("m{number:07}")),
        ] {
            write!(target, "&{key}.hex=").unwrap();
            for byte in value.bytes() {
                write!(target, "{byte:02x}").unwrap();
            }
        }
        target
    }

    /// What it gets, with the URL of its config.
    pub(crate) fn script(self, host: &str, config: &str) -> String {
        format!(
            "#!ipxe\nkernel http://mirror.lab.example/flatcar/vmlinuz initrd=main console=ttyS{} serial={} \
             ignition.config.url=http://{host}{config}\ninitrd --name main http://mirror.lab.example/flatcar/initrd.img\nboot\n",
            self.0 / MACHINES_PER_ASSIGNMENT % 10,
            self.serial(),
        )
    }

    fn serial(self) -> String {
        format!("SN{:08}", self.0)
    }
}

fn mac(machine: usize, separator: &str) -> String {
    let [.., a, b, c] = machine.to_be_bytes();
    let bytes = [0x52, 0x54, 0x00, a, b, c].map(|byte: u8| format!("{byte:02x}"));
    bytes.join(separator)
}
