#!/bin/sh
# Makes the guest: a kernel and an initramfs out of Debian's packages. initramfs.sh FOLDER; FOLDER/vmlinuz and
# FOLDER/initramfs are made, and what is there already is kept.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
cd "$1"
modules="virtio/virtio virtio/virtio_ring virtio/virtio_pci_modern_dev virtio/virtio_pci_legacy_dev virtio/virtio_pci
    block/virtio_blk"

if ! [ -f vmlinuz ]; then
    package=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/^ *Depends: \(linux-image-[0-9].*-cloud-amd64\)$/\1/p')
    [ -n "$package" ] || { echo "guest: this system's package lists have no linux-image-cloud-amd64" >&2; exit 1; }
    ls linux-image-*.deb >/dev/null 2>&1 || apt-get -qq download "$package" 2>/dev/null
    rm -rf kernel
    mkdir kernel
    dpkg-deb -x linux-image-*.deb kernel
    cp kernel/boot/vmlinuz-* vmlinuz.new
    mv vmlinuz.new vmlinuz
fi
rm -rf root
mkdir -p root/bin root/modules
cp "$(command -v busybox)" root/bin/busybox
ln -s busybox root/bin/sh
cp "$here/init" root/init
chmod 755 root/init
for module in $modules; do
    cp kernel/lib/modules/*/kernel/drivers/$module.ko root/modules/
done
(cd root && find . | cpio --quiet -o -H newc) | gzip -1 >initramfs.new
mv initramfs.new initramfs
