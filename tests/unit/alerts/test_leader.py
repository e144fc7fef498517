"""A process that was suspended may not write: another may have been elected meanwhile."""

from services.alerts.leader import Watch


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_suspended_process_is_never_sure_again() -> None:
    clock = Clock()
    watch = Watch(clock, limit_s=10)
    clock.now = 10.0
    assert watch.sure()
    clock.now = 10.1
    assert not watch.sure()
    clock.now = 5.0
    assert not watch.sure()
