#!/bin/sh
# A guest with a virtio_blk driver, once from power on to power off, as a front-end for the socket $PLUMBLINE_VHOST_USER
# (a carrier of plumbline): guest.sh FOLDER [OPTIONS], with the folder of initramfs.sh and options of vhost-user-blk-pci,
# such as `,packed=on`. It does not boot: it goes on from FOLDER/state, a guest that waits for its disk, which
# `guest.sh FOLDER save` makes and the first guest makes where it is not there. Its console goes to the standard output.
# Status 0: it was switched off; 1: it broke down, which its console says.
set -eu

folder=$1
options=${2:-}
steps=saved,deadline,probe,brief,brief
saves=
if [ "$options" = save ] || ! [ -s "$folder/state" ] || [ "$folder/initramfs" -nt "$folder/state" ]; then
    saves=yes
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkfifo "$scratch/commands"

# A guest without a disk; what is added to it, and whence it begins, is the caller's: guest OPTIONS...
guest() {
    qemu-system-x86_64 -M q35 -accel tcg -cpu max -smp 1 -m 128M -bios qboot.rom -nodefaults -no-user-config -display none \
        -no-reboot -object memory-backend-memfd,id=m,size=128M,share=on -machine memory-backend=m \
        -device pcie-root-port,id=root1,slot=1 -serial "file:$scratch/console" -monitor stdio "$@" \
        <"$scratch/commands" >"$scratch/monitor" 2>&1 &
    exec 3>"$scratch/commands"
}

# Wait until the monitor answers a question with such words: answered QUESTION WORDS
answered() {
    until grep -q "$2" "$scratch/monitor"; do
        kill -0 $! 2>/dev/null || { cat "$scratch/monitor"; exit 2; }
        echo "$1" >&3
        sleep 0.1
    done
}

if [ -n "$saves" ]; then
    guest -kernel "$folder/vmlinuz" -initrd "$folder/initramfs" \
        -append "console=ttyS0 quiet oops=panic panic=-1 steps=$steps"
    until grep -q 'guest: ready' "$scratch/console" 2>/dev/null; do
        kill -0 $! 2>/dev/null || { cat "$scratch/monitor"; exit 2; }
        sleep 0.2
    done
    echo "migrate \"exec:cat >$folder/state.$$\"" >&3
    answered "info migrate" 'Migration status: completed'
    echo quit >&3
    exec 3>&-
    wait $! || true
    mv "$folder/state.$$" "$folder/state"
    : >"$scratch/console"
    : >"$scratch/monitor"
    [ "$options" != save ] || exit 0
fi

guest -incoming "exec:cat $folder/state" -chardev "socket,id=c,path=$PLUMBLINE_VHOST_USER"
answered "info status" 'VM status: running'
echo "device_add vhost-user-blk-pci,chardev=c,disable-legacy=on,bus=root1$options" >&3
status=0
wait $! || status=$?
cat "$scratch/console"
if grep -q 'Kernel panic\|BUG:\|Oops:' "$scratch/console"; then
    grep 'Kernel panic\|BUG:\|Oops:\|RIP: ' "$scratch/console" | tail -n 8
    exit 1
fi
[ $status -eq 0 ] || cat "$scratch/monitor"
exit $status
