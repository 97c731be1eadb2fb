#!/bin/sh
# The demonstration: a device that conforms, a real device behind vhost-user, and a device with one rule broken.
# Ends with 0 where each part ended as it should. PLUMBLINE names the program.
set -u

program=$(readlink -f "${PLUMBLINE:-build/plumbline}")
folder=$(mktemp -d "${TMPDIR:-/tmp}/plumbline-demo.XXXXXX")
daemon=
cleanup() {
    [ -z "$daemon" ] || { kill "$daemon" && wait "$daemon"; } 2>/dev/null
    rm -rf "$folder"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
# The repeat commands of the reports read "plumbline ...": let that be the program here, too.
ln -s "$program" "$folder/plumbline"
PATH=$folder:$PATH

heading() {
    printf '\n=== %s\n' "$1"
}

# expect STATUS COMMAND...: show it, run it, and end the demonstration where its exit status is another.
expect() {
    wanted=$1
    shift
    printf '$'
    for word in "$@"; do
        case $word in
        *' '*) printf " '%s'" "$word" ;;
        *) printf ' %s' "$word" ;;
        esac
    done
    echo
    "$@"
    status=$?
    echo "(exit status $status)"
    [ "$status" -eq "$wanted" ] && return
    echo "demo: exit status $status where $wanted was expected" >&2
    exit 1
}

heading "1 of 3: the reference block device, over a socket, with I/O on split and packed rings"
expect 0 plumbline test

heading "2 of 3: a device that nobody here wrote, qemu-storage-daemon's vhost-user block export, and a defect of it"
image=$folder/image socket=$folder/vhost.sock
head -c 1048576 /dev/zero >"$image"
qemu-storage-daemon --blockdev driver=file,node-name=disk,filename="$image" --export \
    type=vhost-user-blk,id=export,node-name=disk,addr.type=unix,addr.path="$socket",writable=on 2>"$folder/daemon.log" &
daemon=$!
tries=0
until [ -S "$socket" ]; do
    tries=$((tries + 1))
    if [ $tries -gt 100 ] || ! kill -0 "$daemon" 2>/dev/null; then
        echo "demo: qemu-storage-daemon does not offer its socket" >&2
        exit 1
    fi
    sleep 0.1
done
# This one shows every time; docs/vhost-user.md has them all. Then legal and illegal rings, on which nothing is found.
expect 1 plumbline test --connect "vhost-user:$socket,reset=reconnect" --select requests-end-with-a-status
expect 0 plumbline test --quiet --connect "vhost-user:$socket,reset=reconnect" --select 'each-used-*,buffers-*,around-*,what-is-*,split-desc*,split-avail*,memory-changes-*'
kill "$daemon" && wait "$daemon" 2>/dev/null
daemon=

heading "3 of 3: the reference device with one rule broken, it writes into buffers behind a reset"
expect 1 plumbline test --exec "plumbline serve device --mutant CORE-RESET-DEV-03.buffers" --select CORE-RESET-DEV-03

heading "each part ended as it should"
