#!/bin/sh
# Runs a command as the snap's own user.
exec setpriv --clear-groups --reuid _daemon_ --regid _daemon_ -- "$@"
