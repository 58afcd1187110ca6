"""Errors as Juju's API shapes them: a message, and a code that clients compare."""

from __future__ import annotations

import logging

from lab.controller import operations_common
from lab.controller import store as store_module
from lab.controller.operations_common import Json, OperationError

NOT_IMPLEMENTED = "not implemented"
NOT_SUPPORTED = "not supported"
UNAUTHORIZED = "unauthorized access"
MODEL_NOT_FOUND = "model not found"

_logger = logging.getLogger(__name__)


def from_exception(error: Exception) -> OperationError:
    """What a client is told of an exception. What nobody foresaw is logged and goes without a code."""
    if isinstance(error, OperationError):
        return error
    if isinstance(error, store_module.NotFoundError):
        return OperationError("not found", str(error))
    if isinstance(error, ValueError | TypeError | KeyError):
        _logger.warning("request refused", exc_info=error)
        return operations_common.bad_request(f"{type(error).__name__}: {error}")
    _logger.error("request failed", exc_info=error)
    return OperationError("", f"{type(error).__name__}: {error}")


def in_result(error: OperationError) -> Json:
    """One result of a bulk call that failed."""
    return {"error": {"message": error.message, "code": error.code}}
