"""Give the broker a small disk of its own that can be filled: a tmpfs, which only root may mount."""

import errno
import subprocess
from pathlib import Path
from typing import Final

SIZE_MB: Final = 2048
BLOCK: Final = b"\0" * (1 << 20)


class Disk:
    """A tmpfs over a folder."""

    def __init__(self, folder: Path, *, size_mb: int = SIZE_MB) -> None:
        self._folder = folder
        self._size_mb = size_mb

    def mount(self) -> None:
        """Mount it. Raises CalledProcessError where that is not allowed."""
        self._folder.mkdir(parents=True, exist_ok=True)
        options = f"size={self._size_mb}m"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "churnwatch-faults", str(self._folder)], check=True)

    def unmount(self) -> None:
        """Unmount it, even if something is still open."""
        subprocess.run(["umount", "-l", str(self._folder)], check=False)

    def fill(self) -> None:
        """Leave not a byte."""
        with self._ballast.open("wb", buffering=0) as file:
            for block in (BLOCK, BLOCK[:4096]):
                try:
                    while file.write(block):
                        pass
                except OSError as full:
                    if full.errno != errno.ENOSPC:
                        raise

    def free(self) -> None:
        """Make room again."""
        self._ballast.unlink(missing_ok=True)

    @property
    def _ballast(self) -> Path:
        return self._folder / "ballast"
