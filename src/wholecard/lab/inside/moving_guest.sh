
# The guest that is moved live. It marks its card's memory once, and then counts: at each step it
# sends a line through its slice (the kernel's mtty, a serial port that sends back what it gets) and
# compares its card's memory with the marks.

STEPS=${GUEST_STEPS:-0}
SIZE=${GUEST_SIZE:-16777216}
# Comparing 8 MiB takes seconds: at each step the last 64 KiB, and so often the whole second half.
# The first half is the console's, which draws there.
HALF_EVERY=30

# The serial port of the slice; nothing where there is none.
slice() {
    for each in "$SYS"/bus/pci/devices/*; do
        read -r vendor <"$each/vendor"
        [ "$vendor" = 0x4348 ] || continue
        for port in "$each"/tty/ttyS* "$each"/*/*/tty/ttyS*; do
            [ -e "$port" ] && echo "$DEV/${port##*/}" && return
        done
    done
}

marks() {
    yes "WHOLECARD-MARK $id ===========" | head -c "$1"
}

same() {
    marks "$2" >"$WORK/expected"
    dd if="$DEV/$1" of="$WORK/memory" bs=65536 skip="$3" count=$(($2 / 65536)) 2>/dev/null
    cmp -s "$WORK/expected" "$WORK/memory"
}

port=$(slice)
if [ -n "$port" ]; then
    [ ! -c "$port" ] || stty -F "$port" raw -echo
    exec 3<>"$port"
fi
card=$(framebuffers | head -n 1)
[ -z "$card" ] || marks "$SIZE" | dd of="$DEV/$card" bs=65536 conv=notrunc 2>/dev/null
step=0 answered=0 kept=0
while [ "$STEPS" -eq 0 ] || [ "$step" -lt "$STEPS" ]; do
    step=$((step + 1))
    if [ -n "$port" ]; then
        answer=
        echo "step $step" >&3
        read -t 5 -r answer <&3
        [ "$answer" = "step $step" ] && answered=$((answered + 1))
    fi
    if [ -n "$card" ]; then
        # The marks repeat every 64 bytes, so any part of the memory begins with a whole one.
        bytes=65536
        [ $((step % HALF_EVERY)) -ne 0 ] || bytes=$((SIZE / 2))
        same "$card" "$bytes" $(((SIZE - bytes) / 65536)) && kept=$((kept + 1))
    fi
    say "WHOLECARD-MOVING step=$step answered=$answered kept=$kept slice=${port##*/} card=$card mine=$id end"
    sleep 1
done
