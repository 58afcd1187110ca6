#!/bin/sh
# The credentials are snap settings: exporter.user and exporter.password.
DATA_SOURCE_USER=$(snapctl get exporter.user)
DATA_SOURCE_PASS=$(snapctl get exporter.password)
if [ -z "$DATA_SOURCE_USER" ] || [ -z "$DATA_SOURCE_PASS" ]; then
    echo "exporter.user and exporter.password are not set" >&2
    exit 1
fi
DATA_SOURCE_URI=":5432/postgres?host=$PGHOST"
export DATA_SOURCE_USER DATA_SOURCE_PASS DATA_SOURCE_URI
exec "$SNAP/setpriv.sh" "$SNAP/usr/bin/prometheus-postgres-exporter" "$@"
