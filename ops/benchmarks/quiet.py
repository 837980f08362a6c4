"""Whether others use the machine while we measure: then rates tell little, and we say so."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

BUSY_SHARE_MAX: Final = 0.1
LOOK_S: Final = 1.0
_STAT: Final = Path("/proc/stat")


class Machine:
    """Looks at the machine while nothing of ours runs, before and between what is measured."""

    def __init__(self) -> None:
        self._looks: list[float] = []

    def look(self, seconds: float = LOOK_S) -> None:
        """Sleep so long, and note the share of the cores that others took meanwhile."""
        before = _ticks()
        time.sleep(seconds)
        after = _ticks()
        if before is not None and after is not None:
            busy, all_of_it = (one - other for one, other in zip(after, before, strict=True))
            self._looks.append(busy / max(1, all_of_it))
        else:  # not Linux: the load of the last minute, ours too
            self._looks.append(min(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)))

    @property
    def busy_share(self) -> float:
        """The mean share of the cores that others had."""
        return sum(self._looks) / len(self._looks) if self._looks else 0.0

    @property
    def is_quiet(self) -> bool:
        """Whether the figures are worth their digits."""
        return self.busy_share <= BUSY_SHARE_MAX

    def told(self) -> str:
        """A sentence for beside the table."""
        share = f"{self.busy_share:.0%} of the cores were taken by others between the measurements"
        if self.is_quiet:
            return f"Quiet machine: {share}."
        return (
            f"NOT A QUIET MACHINE: {share}. The rates are worthless, and ratios only "
            "as good as the turns that they took."
        )

    def described(self) -> str:
        """The cores and the processor's name."""
        name = "unknown processor"
        cpuinfo = Path("/proc/cpuinfo")
        if cpuinfo.exists():
            for line in cpuinfo.read_text().splitlines():
                if line.startswith("model name"):
                    name = line.partition(":")[2].strip()
                    break
        return f"{os.cpu_count()} cores, {name}"


def _ticks() -> tuple[int, int] | None:
    """(busy, all) ticks of all cores since the boot; what a hypervisor took is busy too."""
    if not _STAT.exists():
        return None
    user, nice, system, idle, iowait, irq, softirq, steal = map(
        int, _STAT.read_text().split("\n", 1)[0].split()[1:9]
    )
    busy = user + nice + system + irq + softirq + steal
    return busy, busy + idle + iowait
