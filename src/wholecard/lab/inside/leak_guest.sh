
# The guest of the leak's demonstration. It says what it finds in the memory of each card, and then
# fills it with marks of its own boot for the next guest to find.

SIZE=${GUEST_SIZE:-16777216}

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

cards=0
for card in $(framebuffers); do
    look "$card"
    mark "$card"
    cards=$((cards + 1))
done
say "WHOLECARD-LEAK cards=$cards mine=$id done"
while [ $$ -eq 1 ]; do sleep 3600; done
