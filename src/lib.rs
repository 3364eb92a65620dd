//! gitboot serves iPXE boot scripts and configuration files straight from a git repository.
//!
//! It is a compiler with a server at each end. The control plane (`poll`, `source`, `manifest`, `compile`) brings what is
//! served towards what git says; the data plane (`http`, `label`, `snapshot`, `render`) answers machines. They meet in
//! `publish`, at one pointer with one writer. The rooms in reading order, what each may look into, and which foreign crates
//! stay inside one room:
//!
//! | room | may look into | foreign crates that live only here |
//! |---|---|---|
//! | `main` | `cli` | |
//! | `cli/` | `diff`, `explain`, `serve`, `ops`, `poll`, `http`, `tftp`, `publish`, `source`, `state`, `observe`, `import`, `wait`, `health`, `manifest`, `compile`, `diagnostic`, `keyring`, `snapshot`, `render`, `label`, `tree`, `systemd` | `clap`, `clap_complete`, `include_dir`, `clap_mangen` |
//! | `diff/` | `snapshot`, `render`, `template`, `label`, `id`, `tree` | `similar` |
//! | `explain/` | `compile`, `render`, `diagnostic`, `snapshot`, `label`, `tree` | |
//! | `serve/` | `ops`, `poll`, `http`, `tftp`, `publish`, `source`, `state`, `keyring`, `observe`, `manifest`, `compile`, `label`, `render`, `tree`, `systemd`, `pulse` | `rustix` |
//! | `ops/` | `poll`, `explain`, `publish`, `render`, `snapshot`, `label`, `observe`, `file`, `tree` | `hyper`, `hyper_util`, `http_body_util`, `hmac`, `maud`, `sha2` |
//! | `poll/` | `source`, `state`, `keyring`, `compile`, `publish`, `diagnostic`, `snapshot`, `observe`, `tree`, `pulse` | `rand` |
//! | `systemd/` | `poll`, `publish`, `pulse` | `listenfd`, `sd_notify`, `socket2` |
//! | `source/` | `file`, `tree`, `observe` | `gix`, `httpdate`, `jiff`, `reqwest`, `ring`, `rustls`, `ssh_key` |
//! | `keyring` | `compile`, `manifest`, `diagnostic`, `id`, `secret`, `file`, `tree` | |
//! | `state/` | `tree` | `sha2` |
//! | `tree` | | |
//! | `wait` | | `reqwest`, `rustls` |
//! | `health` | | |
//! | `import/` | `manifest`, `diagnostic`, `label`, `tree` | |
//! | `manifest/` | `tree`, `diagnostic`, `label`, `template` | `serde_yaml`, `ignore` |
//! | `diagnostic/` | `tree`, `label`, `template` | `sha2`, `strsim`, `unicode_width` |
//! | `compile/` | `manifest`, `template`, `id`, `label`, `snapshot`, `diagnostic`, `secret`, `tree` | |
//! | `label/` | | |
//! | `id` | | `hmac`, `serde_json_canonicalizer`, `sha2`, `uuid` |
//! | `secret` | | |
//! | `file` | | `nix` |
//! | `template/` | `label`, `secret`, `tree` | `minijinja`, `strsim` |
//! | `snapshot/` | `template`, `label`, `id`, `secret`, `tree` | |
//! | `render` | `snapshot`, `template`, `label`, `id`, `secret`, `tree` | |
//! | `publish/` | `snapshot`, `id`, `diagnostic`, `tree` | `arc_swap` |
//! | `http/` | `publish`, `render`, `snapshot`, `label`, `id`, `observe`, `poll`, `pulse`, `file`, `tree` | `warp`, `hyper`, `hyper_util`, `http_body_util`, `ipnet`, `rustls`, `socket2`, `tokio_rustls`, `x509_parser` |
//! | `tftp/` | `observe` | `nix`, `socket2` |
//! | `observe/` | `label` | `tracing_subscriber`, `prost`, `rand`, `reqwest`, `rustls` |
//! | `pulse` | | |
//!
//! What holds everywhere:
//!
//! 1. `compile` reads no clock, file, network, environment or randomness: same tree, same snapshot, same ids.
//! 2. `manifest` sees one file at a time; only `compile` sees two at once.
//! 3. A user's mistake is a [`diagnostic::Diagnostic`], never an `Err`, never a panic; all mistakes are told, in order.
//! 4. A tree is published whole or not at all, and a published snapshot never changes.
//! 5. One writer; a request loads the publication once, and everything in its answer comes from that.
//! 6. Nothing on the request path does I/O, takes a lock, or costs more when the fleet grows.
//! 7. Nothing a remote, a commit or a machine sends ends the process or blanks what is served.
//! 8. Everything has a named limit with its unit and a reason.
//! 9. A machine gets its own script or an honest error, never a neighbour's, never half of one.
//!
//! `tests/it/architecture.rs` holds the code to the table.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod cli;
pub mod compile;
pub mod diagnostic;
pub mod diff;
pub mod explain;
pub mod file;
pub mod health;
pub mod http;
pub mod id;
pub mod import;
pub mod keyring;
pub mod label;
pub mod manifest;
pub mod observe;
pub mod ops;
pub mod poll;
pub mod publish;
pub mod pulse;
pub mod render;
pub mod secret;
pub mod serve;
pub mod snapshot;
pub mod source;
pub mod state;
pub mod systemd;
pub mod template;
pub mod tftp;
pub mod tree;
pub mod wait;
