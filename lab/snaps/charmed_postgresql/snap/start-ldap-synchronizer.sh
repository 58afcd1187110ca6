#!/bin/sh
# The connections and the mapping are snap settings below ldap-sync. They are read as one document, since snapd's names
# for single settings have no underscores.
LDAP_SYNC=$(snapctl get -d ldap-sync)
export LDAP_SYNC
# Its LDAP and PostgreSQL clients are the distribution's, which nothing else in the snap is to see.
export PYTHONPATH="$PYTHONPATH:$SNAP/usr/lib/python3/dist-packages"
exec "$SNAP/setpriv.sh" python3 "$SNAP/scripts/ldap_synchronizer.py"
