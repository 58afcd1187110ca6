#!/bin/sh
# Patroni runs initdb, whose databases take their encoding from the locale.
LANG=C.UTF-8
export LANG
# Not by exec, as in the public snap: the shell stays, is the service's main process, and gets its signals too.
"$SNAP/setpriv.sh" "$SNAP/usr/bin/patroni" "$SNAP_DATA/etc/patroni/patroni.yaml" "$@"
