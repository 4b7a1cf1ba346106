#!/bin/sh
# The guest of the leak's demonstration, as an initramfs's /init with busybox. It says what it finds
# in the memory of each card, and then fills it with marks of its own boot for the next guest to
# find. The driver of the cards gives their whole memory as a file, /dev/fbN.
# The LEAK_* variables are for tests.

SIZE=${LEAK_SIZE:-16777216}
PROC=${LEAK_PROC:-/proc}
GRAPHICS=${LEAK_GRAPHICS:-/sys/class/graphics}
DEV=${LEAK_DEV:-/dev}
WORK=${LEAK_WORK:-/tmp}
CONSOLE=${LEAK_CONSOLE:-/dev/ttyS0}
MODULES=${LEAK_MODULES:-/lib/wholecard}
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
        insmod "$MODULES/$file" || echo "leak: cannot load $file" >>"$CONSOLE"
    done <"$MODULES/order"
    # The kernel writes to the serial port past the tty's buffer and would cut our lines in two.
    echo 1 >/proc/sys/kernel/printk
}

# A line is said three times: a serial port can lose a byte.
say() {
    printf '\n%s\n%s\n%s\n' "$1" "$1" "$1" >>"$CONSOLE"
}

look() {
    dd if="$DEV/$1" of="$WORK/memory" bs=65536 count=$((SIZE / 65536)) 2>/dev/null
    bytes=$(wc -c <"$WORK/memory")
    nonzero=$(tr -d '\0' <"$WORK/memory" | wc -c)
    marked=$(grep -a -c '^WHOLECARD-MARK ' "$WORK/memory")
    of=$(grep -a '^WHOLECARD-MARK ' "$WORK/memory" | head -n 1 | cut -c 16-51)
    say "WHOLECARD-LEAK card=$1 bytes=$bytes nonzero=$nonzero marked=$marked of=${of:--} mine=$id end"
}

mark() {
    # 64 bytes with its newline.
    yes "WHOLECARD-MARK $id ===========" | head -c "$bytes" >"$WORK/marks"
    dd if="$WORK/marks" of="$DEV/$1" bs=65536 conv=notrunc 2>/dev/null
}

[ $$ -ne 1 ] || boot
read -r id <"$PROC/sys/kernel/random/boot_id"
cards=0
for each in "$GRAPHICS"/fb[0-9]*; do
    [ -r "$each/device/vendor" ] || continue
    read -r vendor <"$each/device/vendor"
    [ "$vendor" = 0x1002 ] || continue
    look "${each##*/}"
    mark "${each##*/}"
    cards=$((cards + 1))
done
say "WHOLECARD-LEAK cards=$cards mine=$id done"
while [ $$ -eq 1 ]; do sleep 3600; done
