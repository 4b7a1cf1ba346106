"""One file a boot loader; `registry` has one row for each."""
