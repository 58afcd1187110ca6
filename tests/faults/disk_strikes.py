"""Disks that are full: where snapd keeps snaps, and the storages of the write-ahead log and of the data."""

from __future__ import annotations

import strike

WAL = f"{strike.COMMON}/data/logs"
DATA = f"{strike.COMMON}/var/lib/postgresql"
SNAPS = "/var/lib/snapd/snaps"


class SnapDiskFull(strike.Strike):
    """Where snapd keeps snaps a file system lies that is as good as full, with the same snaps in it."""

    seconds = 45.0
    hampers = True
    keeps_serving = True

    def prepare(self) -> None:
        unit = self.scene.application.unit(1)
        self.shell(unit, f"snap remove charmed-postgresql --revision={self.scene.target}", check=False)
        script = f"""set -e
            mkdir -p /run/lab-snaps
            size=$(du -sk {SNAPS} | cut -f1)
            mount -t tmpfs -o size=$((size + 4096))k tmpfs /run/lab-snaps
            cp -a {SNAPS}/. /run/lab-snaps/
            mount --bind /run/lab-snaps {SNAPS}"""
        self.shell(unit, script)

    def strike(self, unit: str) -> None:
        """The disk does it."""

    def heal(self) -> None:
        self.clear()

    def clear(self) -> None:
        unit = self.scene.application.unit(1)
        self.shell(unit, f"umount -l {SNAPS} 2>/dev/null; umount -l /run/lab-snaps 2>/dev/null; true")


class _Filled(strike.Strike):
    seconds = 30.0
    promotions = (0, 2)
    where = ""

    def strike(self, unit: str) -> None:
        script = f"""free=$(stat -f -c '%a' {self.where}); size=$(stat -f -c '%S' {self.where})
            fallocate -l $((free * size)) {self.where}/filler || true
            dd if=/dev/zero of={self.where}/filler bs=64k oflag=append conv=notrunc 2>/dev/null || true
            stat -f -c '%a' {self.where}"""
        self.struck = unit
        free = self.shell(unit, script).split()[-1]
        if free != "0":
            raise strike.NotStruckError(f"{self.where} of {unit} was not full: {free} blocks were free")

    def heal(self) -> None:
        self.clear()

    def clear(self) -> None:
        if self.struck:
            self.shell(self.struck, f"rm -f {self.where}/filler")


class WalDiskFull(_Filled):
    where = WAL


class DataDiskFull(_Filled):
    where = DATA
