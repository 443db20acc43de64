#!/bin/bash
# The first process of the guest of run.sh.
export PATH=/root/livia/node_modules/.bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 CI=true NO_COLOR=1
mount -t proc proc /proc
mountpoint -q /sys || mount -t sysfs sys /sys
mkdir -p /dev/shm
for folder in /dev/shm /run /tmp; do mount -t tmpfs tmpfs $folder; done
mount -t cgroup2 none /sys/fs/cgroup
hostname guest
ip link set lo up
cd /root/livia || exit

check() {
  set -e
  node setup/run.mjs start --detach
  pid=$(cut -d' ' -f1 .livia/cloud/instances/*/pid)
  group=/sys/fs/cgroup$(sed 's/^0:://' "/proc/$pid/cgroup")
  for file in memory.max memory.peak memory.swap.max cpu.max memory.events; do
    echo "guest: $file $(tr '\n' ' ' <"$group/$file")"
  done
  [ "$(cat "$group/memory.max")" = 1073741824 ]
  grep -q '^oom_kill 0$' "$group/memory.events"
  for setting in tcp_notsent_lowat tcp_rmem; do
    echo "guest: $setting $(nsenter --target "$pid" --net cat /proc/sys/net/ipv4/$setting)"
  done
  [ "$(nsenter --target "$pid" --net cat /proc/sys/net/ipv4/tcp_notsent_lowat)" = 16384 ]
  node setup/run.mjs stop
  [ -z "$(find /sys/fs/cgroup -name '*livia*')" ]
  vitest run --project unit --testTimeout=240000 --hookTimeout=240000 src/cloudlet/host
}
echo "guest: kernel $(uname -r), controllers $(cat /sys/fs/cgroup/cgroup.controllers)"
if [ -e /root/command ]; then (eval "$(cat /root/command)"); else (check); fi && echo 'guest: all is well'
sync
echo o >/proc/sysrq-trigger
sleep 10
