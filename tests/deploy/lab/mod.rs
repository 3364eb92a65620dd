//! The network side of a lab: the files of `deploy/dhcp/` and `deploy/compose/` with the real dnsmasq, Kea, dhcpd and nginx
//! in network namespaces, asked by a client that says what it likes, and by machines in QEMU: DHCP, TFTP or HTTP, iPXE,
//! kernel. As root, which it needs for namespaces alone: `unshare --user --map-root-user cargo test --test deploy -- lab`.

mod boots;
mod compose;
mod dhcp;
mod network;
mod options;
mod probe;
mod site;
