#!/bin/busybox sh
# PID 1 of the QEMU guest until its root is there: the host's file system, read-only, below a
# throw-away overlay. It must *exec* chroot: PID 1 shares its root with kthreadd, and the kernel's
# own module loading would look for modprobe in this initramfs otherwise.
b=/bin/busybox
echo 'lab: the kernel is up'
param() { $b sed -n "s/.*lab\.$1=\([^ ]*\).*/\1/p" /proc/cmdline; }
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs dev /dev
while read -r module; do
  $b insmod "/modules/$module" || echo "lab: cannot insert $module"
done < /modules/order
$b mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=512000,cache=loose root /lower
$b mount -t tmpfs -o size=50% tmpfs /rw
$b mkdir /rw/upper /rw/work
$b mount -t overlay -o lowerdir=/lower,upperdir=/rw/upper,workdir=/rw/work overlay /new
$b mkdir -p /new/lab-out /new/lib/modules
$b mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000 out /new/lab-out
$b mount -o bind "/lower$(param mod)" /new/lib/modules
boot=$(param boot)
$b mount -o move /proc /new/proc
$b mount -o move /sys /new/sys
$b mount -o move /dev /new/dev
exec $b chroot /new /bin/sh "$boot"
