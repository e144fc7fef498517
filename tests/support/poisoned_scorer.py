"""The scorer with a bug in its core: it raises on events whose id begins with `poison`."""

from collections.abc import Collection, Sequence

from services.scorer.__main__ import main
from services.scorer.core import step
from services.scorer.core.decode import Decoded
from services.scorer.core.decode import decode as _decode


def decode(values: Sequence[bytes | None], *, seed: int, quarantined: Collection[int] = ()) -> Decoded:
    """Read a batch, and fail where the bug is."""
    if any(value is not None and b'"id":"poison' in value for value in values):
        raise ZeroDivisionError
    return _decode(values, seed=seed, quarantined=quarantined)


step.decode = decode  # type: ignore[attr-defined]

if __name__ == "__main__":
    main()
