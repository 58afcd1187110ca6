#!/bin/sh
# Faults that a test asks a hook for: the file $SNAP_COMMON/lab-fault-HOOK, which nothing else makes, holds `fail` or
# `sleep SECONDS` on each line.
set -eu
file="$SNAP_COMMON/lab-fault-$1"
[ -f "$file" ] || exit 0
while read -r fault argument; do
    case "$fault" in
    sleep) sleep "$argument" ;;
    fail)
        echo "$file asks for a failure" >&2
        exit 1
        ;;
    *)
        echo "$file: unknown fault '$fault'" >&2
        exit 1
        ;;
    esac
done <"$file"
