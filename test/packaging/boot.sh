#!/bin/sh
# boot.sh NAME ROOT: boots the systemd of ROOT in pid, mount, uts, ipc, net and cgroup namespaces of its own, with a layer in memory above ROOT, which
# stays as it is, and its own /run, /tmp and /dev. It has a control group of its own below the present one, in the hierarchies that systemd uses.
set -eu
for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do
  [ -e "$hierarchy/cgroup.procs" ] || continue
  mkdir "$hierarchy/$1"
  echo $$ > "$hierarchy/$1/cgroup.procs"
done
export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
# With whoever started this ends unshare, with it the first process of another namespace of processes, and so everything in there.
exec setpriv --pdeathsig KILL unshare --pid --fork --kill-child --mount-proc systemd-nspawn --quiet --register=no --keep-unit --machine="$1" --directory="$2" --volatile=overlay \
  --private-network --resolv-conf=off --timezone=off --link-journal=no --console=pipe --boot < /dev/null
