#!/bin/sh
# PID 1 of the guest from the moment its root is there, the same for both engines. It loads the
# kernel modules, opens the control channel on fd 3 and runs the daemon, which does what the tests
# on the host ask. When the daemon ends (the host went away), the guest is switched off.
export HOME=/root LANG=C.UTF-8
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
echo 'lab: the root file system is up'
repo=${0%/test/lab/guest/init.sh}
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/netns /run/lock /run/lab
cd /lab-out || exit 1
ip link set lo up

# A module that this kernel lacks is reported, never silently missing.
(
  modprobe -a veth bridge dummy ipip sit ip_gre ip6_gre ip6_tunnel fou fou6 nf_conntrack nf_nat \
    nf_tables nft_compat ip_vs ip_vs_rr ip_vs_wrr ip_vs_wlc ip_vs_lc ip_vs_sh ip_vs_mh \
    sch_netem 2>&1
  : > /run/lab/modules-loaded
) &

# QEMU's port appears a moment after its driver; User-Mode Linux has a serial line instead.
case $(cat /proc/cmdline) in
  *lab.channel=serial*)
    port=/dev/ttyS0
    export LAB_PACED=1
    stty -F "$port" raw -echo
    ;;
  *)
    tries=0
    until port=$(ls /dev/vport*p1 2>/dev/null) || [ $tries -ge 100 ]; do
      tries=$((tries + 1))
      sleep 0.1
    done
    ;;
esac
UV_THREADPOOL_SIZE=8 "$repo/node_modules/.bin/node" "$repo/.lab/guest/daemon.mjs" 3<>"$port" </dev/null
echo "lab: daemon ended with $?"
sync
exec busybox poweroff -f
