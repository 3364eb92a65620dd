#!/bin/sh
# A machine in namespaces of its own: a network with one card, a command line, a root folder and a name that nobody else
# sees. A server runs beside it, in the same network. Started by main.rs inside `unshare`; whatever is mounted, named or
# started here goes with it.
#
#   machine.sh WORK MAC QUERY LATE
#
# WORK holds: root/ (the machine's root), repo or, with LATE, repo.later (the repository), steps (commands, one a line),
# gitboot.args; and, if the machine is not to ask for its script, cmdline. After it: server.log, script, cmdline, console.
set -eu
work=$1 mac=$2 query=$3 late=$4
root=$work/root
server=192.0.2.1:8080

# Waits until a file has a line with a text; a server that takes longer than a minute is broken.
wait_for() {
    tries=0
    until grep -q -- "$2" "$1" 2>/dev/null; do
        tries=$((tries + 1))
        [ "$tries" -lt 600 ] || { echo "no $2 in $1" >&2; exit 70; }
        sleep 0.1
    done
}

ip link set lo up
ip addr add 192.0.2.1/32 dev lo
ip link add eth0 address "$mac" type veth peer name switch0

# shellcheck disable=SC2046 # one flag a word
"$GITBOOT" serve --repo "$work/repo" --state-dir none --listen "$server" $(cat "$work/gitboot.args") 2>"$work/server.log" &
gitboot=$!
wait_for "$work/server.log" "listening on"
[ -n "$late" ] || wait_for "$work/server.log" " published "

# What iPXE does: ask for the script, fill in what belongs to iPXE, and start the kernel with the rest of its line.
if [ ! -e "$work/cmdline" ]; then
    curl --silent --show-error --fail --output "$work/script" "http://$server/ipxe?$query"
    dashed=$(echo "$mac" | tr : -)
    sed -n "s/\${mac:hexhyp}/$dashed/g; s/^kernel [^ ]* //p" "$work/script" >"$work/cmdline"
fi

mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/dev"
for device in null zero random urandom; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mount --bind "$work/cmdline" "$root/proc/cmdline"
mkdir -p "$root/run/systemd/system"

if [ -n "$late" ]; then
    (
        wait_for "$work/server.log" "status=503"
        mv "$work/repo.later" "$work/repo"
        kill -HUP "$gitboot"
    ) &
fi

while read -r step; do
    echo "=== $step"
    code=0
    chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin sh -c "$step" </dev/null || code=$?
    echo "=== exit code $code"
done <"$work/steps" >"$work/console" 2>&1
