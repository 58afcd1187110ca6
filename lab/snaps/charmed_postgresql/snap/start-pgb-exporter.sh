#!/bin/sh
exec "$SNAP/setpriv.sh" "$SNAP/usr/bin/prometheus-pgbouncer-exporter" "$@"
