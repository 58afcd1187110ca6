#!/bin/sh
exec "$SNAP/setpriv.sh" "$SNAP/usr/sbin/pgbouncer" "$@"
