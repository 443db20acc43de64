#!/bin/bash
# A whole Debian 12 with its own kernel and cgroup v2, booted under software emulation, to run what this machine cannot.
# Slow, so not part of npm test. Needs root and the Debian packages debootstrap and qemu-system-x86; keeps its files in the
# given folder. GUEST_MIB: its memory, default 4096.
#
#   test/guest/run.sh FOLDER            the service with its demonstration, and the tests of the cloudlet's host side
#   test/guest/run.sh FOLDER COMMAND…   this command instead, in the project's folder, with node_modules/.bin in its PATH
set -euo pipefail
folder=$(mkdir -p "${1:?which folder}" && cd "$1" && pwd)
shift
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
tree=$folder/tree

if [ ! -e "$tree/boot/ready" ]; then
  rm -rf "$tree"
  debootstrap --variant=minbase --include=ca-certificates bookworm "$tree"
  cp -a /etc/apt/sources.list.d /etc/apt/apt.conf.d "$tree/etc/apt/"
  cp /etc/resolv.conf "$tree/etc/"
  cp /etc/ssl/certs/ca-certificates.crt "$tree/etc/ssl/certs/"
  unshare --mount --pid --fork --kill-child bash -c '
    mount --make-rprivate / && mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && mount -t tmpfs tmpfs "$0/tmp"
    DEBIAN_FRONTEND=noninteractive chroot "$0" sh -c "apt-get update -qq && apt-get install -y --no-install-recommends \
      linux-image-cloud-amd64 initramfs-tools kmod udev haproxy keepalived nftables iputils-ping conntrack iproute2 \
      procps postgresql openssl curl"' "$tree"
  touch "$tree/boot/ready"
fi

# The Node that npm brought does for the set-up as well: the guest has no network.
node "$project/setup/run.mjs" start --help >"$folder/setup.log"
rm -rf "$tree/root/livia"
cp -a "$project" "$tree/root/livia"
rm -rf "$tree/root/livia/.livia"
ln -sf /root/livia/node_modules/.bin/node "$tree/usr/bin/node"
install -m 755 "$project/test/guest/init.sh" "$tree/init.sh"
rm -f "$tree/root/command"
[ $# = 0 ] || printf '%q ' "$@" >"$tree/root/command"

rm -f "$folder/disk"
truncate -s 4G "$folder/disk"
mke2fs -q -t ext4 -d "$tree" "$folder/disk"
timeout 1800 qemu-system-x86_64 -accel tcg,thread=multi -smp 2 -m "${GUEST_MIB:-4096}" -net none -nographic -no-reboot \
  -kernel "$tree"/boot/vmlinuz-* -initrd "$tree"/boot/initrd.img-* \
  -append 'root=/dev/vda rw console=ttyS0 init=/init.sh panic=-1 quiet' \
  -drive "file=$folder/disk,if=virtio,format=raw" | tee "$folder/console.log"
grep -q 'guest: all is well' "$folder/console.log"
