#!/bin/sh
# The connections and the mapping are snap settings below ldap-sync.
set -eu
for name in ldap_host ldap_port ldap_base_dn ldap_bind_username ldap_bind_password ldap_group_identity \
    ldap_group_mappings postgres_host postgres_port postgres_database postgres_username postgres_password; do
    value=$(snapctl get "ldap-sync.$name")
    if [ -z "$value" ]; then
        echo "ldap-sync.$name is not set" >&2
        exit 1
    fi
    variable=$(echo "$name" | tr '[:lower:]' '[:upper:]')
    export "$variable=$value"
done
# Its LDAP and PostgreSQL clients are the distribution's, which nothing else in the snap is to see.
export PYTHONPATH="$PYTHONPATH:$SNAP/usr/lib/python3/dist-packages"
exec "$SNAP/setpriv.sh" python3 "$SNAP/scripts/ldap_synchronizer.py"
