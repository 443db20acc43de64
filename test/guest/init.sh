#!/bin/bash
# The first process of the guest of run.sh.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 CI=true NO_COLOR=1
mount -t proc proc /proc
mount -t sysfs sys /sys
mkdir -p /dev/shm
for folder in /dev/shm /run /tmp; do mount -t tmpfs tmpfs $folder; done
mount -t cgroup2 none /sys/fs/cgroup
hostname guest
ip link set lo up
cd /root/livia || exit

check() {
  set -e
  echo "guest: kernel $(uname -r), controllers $(cat /sys/fs/cgroup/cgroup.controllers)"
  node setup/run.mjs start --detach
  pid=$(cut -d' ' -f1 .livia/cloud/instances/*/pid)
  group=/sys/fs/cgroup$(sed 's/^0:://' "/proc/$pid/cgroup")
  for file in memory.max memory.peak memory.swap.max cpu.max memory.events; do
    echo "guest: $file $(tr '\n' ' ' <"$group/$file")"
  done
  [ "$(cat "$group/memory.max")" = 1073741824 ]
  grep -q '^oom_kill 0$' "$group/memory.events"
  node setup/run.mjs stop
  [ -z "$(find /sys/fs/cgroup -name '*livia*')" ]
  node node_modules/.bin/vitest run --project unit --testTimeout=240000 --hookTimeout=240000 src/cloudlet/host
}
(check) && echo 'guest: all is well'
sync
echo o >/proc/sysrq-trigger
sleep 10
