#!/bin/sh
# The boot of a guest that is one script: an initramfs's /init with busybox. The script follows.
# The GUEST_* variables are for tests, which run it on files.

PROC=${GUEST_PROC:-/proc}
SYS=${GUEST_SYS:-/sys}
DEV=${GUEST_DEV:-/dev}
WORK=${GUEST_WORK:-/tmp}
CONSOLE=${GUEST_CONSOLE:-/dev/ttyS0}
MODULES=${GUEST_MODULES:-/lib/wholecard}
LC_ALL=C
export LC_ALL

boot() {
    /bin/busybox --install -s /bin
    export PATH=/bin
    mount -t proc proc /proc
    mount -t sysfs sysfs /sys
    mount -t devtmpfs devtmpfs /dev
    mkdir -p /tmp
    while read -r file; do
        insmod "$MODULES/$file" || echo "guest: cannot load $file" >>"$CONSOLE"
    done <"$MODULES/order"
    # The kernel writes to the serial port past the tty's buffer and would cut our lines in two.
    echo 1 >/proc/sys/kernel/printk
}

# A line is said three times: a serial port can lose a byte.
say() {
    printf '\n%s\n%s\n%s\n' "$1" "$1" "$1" >>"$CONSOLE"
}

# The names (fbN) of the framebuffers of the emulated cards: their driver gives the whole memory of
# a card as a file, /dev/fbN.
framebuffers() {
    for each in "$SYS"/class/graphics/fb[0-9]*; do
        [ -r "$each/device/vendor" ] || continue
        read -r vendor <"$each/device/vendor"
        [ "$vendor" = 0x1002 ] && echo "${each##*/}"
    done
}

[ $$ -ne 1 ] || boot
read -r id <"$PROC/sys/kernel/random/boot_id"
