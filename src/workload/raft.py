"""The Raft cluster in which Patroni keeps its state: who belongs to it, and the few commands that change that.

Patroni's documentation calls its Raft support deprecated; all that the charm knows of it is in this module.
Addresses are "host:port", as pysyncobj names its nodes.
"""

import collections.abc
import dataclasses
import io
import logging
import pickle
import typing

from workload import paths

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 5.0
# pysyncobj's status names each partner in a key of its own; its value is the state of the connection.
_PARTNER_KEY = "partner_node_status_server_"
_CONNECTED = 2


@dataclasses.dataclass(frozen=True)
class RaftView:
    """What one node told of the Raft cluster."""

    node: str
    leader: str | None
    has_quorum: bool
    connected: frozenset[str]
    """Partners that this node has a connection to."""
    members: frozenset[str]
    """All members, this node among them."""

    def are_majority(self, nodes: collections.abc.Set[str]) -> bool:
        """Whether these nodes alone are a majority of the members."""
        return len(nodes & self.members) > len(self.members) // 2

    def may_leave(self, node: str) -> bool:
        """Whether the others can let this member go, by a majority of their own; one that is alone needs nobody."""
        return self.members == {node} or self.are_majority((self.connected | {self.node}) - {node})

    @classmethod
    def parse(cls, status: collections.abc.Mapping[str, typing.Any]) -> "RaftView":
        """From the answer to pysyncobj's `status` command. Unknown keys are ignored."""
        partners = {
            key.removeprefix(_PARTNER_KEY): value for key, value in status.items() if key.startswith(_PARTNER_KEY)
        }
        node = str(status["self"])
        leader = status.get("leader")
        return cls(
            node=node,
            leader=str(leader) if leader else None,
            has_quorum=bool(status.get("has_quorum")),
            connected=frozenset(name for name, value in partners.items() if value == _CONNECTED),
            members=frozenset({node, *partners}),
        )


def node_address(host: str) -> str:
    """The Raft node of the unit at `host`."""
    return f"{host}:{paths.RAFT_PORT}"


class Raft:
    """Asks nodes of the Raft cluster, with the password that they share."""

    def __init__(self, password: str):
        self._password = password

    def view(self, node: str) -> RaftView | None:
        """What `node` sees; None where it does not answer (or the password is another one.

        Pysyncobj tells them not apart).
        """
        answer = self._execute(node, ["status"])
        return RaftView.parse(answer) if isinstance(answer, dict) and "self" in answer else None

    def add(self, via: str, node: str) -> bool:
        """Ask `via` to make `node` a member; whether it did."""
        return self._succeeded(self._execute(via, ["add", node]))

    def remove(self, via: str, node: str) -> bool:
        """Ask `via` to take `node` out; whether it did. The Raft leader itself cannot be removed: transfer first."""
        return self._succeeded(self._execute(via, ["remove", node]))

    def transfer_leadership(self, leader: str, to: str) -> bool:
        """Ask the Raft leader to let `to` lead; whether it began to."""
        return self._succeeded(self._execute(leader, ["transfer", to]))

    def _execute(self, node: str, command: list[str]) -> object:
        # Imported here: it takes time, and most hooks do not ask Raft anything.
        from pysyncobj import tcp_connection, utility

        tcp_connection.pickle = _AnswerFormat
        try:
            return utility.TcpUtility(self._password, TIMEOUT_SECONDS).executeCommand(node, command)
        except (utility.UtilityException, OSError) as error:
            logger.info("Raft node %s did not answer %s: %s", node, command[0], error)
            return None

    @staticmethod
    def _succeeded(answer: object) -> bool:
        # The answer is a text such as "SUCCESS REMOVE host:port" or "FAIL REMOVE host:port".
        return isinstance(answer, str) and answer.startswith("SUCCESS")


class _Answer(pickle.Unpickler):
    """Reads values and names of nodes only.

    Nodes answer with a pickle, which could name any function to call, and hooks run as root: whoever has the password,
    such as the snap's user, would be root. Source: Python's documentation of pickle, "Restricting globals".
    """

    def find_class(self, module_name: str, global_name: str, /) -> object:
        from pysyncobj import node

        match module_name, global_name:
            case "pysyncobj.node", "TCPNode":
                return node.TCPNode
            case "_codecs", "encode":
                # Protocol 2 has no bytes of its own: a text and how to encode it.
                return _bytes
            case _:
                raise pickle.UnpicklingError(f"{module_name}.{global_name} has no place in an answer")


def _bytes(text: str, _encoding: str) -> bytes:
    return text.encode("latin1")


class _AnswerFormat:
    """What pysyncobj's connections use of its own module `pickle`."""

    @staticmethod
    def dumps(message: object) -> bytes:
        return pickle.dumps(message, protocol=2)

    @staticmethod
    def loads(message: bytes) -> object:
        return _Answer(io.BytesIO(message)).load()
