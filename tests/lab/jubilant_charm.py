"""A charm small enough to read at a glance, in the shell, for tests that drive the lab as a user does."""

from __future__ import annotations

import pathlib
import textwrap
import zipfile

_DISPATCH = """\
#!/bin/sh
case "$JUJU_DISPATCH_PATH" in
    hooks/start) application-version-set "{version}"; status-set active ready ;;
    hooks/upgrade-charm) status-set active "upgraded to {version}" ;;
    hooks/config-changed)
        [ "$(config-get fail)" != True ] || exit 1
        status-set active "greeting $(config-get greeting)" ;;
    hooks/peers-relation-created) is-leader | grep -q True && relation-set --app name=value || true ;;
    hooks/secret-changed|hooks/update-status) ;;
    actions/fail) action-set before=failing; action-fail "as asked"; exit 0 ;;
    actions/crash) exit 3 ;;
    actions/slow) sleep 20 ;;
    actions/echo) action-log "one line"; action-set said="$(action-get what)" deep.er=value; echo printed ;;
    actions/read-secret) action-set found="$(secret-get "$(action-get uri)" token)" ;;
esac
"""

_FILES = {
    "metadata.yaml": """\
        name: {name}
        summary: x
        description: x
        provides: {{web: http}}
        requires: {{backend: http}}
        peers: {{peers: {{interface: tiny_peers}}}}
        storage: {{data: {{type: filesystem, location: /srv/data}}}}
        resources: {{blob: {{type: file, filename: blob.txt}}}}
        """,
    "config.yaml": """\
        options:
            greeting: {{type: string, default: hello}}
            count: {{type: int, default: 1}}
            fail: {{type: boolean, default: false}}
            token: {{type: secret}}
        """,
    "actions.yaml": """\
        echo: {{description: Say it., params: {{what: {{type: string}}}}}}
        fail: {{description: Fail.}}
        crash: {{description: Crash.}}
        slow: {{description: Take time.}}
        read-secret: {{params: {{uri: {{type: string}}}}}}
        """,
    "manifest.yaml": "bases: [{{name: ubuntu, channel: '24.04', architectures: [amd64, arm64]}}]\n",
}


def pack(directory: pathlib.Path, *, version: str = "1", name: str = "tiny") -> pathlib.Path:
    """Write the charm's archive and return its path."""
    path = directory / f"{name}-{version}.charm"
    with zipfile.ZipFile(path, "w") as archive:
        for file, content in _FILES.items():
            archive.writestr(file, textwrap.dedent(content).format(name=name))
        dispatch = zipfile.ZipInfo("dispatch")
        dispatch.external_attr = 0o100755 << 16
        archive.writestr(dispatch, _DISPATCH.replace("{version}", version))
    return path
