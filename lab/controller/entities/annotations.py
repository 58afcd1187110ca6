"""Annotations: texts that clients keep beside entities. Nothing else reads them."""

from __future__ import annotations

import dataclasses

import lab.controller.store as store_module


@store_module.table("annotations", key=("model", "entity"))
@dataclasses.dataclass(frozen=True)
class Annotations:
    """The annotations of one entity (a tag)."""

    model: str
    entity: str
    values: dict[str, str]
