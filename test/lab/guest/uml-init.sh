#!/bin/sh
# PID 1 of the User-Mode Linux guest until its root is there: the host's file system (hostfs, mounted
# read-only by the kernel) below a throw-away overlay, as in the QEMU guest.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
b=busybox
echo 'lab: the kernel is up'
mount -t proc proc /proc
# libuv would use it, and User-Mode Linux 6.12 to 7.2 frees its pages twice.
echo 2 > /proc/sys/kernel/io_uring_disabled
param() { sed -n "s/.*lab\.$1=\([^ ]*\).*/\1/p" /proc/cmdline; }
boot=$(param boot) out=$(param out) modules=$(param mod)
mount -o bind "$modules" /lib/modules
modprobe overlay
umount /lib/modules
mount -t tmpfs -o size=50% tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/new
mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work overlay /mnt/new
mkdir -p /mnt/new/lab-out
mount -o bind "$modules" /mnt/new/lib/modules
mount -t hostfs -o "$out" none /mnt/new/lab-out
mount -t sysfs sysfs /mnt/new/sys
mount -t devtmpfs dev /mnt/new/dev
mount -n -o move /proc /mnt/new/proc
cd /mnt/new || exit 1
exec $b chroot . /bin/sh "$boot"
