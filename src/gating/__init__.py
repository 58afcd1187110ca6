"""The rules by which snapd lets snaps gate refreshes (its documentation of `snapctl refresh`). Pure."""
