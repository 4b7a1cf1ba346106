#!/bin/busybox sh
# The proof guest's first and only program: load the drivers, wait until they have settled, write on
# the console what is there, write it again, stay. A serial line can gain or lose a byte, therefore
# each line has a checksum and the report is repeated; wholecard.guest.proof puts it together.
# POSIX sh. The WHOLECARD_* variables are for tests, which give it a tree of their own. On a
# kernel's command line they arrive here too.

SYS=${WHOLECARD_SYS:-/sys}
PROC=${WHOLECARD_PROC:-/proc}
CONSOLE=${WHOLECARD_CONSOLE:-/dev/console}
MODULES=${WHOLECARD_MODULES:-/lib/wholecard}
WORK=${WHOLECARD_WORK:-/proof}
WAIT=${WHOLECARD_WAIT:-10}
REPEAT=${WHOLECARD_REPEAT:-8}
PAUSE=${WHOLECARD_PAUSE:-3}

boot() {
    /bin/busybox --install -s /bin
    export PATH=/bin
    mount -t proc proc /proc
    mount -t sysfs sysfs /sys
    mount -t devtmpfs devtmpfs /dev
    mkdir -p "$WORK"
    while read -r file; do
        insmod "$MODULES/$file" || echo "wholecard: cannot load $file" >>"$CONSOLE"
    done <"$MODULES/order"
}

# The kernel writes to the serial port past the tty's buffer and would cut our lines in two.
quiet() { [ ! -w "$PROC/sys/kernel/printk" ] || echo 1 >"$PROC/sys/kernel/printk"; }

# The first line of a file, in $value; empty where there is none.
first_line() {
    value=
    [ ! -r "$1" ] || IFS= read -r value <"$1" || :
}

# Sound and NVMe controllers bind asynchronously, and a sound controller finds its codec later yet.
settled() {
    for dir in "$SYS"/bus/pci/devices/*; do
        first_line "$dir/class"
        case $value in
        0x0403*)
            set -- "$dir"/hdaudio*/driver
            [ -e "$dir/driver" ] && [ -e "$1" ] || return 1
            ;;
        0x0108*) [ -e "$dir/driver" ] || return 1 ;;
        esac
    done
}

wait_settled() {
    rounds=$((WAIT * 5))
    while [ "$rounds" -gt 0 ] && ! settled; do
        sleep 0.2
        rounds=$((rounds - 1))
    done
}

# The first eight characters of $1, in $eight.
first_eight() { eight=${1%"${1#????????}"}; }

# A record becomes a file of its own, so that one md5sum serves them all: a spawn is slow under
# emulation. Its number tells where it belongs, the boot id to which start of the guest.
record() {
    printf '{"boot":"%s","number":%d,%s}' "$boot_id" "$number" "$1" >"$WORK/$((10000 + number))"
    number=$((number + 1))
}

hex() {
    first_line "$1"
    value=${value#0x}
}

# The name of the driver behind a link, quoted, or null, in $driver.
driver_of() {
    driver=null
    if [ -L "$1/driver" ]; then
        link=$(readlink "$1/driver")
        driver="\"${link##*/}\""
    fi
}

# The sizes of BAR 0 to 5 in bytes, 0 where unused, in $bars.
bars_of() {
    bars=
    count=0
    while [ "$count" -lt 6 ] && read -r start end _; do
        size=0
        [ $((end)) -eq 0 ] || size=$((end - start + 1))
        bars="$bars${bars:+,}$size"
        count=$((count + 1))
    done <"$1"
}

report_function() {
    dir=$1
    path=$(readlink -f "$dir")
    path=${path##*/pci*:??/}
    hex "$dir/vendor"; vendor=$value
    hex "$dir/device"; device=$value
    hex "$dir/class"; class=$value
    hex "$dir/subsystem_vendor"; subsystem_vendor=$value
    hex "$dir/subsystem_device"; subsystem_device=$value
    driver_of "$dir"
    bars_of "$dir/resource"
    set -- "$dir"/msi_irqs/*
    irqs=$#
    [ -e "$1" ] || irqs=0
    line="\"record\":\"function\",\"address\":\"${dir##*/}\",\"path\":\"$path\""
    line="$line,\"vendor\":\"$vendor\",\"device\":\"$device\",\"class\":\"$class\""
    line="$line,\"subsystem_vendor\":\"$subsystem_vendor\""
    line="$line,\"subsystem_device\":\"$subsystem_device\""
    record "$line,\"driver\":$driver,\"irqs\":$irqs,\"bars\":[$bars]"
}

report_codec() {
    codec=$1
    parent=$(readlink -f "$codec")
    parent=${parent%/*}
    first_line "$codec/vendor_name"; name=$value
    first_line "$codec/chip_name"
    name=$(printf '%s' "$name $value" | tr -cd 'A-Za-z0-9 ._:/()+-')
    hex "$codec/vendor_id"; id=$value
    driver_of "$codec"
    line="\"record\":\"codec\",\"function\":\"${parent##*/}\",\"id\":\"$id\""
    record "$line,\"name\":\"$name\",\"driver\":$driver"
}

collect() {
    number=0
    first_line "$PROC/sys/kernel/random/boot_id"
    first_eight "$value"; boot_id=$eight
    first_line "$PROC/sys/kernel/osrelease"
    record "\"record\":\"begin\",\"format\":2,\"kernel\":\"$value\""
    functions=0
    for each in "$SYS"/bus/pci/devices/*; do
        [ -e "$each" ] || continue
        report_function "$each"
        functions=$((functions + 1))
    done
    codecs=0
    for each in "$SYS"/bus/hdaudio/devices/*; do
        [ -e "$each" ] || continue
        report_codec "$each"
        codecs=$((codecs + 1))
    done
    record "\"record\":\"end\",\"functions\":$functions,\"codecs\":$codecs"
}

# The records as the console's lines. MD5 is here against accidents, not against an adversary.
lines_of() {
    md5sum "$@" | while read -r sum file; do
        first_line "$file"
        first_eight "$sum"
        printf 'WHOLECARD-PROOF %s %s\n' "$eight" "$value"
    done
}

# What is half written on the console's line must not become part of our record.
say() { printf '\n%s\n' "$lines" >>"$CONSOLE"; }

report() {
    collect
    lines=$(lines_of "$WORK"/1*)
    say
    round=1
    while [ "$round" -lt "$REPEAT" ]; do
        sleep "$PAUSE"
        say
        round=$((round + 1))
    done
}

[ $$ -ne 1 ] || boot
quiet
wait_settled
report
while [ $$ -eq 1 ]; do sleep 3600; done
