#!/bin/busybox sh
# The proof guest's first and only program: load the drivers, wait until they have settled, say on
# the console what is there, stay. One JSON record a line; wholecard.guest.proof reads them.
# POSIX sh. The WHOLECARD_* variables are for tests, which give it a tree of their own.

SYS=${WHOLECARD_SYS:-/sys}
PROC=${WHOLECARD_PROC:-/proc}
CONSOLE=${WHOLECARD_CONSOLE:-/dev/console}
MODULES=${WHOLECARD_MODULES:-/lib/wholecard}
WAIT=${WHOLECARD_WAIT:-10}

boot() {
    /bin/busybox --install -s /bin
    export PATH=/bin
    mount -t proc proc /proc
    mount -t sysfs sysfs /sys
    mount -t devtmpfs devtmpfs /dev
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

# One write to the console for each line.
record() { printf 'WHOLECARD-PROOF %s\n' "$1" >>"$CONSOLE"; }

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
    line="{\"record\":\"function\",\"address\":\"${dir##*/}\",\"path\":\"$path\""
    line="$line,\"vendor\":\"$vendor\",\"device\":\"$device\",\"class\":\"$class\""
    line="$line,\"subsystem_vendor\":\"$subsystem_vendor\""
    line="$line,\"subsystem_device\":\"$subsystem_device\""
    record "$line,\"driver\":$driver,\"irqs\":$irqs,\"bars\":[$bars]}"
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
    line="{\"record\":\"codec\",\"function\":\"${parent##*/}\",\"id\":\"$id\""
    record "$line,\"name\":\"$name\",\"driver\":$driver}"
}

report() {
    # What stood half-written on the console's line must not become part of ours.
    echo >>"$CONSOLE"
    first_line "$PROC/sys/kernel/osrelease"
    record "{\"record\":\"begin\",\"format\":1,\"kernel\":\"$value\"}"
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
    record "{\"record\":\"end\",\"functions\":$functions,\"codecs\":$codecs}"
}

[ $$ -ne 1 ] || boot
quiet
wait_settled
report
while [ $$ -eq 1 ]; do sleep 3600; done
