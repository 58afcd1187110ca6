#!/usr/bin/env python3
"""The smallest charm that ops makes."""

import ops


class Bare(ops.CharmBase):
    """Is active."""

    def __init__(self, framework: ops.Framework) -> None:
        """Take note of the hooks that are compared."""
        super().__init__(framework)
        for event in (self.on.start, self.on.update_status):
            framework.observe(event, self._be_active)

    def _be_active(self, _: ops.EventBase) -> None:
        self.unit.status = ops.ActiveStatus()


if __name__ == "__main__":
    ops.main(Bare)
