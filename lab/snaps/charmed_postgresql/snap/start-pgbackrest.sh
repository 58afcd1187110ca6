#!/bin/sh
exec "$SNAP/setpriv.sh" "$SNAP/usr/bin/pgbackrest" server --config="$SNAP_DATA/etc/pgbackrest/pgbackrest.conf" "$@"
