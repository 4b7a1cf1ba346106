#!/bin/sh
# Wholecard's agent: it reports on the server's serial console which PCI cards this guest has, which
# drivers bind them and what those drivers count. It needs no network. One file, POSIX sh, busybox
# too. `wholecard prove` boots a server with it, reads the console and compares.
#
# A serial line can gain or lose a byte, so each line has a checksum and the report is repeated;
# wholecard.guest.proof puts it together. As an initramfs's /init it prepares the system first.
# The WHOLECARD_* variables are for user data and for tests; on a kernel's command line they arrive
# here too.

SYS=${WHOLECARD_SYS:-/sys}
PROC=${WHOLECARD_PROC:-/proc}
ETC=${WHOLECARD_ETC:-/etc}
MODULES=${WHOLECARD_MODULES:-/lib/wholecard}
WORK=${WHOLECARD_WORK:-/run/wholecard-agent}
CONSOLE=${WHOLECARD_CONSOLE:-}
NONCE=${WHOLECARD_NONCE:-}
WAIT=${WHOLECARD_WAIT:-10}
REPEAT=${WHOLECARD_REPEAT:-12}
PAUSE=${WHOLECARD_PAUSE:-5}
CONTAINERS=${WHOLECARD_CONTAINERS:-}
CONTAINER_IMAGE=${WHOLECARD_CONTAINER_IMAGE:-}
# The number of bodies; empty: no benchmark.
BENCH=${WHOLECARD_BENCH:-}
IF_ASKED=
# nova returns the last 100 KiB of a console, and the boot's messages should stay in it. At least
# two reports are written whatever their size.
ALL_BYTES=40960
LC_ALL=C
export LC_ALL

usage() {
    cat <<END
usage: ${0##*/} [--if-asked] [--stdout] [--bench] [--containers N]

Report this guest's PCI cards, their drivers and what those count on the serial console.

  --if-asked      report only where the config drive or WHOLECARD_NONCE has the nonce of a proof
  --stdout        print the report once, and not on the console
  --bench         run wholecard-bench nbody as well
  --containers N  run N containers with the cards, side by side, by CDI
  --help          print this
END
}

options() {
    while [ $# -gt 0 ]; do
        case $1 in
        --help | -h) usage; exit 0 ;;
        --if-asked) IF_ASKED=yes ;;
        --stdout) CONSOLE=- REPEAT=1 WORK=${TMPDIR:-/tmp}/wholecard-agent.$$ ;;
        --bench) BENCH=${BENCH:-65536} ;;
        --containers) CONTAINERS=${2:-}; shift ;;
        *)
            echo "wholecard: unknown option $1" >&2
            usage >&2
            exit 2
            ;;
        esac
        shift
    done
}

boot() {
    /bin/busybox --install -s /bin
    export PATH=/bin
    mount -t proc proc /proc
    mount -t sysfs sysfs /sys
    mount -t devtmpfs devtmpfs /dev
    CONSOLE=${CONSOLE:-/dev/console}
    while read -r file; do
        insmod "$MODULES/$file" || echo "wholecard: cannot load $file" >>"$CONSOLE"
    done <"$MODULES/order"
}

# The first line of a file, in $value; empty where there is none.
first_line() {
    value=
    [ ! -r "$1" ] || IFS= read -r value <"$1" || :
}

# Text of others, so that it can be quoted in JSON and shown on a terminal.
clean() { printf '%s' "$1" | tr '\t' ' ' | tr -cd 'A-Za-z0-9 ._:/()+,=@%#-' | cut -c1-160; }

# Digits, or null, in $number_or_null.
digits() {
    number_or_null=null
    case $1 in '' | *[!0-9]*) ;; ???????????????*) ;; *) number_or_null=$1 ;; esac
}

# --- Who asks -------------------------------------------------------------------------------------

# A value of the server's metadata, in $value. A quote inside a JSON string has a backslash, so a
# server's name cannot look like a key.
metadata() {
    value=$(sed -n "s/.*\"wholecard_$1\": *\"\\([0-9A-Za-z._:/-]*\\)\".*/\\1/p" "$meta_data" | head -n 1)
}

# Config drive: label config-2, openstack/latest/meta_data.json (nova's user guide, config-drive).
read_config_drive() {
    folder=${WHOLECARD_CONFIG:-}
    if [ -z "$folder" ]; then
        device=
        for each in /dev/disk/by-label/config-2 /dev/disk/by-label/CONFIG-2; do
            [ ! -e "$each" ] || device=$each
        done
        [ -n "$device" ] || device=$(blkid -L config-2 2>/dev/null || findfs LABEL=config-2 2>/dev/null)
        [ -n "$device" ] || return 0
        folder=$WORK/config
        mkdir -p "$folder"
        mount -o ro "$device" "$folder" 2>/dev/null || return 0
        mounted=$folder
    fi
    meta_data=$folder/openstack/latest/meta_data.json
    if [ -r "$meta_data" ]; then
        metadata nonce; NONCE=${NONCE:-$value}
        metadata bench; BENCH=${BENCH:-$value}
        metadata containers; CONTAINERS=${CONTAINERS:-$value}
        metadata container_image; CONTAINER_IMAGE=${CONTAINER_IMAGE:-$value}
    fi
    [ -z "$mounted" ] || umount "$mounted" || :
}

# The first serial line among the kernel's consoles; what nova shows is the serial port.
find_console() {
    first_line "$SYS/class/tty/console/active"
    for each in $value; do
        case $each in ttyS* | ttyAMA* | hvc*) CONSOLE=/dev/$each && return ;; esac
    done
    CONSOLE=/dev/console
    [ ! -w /dev/ttyS0 ] || CONSOLE=/dev/ttyS0
}

# --- Records --------------------------------------------------------------------------------------

# The first eight characters of $1, in $eight.
first_eight() { eight=${1%"${1#????????}"}; }

# A record becomes a file of its own, so that one md5sum serves them all: a spawn is slow under
# emulation. Its number tells where it belongs, the boot id to which start of the guest.
record() {
    printf '{"boot":"%s","number":%d,%s}' "$boot_id" "$number" "$1" >"$WORK/$((10000 + number))"
    number=$((number + 1))
}

# What a tool could not do: its name, exit status and words.
problem() {
    text=$(clean "$3")
    digits "$2"
    record "\"record\":\"problem\",\"source\":\"$1\",\"exit\":$number_or_null,\"text\":\"$text\""
    problems=$((problems + 1))
}

# The words of a failure, in $words: from the error on, for a container engine prints warnings before
# it; what a program calls no error is quoted from its beginning.
failure_words() {
    cat "$@" | grep -v -e '^ *$' -e 'level=warning' >"$WORK/words" || :
    words=$(sed -n '/[Ee]rror/,$p' "$WORK/words" | head -n 2 | tr '\n' ' ')
    [ -n "$words" ] || words=$(head -n 2 "$WORK/words" | tr '\n' ' ')
}

# Runs a program for at most $1 seconds, its output in $WORK/out.
limited() {
    seconds=$1
    shift
    ! command -v timeout >/dev/null 2>&1 || set -- timeout "$seconds" "$@"
    "$@" >"$WORK/out" 2>"$WORK/err" </dev/null
}

# The same, with the name of the tool before; a failure is a problem of that tool.
tool() {
    source=$1
    shift
    status=0
    limited "$@" || status=$?
    [ "$status" -ne 0 ] || return 0
    failure_words "$WORK/out" "$WORK/err"
    [ "$status" -ne 124 ] || words="no end after $seconds s $words"
    problem "$source" "$status" "$words"
    return 1
}

there() { command -v "$1" >/dev/null 2>&1; }

# --- Functions ------------------------------------------------------------------------------------

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

# A link's speed in GT/s and its width, "16.0x16", or null, in $link; $2 is current or max.
link_of() {
    first_line "$1/$2_link_speed"
    speed=${value%% *}
    first_line "$1/$2_link_width"
    link=null
    case $speed$value in *[!0-9.]* | '') ;; *) link="\"${speed}x$value\"" ;; esac
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
    first_line "$dir/numa_node"
    numa=${value:--1}
    link_of "$dir" current; current=$link
    link_of "$dir" max
    set -- "$dir"/msi_irqs/*
    irqs=$#
    [ -e "$1" ] || irqs=0
    line="\"record\":\"function\",\"address\":\"${dir##*/}\",\"path\":\"$path\""
    line="$line,\"vendor\":\"$vendor\",\"device\":\"$device\",\"class\":\"$class\""
    line="$line,\"subsystem_vendor\":\"$subsystem_vendor\""
    line="$line,\"subsystem_device\":\"$subsystem_device\""
    line="$line,\"driver\":$driver,\"irqs\":$irqs,\"bars\":[$bars]"
    record "$line,\"numa\":$numa,\"link\":$current,\"max_link\":$link"
}

report_codec() {
    codec=$1
    parent=$(readlink -f "$codec")
    parent=${parent%/*}
    first_line "$codec/vendor_name"; name=$value
    first_line "$codec/chip_name"
    name=$(clean "$name $value")
    hex "$codec/vendor_id"; id=$value
    driver_of "$codec"
    line="\"record\":\"codec\",\"function\":\"${parent##*/}\",\"id\":\"$id\""
    record "$line,\"name\":\"$name\",\"driver\":$driver"
}

# --- GPUs, as their drivers count them ------------------------------------------------------------

# A tool's address as sysfs writes it, in $address: nvidia-smi's domain has eight digits.
address_of() {
    address=$(printf '%s' "$1" | tr -d ' \t\r' | tr A-F a-f)
    case $address in
    ????????:??:??.?) address=${address#????} ;;
    ????:??:??.?) ;;
    *) return 1 ;;
    esac
    case $address in *[!0-9a-f:.]*) return 1 ;; esac
}

quoted_or_null() {
    quoted=null
    text=$(clean "$1" | sed 's/^ *//; s/ *$//')
    [ -z "$text" ] || quoted="\"$text\""
}

# Arguments: which driver or tool counts it, name, memory in MiB, UUID, the driver's version.
report_gpu() {
    quoted_or_null "$2"; gpu_name=$quoted
    quoted_or_null "$4"; gpu_uuid=$quoted
    quoted_or_null "$5"; gpu_version=$quoted
    digits "$(printf '%s' "$3" | tr -d ' ')"
    line="\"record\":\"gpu\",\"source\":\"$1\",\"address\":\"$address\",\"name\":$gpu_name"
    record "$line,\"memory_mib\":$number_or_null,\"uuid\":$gpu_uuid,\"version\":$gpu_version$fabric"
    gpus=$((gpus + 1))
}

# What connects the GPUs of a board with NVSwitches, by the section Fabric of `nvidia-smi -q`: a
# driver without it prints the rest, while one unknown field of --query-gpu fails the whole query.
# A driver asks Fabric Manager every 5 s, and until the answer the state is In Progress
# (github.com/NVIDIA/open-gpu-kernel-modules, gpu_fabric_probe.h).
nvidia_fabrics() {
    rounds=$((WAIT / 2))
    while :; do
        limited 120 nvidia-smi -q || :
        sed -n -e '/^GPU /{y/ABCDEF/abcdef/;s/^GPU *\([0-9a-f:.]*\).*/gpu \1/p;}' \
            -e '/^    Fabric *$/,/^    [^ ]/{s/^ *State *: */state /p;s/^ *Status *: */status /p;}' \
            -e '/^    Fabric *$/,/^    [^ ]/s/^ *Summary *: */health /p' "$WORK/out" >"$WORK/fabrics"
        [ "$rounds" -gt 0 ] && grep -q '^state In Progress' "$WORK/fabrics" || return 0
        sleep 5
        rounds=$((rounds - 1))
    done
}

# The fabric of the GPU at $address as the end of its record, in $fabric; empty where it has none.
fabric_of() {
    fabric=
    mine=
    while read -r key text; do
        case $key$text in
        gpu*"$address") mine=yes ;;
        gpu*) mine= ;;
        *N/A* | *'Not Supported'* | *'Not Found'* | *deprecated*) [ "$key" != state ] || mine= ;;
        *) [ -z "$mine" ] || fabric="$fabric,\"fabric_$key\":\"$(clean "$text")\"" ;;
        esac
    done <"$WORK/fabrics"
}

# nvidia-smi --help-query-gpu; the name comes last because it may have a comma.
nvidia_smi() {
    tool nvidia-smi 120 nvidia-smi --format=csv,noheader,nounits \
        --query-gpu=pci.bus_id,uuid,driver_version,memory.total,name || return 0
    mv "$WORK/out" "$WORK/rows"
    nvidia_fabrics
    while IFS=, read -r bus uuid version memory name; do
        address_of "$bus" || continue
        fabric_of
        report_gpu nvidia-smi "$name" "$memory" "$uuid" "$version"
    done <"$WORK/rows"
    fabric=
}

# Without nvidia-smi: what the kernel module says (NVIDIA's README, "procfs interface").
nvidia_procfs() {
    first_line "$PROC/driver/nvidia/version"
    version=$(printf '%s' "$value" | sed -n 's/.*  \([0-9][0-9.]*\)  .*/\1/p')
    for each in "$PROC"/driver/nvidia/gpus/*; do
        address_of "${each##*/}" || continue
        name=$(sed -n 's/^Model:[[:space:]]*//p' "$each/information")
        uuid=$(sed -n 's/^GPU UUID:[[:space:]]*//p' "$each/information")
        report_gpu nvidia "$name" "" "$uuid" "$version"
    done
}

# amdgpu's own files: mem_info_vram_total in bytes, product_name (kernel: gpu/amdgpu/driver-misc).
amdgpu_gpu() {
    first_line "$SYS/bus/pci/devices/$address/mem_info_vram_total"
    memory=
    case $value in '' | *[!0-9]*) ;; *) memory=$((value / 1048576)) ;; esac
    first_line "$SYS/bus/pci/devices/$address/product_name"
    report_gpu "$1" "${value:-$3}" "$memory" "$2" ""
}

# `amd-smi list` prints `BDF:` and then `UUID:` for each GPU.
amd_smi() {
    tool amd-smi 120 amd-smi list || return 0
    while read -r key bus _; do
        case $key in
        BDF:) address_of "$bus" || address= ;;
        UUID:) [ -z "$address" ] || amdgpu_gpu amd-smi "$bus" "" ;;
        esac
    done <"$WORK/out"
}

# `rocm-smi --showbus` prints `GPU[0] : PCI Bus: 0000:43:00.0`.
rocm_smi() {
    tool rocm-smi 120 rocm-smi --showbus || return 0
    sed -n 's/.*PCI Bus: *//p' "$WORK/out" >"$WORK/buses"
    while read -r bus; do
        ! address_of "$bus" || amdgpu_gpu rocm-smi "" ""
    done <"$WORK/buses"
}

drm() {
    for each in "$SYS"/class/drm/card*; do
        case ${each##*/} in *-*) continue ;; esac
        [ -e "$each/device" ] || continue
        device=$(readlink -f "$each/device")
        address_of "${device##*/}" || continue
        driver_of "$each/device"
        name=${driver#\"}
        amdgpu_gpu drm "" "${name%\"}"
    done
}

# Drivers older than DRM (aty128fb, matroxfb) register a framebuffer. One that only takes over what
# the firmware has set up, as simple-framebuffer, has a platform device and no PCI function.
framebuffers() {
    for each in "$SYS"/class/graphics/fb[0-9]*; do
        [ -e "$each/device/driver" ] && [ ! -e "$each/device/drm" ] || continue
        device=$(readlink -f "$each/device")
        address_of "${device##*/}" || continue
        first_line "$each/name"
        report_gpu framebuffer "$value" "" "" ""
    done
}

report_gpus() {
    fabric=
    if there nvidia-smi; then
        nvidia_smi
    elif [ -d "$PROC/driver/nvidia/gpus" ]; then
        nvidia_procfs
    fi
    if there amd-smi; then
        amd_smi
    elif there rocm-smi; then
        rocm_smi
    fi
    # What a vendor's tool counts; the benchmark takes as many.
    counted=$gpus
    drm
    framebuffers
}

# --- Benchmark ------------------------------------------------------------------------------------

# A value of wholecard-bench's JSON, which has one key a line; the first one, in $value.
bench_value() {
    value=$(sed -n "s/^ *\"$1\": *\"\\{0,1\\}\\([^\",]*\\).*/\\1/p" "$WORK/out" | head -n 1)
    value=$(clean "$value")
}

report_benchmark() {
    case $BENCH in '' | *[!0-9]*) return 0 ;; esac
    if ! there wholecard-bench; then
        problem wholecard-bench 127 "wholecard-bench is not installed in this image"
        return 0
    fi
    set --
    [ "$counted" -lt 2 ] || set -- --num-devices "$counted"
    tool wholecard-bench 900 wholecard-bench nbody --benchmark --num-bodies "$BENCH" --json "$@" ||
        return 0
    bench_value backend; quoted_or_null "$value"
    bench_value gflops
    case $value in '' | *[!0-9.]*) value=null ;; esac
    gflops=$value
    bench_value passed
    [ "$value" = true ] || value=false
    devices=$(grep -c '^ *"index":' "$WORK/out") || :
    line="\"record\":\"benchmark\",\"name\":\"nbody\",\"backend\":$quoted,\"bodies\":$BENCH"
    record "$line,\"devices\":${devices:-0},\"gflops\":$gflops,\"passed\":$value"
    benchmarks=1
}

# --- Containers -----------------------------------------------------------------------------------

# The CDI devices that a container gets, as options in $cdi: `all` of each kind, else every device
# by its name. JSON and YAML: https://github.com/cncf-tags/container-device-interface, SPEC.md.
cdi_devices() {
    cdi=
    for each in "$ETC"/cdi/*.json "$ETC"/cdi/*.yaml "${WHOLECARD_RUN_CDI:-/var/run/cdi}"/*.json \
        "${WHOLECARD_RUN_CDI:-/var/run/cdi}"/*.yaml; do
        [ -r "$each" ] || continue
        tr '{}[],' '\n\n\n\n\n' <"$each" |
            sed -n 's/^[ -]*"\{0,1\}\(kind\|name\)"\{0,1\} *: *"\{0,1\}\([A-Za-z0-9._/:-]*\).*/\1 \2/p' \
                >"$WORK/cdi"
        kind=$(sed -n 's/^kind //p' "$WORK/cdi" | head -n 1)
        [ -n "$kind" ] || continue
        if grep -q '^name all$' "$WORK/cdi"; then
            cdi="$cdi --device $kind=all"
        else
            for name in $(sed -n 's/^name //p' "$WORK/cdi" | head -n 64); do
                cdi="$cdi --device $kind=$name"
            done
        fi
    done
    [ -n "$cdi" ]
}

# Runs in the container. Each waits for all the others, so that they are seen to run at one time.
write_container_probe() {
    cat >"$WORK/meet/probe" <<'PROBE'
: >"/wholecard/here.$1"
rounds=0
set -- "$2" /wholecard/here.*
while [ $(($# - 1)) -lt "$1" ] && [ "$rounds" -lt 300 ]; do
    sleep 0.2
    rounds=$((rounds + 1))
    set -- "$1" /wholecard/here.*
done
echo "together $(($# - 1))"
for node in /dev/nvidia[0-9]* /dev/dri/card* /dev/dri/renderD* /dev/kfd /dev/snd/pcm*; do
    [ ! -e "$node" ] || echo "device $node"
done
! command -v nvidia-smi >/dev/null 2>&1 || nvidia-smi -L | sed 's/^/gpu /'
PROBE
}

# An image without any content: the guest's own programs are mounted into it, so nothing is pulled.
container_mounts() {
    mounts=
    [ -n "$CONTAINER_IMAGE" ] && return
    mkdir -p "$WORK/empty"
    tar -cf "$WORK/empty.tar" -C "$WORK/empty" .
    tool "$engine" 120 "$engine" import "$WORK/empty.tar" wholecard-empty || return 1
    CONTAINER_IMAGE=wholecard-empty
    for each in /usr /bin /sbin /lib /lib64; do
        [ ! -e "$each" ] || mounts="$mounts -v $each:$each:ro"
    done
}

start_container() {
    status=0
    # $cdi and $mounts are lists of options.
    # shellcheck disable=SC2086
    "$engine" run --rm --network none --security-opt label=disable $cdi $mounts \
        -v "$WORK/meet:/wholecard" "$CONTAINER_IMAGE" /bin/sh /wholecard/probe "$1" "$CONTAINERS" \
        >"$WORK/container.$1" 2>"$WORK/container.$1.err" </dev/null || status=$?
    echo "$status" >"$WORK/container.$1.exit"
}

report_container() {
    first_line "$WORK/container.$1.exit"; status=$value
    together=$(sed -n 's/^together //p' "$WORK/container.$1")
    digits "$together"; together=$number_or_null
    seen=$(grep -c '^gpu ' "$WORK/container.$1") || :
    devices=$(clean "$(sed -n 's/^device //p' "$WORK/container.$1" | tr '\n' ' ')")
    words=
    [ "$status" = 0 ] || failure_words "$WORK/container.$1.err"
    text=$(clean "$words")
    line="\"record\":\"container\",\"index\":$1,\"engine\":\"$engine\",\"exit\":$status"
    line="$line,\"together\":$together,\"gpus\":${seen:-0},\"devices\":\"${devices% }\""
    record "$line,\"text\":\"$text\""
    containers=$((containers + 1))
}

report_containers() {
    case $CONTAINERS in '' | 0 | *[!0-9]* | ????*) return 0 ;; esac
    engine=docker
    ! there podman || engine=podman
    if ! there "$engine"; then
        problem containers 127 "neither podman nor docker is installed in this image"
    elif ! cdi_devices; then
        problem containers 1 "no CDI specification in $ETC/cdi or /var/run/cdi"
    else
        mkdir -p "$WORK/meet"
        write_container_probe
        container_mounts || return 0
        index=0
        while [ "$index" -lt "$CONTAINERS" ]; do
            start_container "$index" &
            index=$((index + 1))
        done
        wait
        index=0
        while [ "$index" -lt "$CONTAINERS" ]; do
            report_container "$index"
            index=$((index + 1))
        done
    fi
}

# --- The report -----------------------------------------------------------------------------------

# How many folders the arguments are, in $count; a pattern without a match is not one.
count_of() {
    count=$#
    [ -e "$1" ] || count=0
}

report_machine() {
    first_line "$PROC/sys/kernel/random/boot_id"
    first_eight "$value"; boot_id=$eight
    first_line "$PROC/sys/kernel/osrelease"; kernel=$value
    os=
    [ ! -r "$ETC/os-release" ] || os=$(sed -n 's/^PRETTY_NAME=//p' "$ETC/os-release")
    quoted_or_null "$os"
    count_of "$SYS"/devices/system/cpu/cpu[0-9]*; cpus=$count
    count_of "$SYS"/devices/system/node/node[0-9]*
    memory=0
    [ ! -r "$PROC/meminfo" ] || read -r _ memory _ <"$PROC/meminfo"
    line="\"record\":\"begin\",\"format\":3,\"nonce\":\"$NONCE\",\"agent\":\"linux\""
    line="$line,\"kernel\":\"$kernel\",\"os\":$quoted,\"cpus\":$cpus,\"numa_nodes\":$count"
    record "$line,\"memory_mib\":$((memory / 1024))"
}

collect() {
    number=0
    functions=0 codecs=0 gpus=0 problems=0 benchmarks=0 containers=0
    report_machine
    # nvidia-smi loads the driver where nothing else has, so functions come after it.
    report_gpus
    for each in "$SYS"/bus/pci/devices/*; do
        [ -e "$each" ] || continue
        report_function "$each"
        functions=$((functions + 1))
    done
    for each in "$SYS"/bus/hdaudio/devices/*; do
        [ -e "$each" ] || continue
        report_codec "$each"
        codecs=$((codecs + 1))
    done
    # What follows can take minutes: the reader has all else meanwhile.
    [ -z "$BENCH$CONTAINERS" ] || say
    report_benchmark
    report_containers
    line="\"record\":\"end\",\"functions\":$functions,\"codecs\":$codecs,\"gpus\":$gpus"
    record "$line,\"problems\":$problems,\"benchmarks\":$benchmarks,\"containers\":$containers"
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
say() {
    lines=$(lines_of "$WORK"/1????)
    if [ "$CONSOLE" = - ]; then printf '%s\n' "$lines"; else printf '\n%s\n' "$lines" >>"$CONSOLE"; fi
}

# The kernel writes to the serial port past the tty's buffer and would cut our lines in two.
quiet() {
    loud=
    [ "$CONSOLE" != - ] || return 0
    [ -w "$PROC/sys/kernel/printk" ] || return 0
    first_line "$PROC/sys/kernel/printk"; loud=$value
    echo 1 >"$PROC/sys/kernel/printk"
}

# What this run changed; also where it is ended.
restore() {
    [ "$CONSOLE" != - ] || rm -rf "$WORK"
    [ -z "$loud" ] || echo "$loud" >"$PROC/sys/kernel/printk"
}

repeat() {
    say
    rounds=$((ALL_BYTES / (${#lines} + 1)))
    [ "$rounds" -ge 2 ] || rounds=2
    [ "$rounds" -le "$REPEAT" ] || rounds=$REPEAT
    while [ "$rounds" -gt 1 ]; do
        sleep "$PAUSE"
        say
        rounds=$((rounds - 1))
    done
}

options "$@"
[ $$ -ne 1 ] || boot
PATH=$PATH:${WHOLECARD_PATH-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/rocm/bin}
# One report a boot: an image's own agent and one in user data must not contradict each other.
mkdir -p "${WORK%/*}"
mkdir "$WORK" 2>/dev/null || exit 0
# The config drive's disk may not be there yet.
[ $$ -eq 1 ] || ! there udevadm || [ "$SYS" != /sys ] || udevadm settle --timeout=60 || :
mounted=
read_config_drive
if [ -n "$IF_ASKED" ] && [ -z "$NONCE" ]; then
    rm -rf "$WORK"
    exit 0
fi
[ -n "$CONSOLE" ] || find_console
if [ $$ -ne 1 ]; then
    trap restore EXIT
    trap 'exit 143' HUP INT TERM
fi
quiet
wait_settled
collect
repeat
while [ $$ -eq 1 ]; do sleep 3600; done
