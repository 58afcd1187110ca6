"""SCRAM-SHA-256 verifiers as PostgreSQL stores them (RFC 5802 and 7677; src/common/scram-common.c for the text form).

Passwords go to the server only in this form, so that no statement, and so no log, ever holds one.
"""

import base64
import hashlib
import hmac
import os

ITERATIONS = 4096
SALT_BYTES = 16
_PREFIX = "SCRAM-SHA-256$"


def verifier(password: str, salt: bytes | None = None, iterations: int = ITERATIONS) -> str:
    """The verifier of `password`, which must be ASCII (the charm generates only such, so SASLprep changes nothing)."""
    salt = os.urandom(SALT_BYTES) if salt is None else salt
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, iterations)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    encode = lambda value: base64.b64encode(value).decode()  # noqa: E731
    return f"{_PREFIX}{iterations}:{encode(salt)}${encode(stored)}:{encode(server)}"


def matches(stored: str | None, password: str) -> bool:
    """Whether the stored verifier is one of `password`; False for anything that is not a SCRAM verifier."""
    if stored is None or not stored.startswith(_PREFIX):
        return False
    try:
        iterations, salt = stored.removeprefix(_PREFIX).split("$")[0].split(":")
        expected = verifier(password, base64.b64decode(salt, validate=True), int(iterations))
    except ValueError:
        return False
    return hmac.compare_digest(stored, expected)
