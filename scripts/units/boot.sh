#!/bin/bash
# boot.sh WORK PROJECT NODE: systemd as process 1 of the namespaces that this runs in, over a copy of this machine's files that
# nobody else sees (an overlay in memory). It starts scripts/units/drill.mjs and ends with it.
set -euo pipefail
work=$1 project=$2 node=$3
mount --make-rprivate /
mount -t tmpfs -o size=4g tmpfs "$work"
mkdir "$work/upper" "$work/scratch" "$work/root"
# Folders that are mounted by themselves are not in the overlay of /: the project's is named, and Node's.
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/scratch" "$work/root"
root=$work/root
for folder in "$project" "$(dirname "$node")"; do
  [ "$(stat -c %m "$folder")" = / ] || { mkdir -p "$root$folder"; mount --rbind "$folder" "$root$folder"; }
done
# Nothing of this machine's own services.
rm -rf "$root"/etc/systemd/system "$root"/etc/verbex "$root"/var/lib/verbex
mkdir -p "$root"/etc/systemd/system "$root"/etc/verbex
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mount -t tmpfs tmpfs "$root/dev"
for device in null zero full random urandom tty; do
  touch "$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/shm"
mount -t tmpfs tmpfs "$root/dev/shm"
ln -s /proc/self/fd "$root/dev/fd"
if [ "$(stat -f -c %T /sys/fs/cgroup)" = cgroup2fs ]; then
  mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
else
  mount -t tmpfs tmpfs "$root/sys/fs/cgroup"
  mkdir "$root/sys/fs/cgroup/systemd" "$root/sys/fs/cgroup/unified"
  mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd"
  mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup/unified" || rmdir "$root/sys/fs/cgroup/unified"
fi
ip link set lo up

cp "$project"/deploy/systemd/* "$root/etc/systemd/system"
chroot "$root" useradd --system verbex
printf '#!/bin/sh\nexec %q %q "$@"\n' "$node" "$project/dist/cli/main.js" >"$root/usr/bin/verbex"
chmod 755 "$root/usr/bin/verbex"
# What it prints goes where this script's output goes.
mkfifo "$root/run/said"
cat "$root/run/said" &
cat >"$root/etc/systemd/system/drill.service" <<UNIT
[Unit]
DefaultDependencies=no
SuccessAction=exit
FailureAction=exit
[Service]
Type=oneshot
ExecStart=$node $project/scripts/units/drill.mjs
StandardOutput=file:/run/said
StandardError=inherit
TimeoutStartSec=300
UNIT
printf '[Unit]\nDefaultDependencies=no\nRequires=drill.service\n' >"$root/etc/systemd/system/drill.target"
exec env -i container=namespaces PATH=/usr/sbin:/usr/bin:/sbin:/bin \
  chroot "$root" /lib/systemd/systemd --unit=drill.target --show-status=0 --log-target=null
