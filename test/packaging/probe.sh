#!/bin/sh
# What a service may do under the unit's lines: `NAME=allowed` or `NAME=refused`, a line each. It ends as one that runs once.
try() {
  name=$1
  shift
  if "$@" >/dev/null 2>&1; then echo "$name=allowed"; else echo "$name=refused"; fi
}
field() { sed -n "s/^$1:[[:space:]]*//p" /proc/self/status; }
echo "user=$(id -un) $(id -gn)"
echo "capabilities=$(field CapEff) $(field CapBnd)"
echo "no-new-privileges=$(field NoNewPrivs)"
echo "umask=$(umask)"
echo "processors=$(field Cpus_allowed_list)"
temporary=/tmp
try private-tmp test -e "$temporary/marker"
try devices test -e /dev/net/tun
try other-processes test -e /proc/1
try memory-facts test -e /proc/meminfo
try kernel-settings test -w /proc/sys/kernel/hostname
try system-files touch /usr/marker
try configuration touch /etc/spooky/marker
try state touch /var/lib/spooky/marker
try logs touch /var/log/spooky/marker
try runtime touch /run/spooky/marker
try homes ls /root
try host-name hostname other
try control-groups mkdir /sys/fs/cgroup/marker
try sys-files touch /sys/kernel/marker
try netlink ip link
try namespaces unshare --user true
try realtime chrt --fifo 1 true
try priority renice -n -5 -p $$
try affinity taskset --pid --cpu-list 0 $$
try personality setarch --addr-no-randomize true
try set-user-id chmod u+s /var/log/spooky/marker
try own-mode chmod 600 /var/log/spooky/marker
try mounts mount -t tmpfs none /tmp
try root-change chroot / true
rm -f /var/log/spooky/marker /run/spooky/marker
