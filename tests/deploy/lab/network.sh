#!/bin/sh
# A network that nobody else sees: a bridge with this machine as 10.0.2.2, a socket for a machine in QEMU, and two more
# places, "router" (10.0.2.1) and "probe" (10.0.2.9). Started by network.rs inside `unshare`; it ends with its stdin, and
# everything that runs here with it.
#
#   network.sh WORK GITBOOT
#
# WORK gets gitboot, the program; what stands in its folder srv is /srv here.
set -eu
work=$1 gitboot=$2

# Before other folders are hidden: it may be in one of them.
touch "$work/gitboot"
mount --bind "$gitboot" "$work/gitboot"
mount --bind "$work/srv" /srv
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/lib
mkdir -p /run/kea /run/netns /var/lib/dhcp /var/lib/kea /var/lib/misc
touch /var/lib/dhcp/dhcpd.leases

ip link set lo up
ip link add lan type bridge
ip address add 10.0.2.2/24 dev lan
ip link set lan up
ip tuntap add dev machine mode tap
ip link set machine master lan up
for place in router probe; do
    ip netns add "$place"
    ip link add "$place" type veth peer name lan0 netns "$place"
    ip link set "$place" master lan up
    ip -n "$place" link set lo up
    ip -n "$place" link set lan0 up
done
ip -n router address add 10.0.2.1/24 dev lan0
ip -n probe address add 10.0.2.9/24 dev lan0
# Broadcasts to everybody want a way, too.
ip -n probe route add default dev lan0

echo ready
exec cat
