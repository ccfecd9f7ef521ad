#!/bin/busybox sh
# First process of a test guest: devices, modules, swap, then the agent.
export PATH=/bin
/bin/busybox mkdir -p /dev /proc /sys
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
for module in /modules/*.ko; do /bin/busybox insmod "$module"; done
if [ -b /dev/vda ]; then
  /bin/busybox mkswap /dev/vda >/dev/null
  /bin/busybox swapon /dev/vda
  echo 0 >/proc/sys/vm/page-cluster # one page per fault: what a fault brings is what was wanted
fi
echo 1 >/proc/sys/vm/overcommit_memory
/bin/agent /dev/ttyS1
/bin/busybox poweroff -f
