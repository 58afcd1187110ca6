"""Patroni's REST API (Patroni documentation, "Patroni REST API")."""

import base64
import collections.abc
import http.client
import json
import logging
import typing

from workload import cluster, paths

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 5.0
SWITCHOVER_TIMEOUT_SECONDS = 30.0
# One that does not answer by then is no help.
WAKE_UP_TIMEOUT_SECONDS = 1.0
USER = "patroni"


class PatroniError(Exception):
    """Patroni refused a request, or could not be reached. The text never holds a password."""


class PatroniUnreachable(PatroniError):
    """Patroni's REST API does not answer at all."""


class PatroniRefused(PatroniError):
    """The cluster as it is does not allow it (412; Patroni documentation, REST API): nothing was begun."""


class Client:
    """Talks to the Patroni of one address. Reading needs no password; changing does."""

    def __init__(self, address: str, password: str | None = None, port: int = paths.PATRONI_PORT):
        self._address = address
        self._password = password
        self._port = port

    def answers(self) -> bool:
        """Whether the REST API is up, whatever the state of the cluster."""
        try:
            self._request("GET", "/liveness")
        except PatroniUnreachable:
            return False
        except PatroniError:
            pass
        return True

    def history(self) -> tuple[cluster.Promotion, ...]:
        """Each time that another member became the primary, oldest first; none where Patroni does not answer."""
        try:
            return cluster.parse_history(self._request("GET", "/history"))
        except PatroniError:
            return ()

    def condition(self) -> cluster.Condition | None:
        """What this member's PostgreSQL does; None where Patroni does not answer."""
        try:
            return cluster.Condition.parse(self._request("GET", "/patroni"))
        except PatroniError:
            return None

    def cluster(self) -> cluster.ClusterView | None:
        """The cluster as this member sees it; None where Patroni does not answer or knows of no cluster."""
        try:
            return cluster.ClusterView.parse(self._request("GET", "/cluster"))
        except PatroniError:
            return None

    def configuration(self) -> dict[str, typing.Any] | None:
        """The dynamic configuration, which all members share; None where there is none yet."""
        try:
            return self._request("GET", "/config")
        except PatroniError:
            return None

    def change_configuration(self, patch: collections.abc.Mapping[str, typing.Any]) -> None:
        """Merge `patch` into the dynamic configuration; null removes a key. Raises PatroniError."""
        self._request("PATCH", "/config", patch)

    def reload(self) -> None:
        """Make Patroni read its configuration file again. Raises PatroniError."""
        self._request("POST", "/reload", {})

    def wake_up(self) -> None:
        """Make Patroni look at the cluster now, not only in its next loop. Raises PatroniError.

        It does so whenever it is asked for a change of the dynamic configuration (`do_PATCH_config` in api.py of
        Patroni's source), also where nothing is to change: as here, where a key is removed that there is not.
        """
        self._request("PATCH", "/config", {"wake_up": None}, WAKE_UP_TIMEOUT_SECONDS)

    def switchover(self, leader: str, candidate: str) -> None:
        """Ask for `candidate` to take over from `leader`.

        Raises PatroniError where it was refused, and also where the outcome is not known (status 503): read the cluster
        again in both cases, and do not ask again blindly.
        """
        self._request("POST", "/switchover", {"leader": leader, "candidate": candidate}, SWITCHOVER_TIMEOUT_SECONDS)

    def _request(self, method: str, path: str, body: object = None, timeout: float = TIMEOUT_SECONDS) -> typing.Any:
        headers = {"Content-Type": "application/json"}
        if self._password is not None:
            credentials = base64.b64encode(f"{USER}:{self._password}".encode()).decode()
            headers["Authorization"] = f"Basic {credentials}"
        connection = http.client.HTTPConnection(self._address, self._port, timeout=timeout)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            text = response.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            raise PatroniUnreachable(f"Patroni at {self._address} does not answer: {error}") from error
        finally:
            connection.close()
        if response.status >= 300:
            kind = PatroniRefused if response.status == http.HTTPStatus.PRECONDITION_FAILED else PatroniError
            raise kind(f"Patroni at {self._address} answered {response.status}: {text.strip()[:200]}")
        try:
            return json.loads(text)
        except ValueError:
            return {"message": text}
