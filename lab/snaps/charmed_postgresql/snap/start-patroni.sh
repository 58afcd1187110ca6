#!/bin/sh
# Patroni runs initdb, whose databases take their encoding from the locale.
LANG=C.UTF-8
export LANG
exec "$SNAP/setpriv.sh" "$SNAP/usr/bin/patroni" "$SNAP_DATA/etc/patroni/patroni.yaml" "$@"
