"""Password verifiers: the very ones that PostgreSQL makes and takes."""

from __future__ import annotations

import base64

import hypothesis
import psycopg
import psycopg.pq
import pytest
from hypothesis import strategies

from workload import scram

passwords = strategies.text(strategies.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)


def of_libpq(password: str) -> str:
    """What PostgreSQL's own client library makes of a password."""
    connection = psycopg.pq.PGconn.connect_start(b"host=127.0.0.1 port=1")
    return connection.encrypt_password(password.encode(), b"anyone", b"scram-sha-256").decode()


def test_the_vector_of_rfc_7677() -> None:
    # Salt and count of the example in section 3. With this server key its server signature comes out too.
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    assert scram.verifier("pencil", salt, 4096) == (
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
        ":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )


@hypothesis.settings(max_examples=15, deadline=None)
@hypothesis.given(passwords)
def test_libpq_s_verifier_matches_and_no_other_password_does(password: str) -> None:
    stored = of_libpq(password)
    assert scram.matches(stored, password)
    assert not scram.matches(stored, password + "x")
    assert not scram.matches(stored, password[:-1])


def test_a_verifier_is_salted() -> None:
    first, second = scram.verifier("secret"), scram.verifier("secret")
    assert first != second
    assert scram.matches(first, "secret")
    assert scram.matches(second, "secret")
    assert "secret" not in first


@pytest.mark.parametrize(
    "stored",
    [
        None,
        "",
        "secret",
        "md5e10adc3949ba59abbe56e057f20f883e",
        "SCRAM-SHA-256$",
        "SCRAM-SHA-256$4096",
        "SCRAM-SHA-256$x:c2FsdA==$a:b",
        "SCRAM-SHA-256$4096:not base64$a:b",
        "SCRAM-SHA-256$4096:c2FsdA==$a:b",
        "SCRAM-SHA-256$0:c2FsdA==$a:b",
    ],
)
def test_what_is_no_verifier_matches_nothing(stored: str | None) -> None:
    assert not scram.matches(stored, "secret")


def test_only_ascii() -> None:
    with pytest.raises(UnicodeEncodeError):
        scram.verifier("geheimnisüberall")
