#!/bin/sh
exec "$SNAP/setpriv.sh" "$SNAP/usr/bin/prometheus-pgbackrest-exporter" \
    --backrest.config="$SNAP_DATA/etc/pgbackrest/pgbackrest.conf" "$@"
