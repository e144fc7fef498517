"""`churnwatch ahead` over a real log: what the scorer would say next, from its checkpoint and the events since."""

from functools import partial

import msgspec
import pytest

from lab.ahead.command import ahead
from lab.ahead.reading import read_account
from lab.trouble import Trouble
from shared import clock
from shared.contracts.health import AccountHealth
from tests.support.scoring import (
    KEY,
    ScorerProcess,
    checkpoint_spans,
    days_of_use,
    expected,
    last_context,
    wait_scored,
    write,
)
from tests.support.waiting import soon

ACCOUNTS = 12


async def test_an_account_stands_as_its_checkpoint_and_the_log_since_tell(
    scorer: ScorerProcess, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHURNWATCH_DEAD_LETTER_KEY", KEY)
    scorer.start_ready()
    context, now = await last_context(scorer.kafka), clock.now_ms()
    await write(scorer.kafka, days_of_use(range(-40, -2), end=now, context=context, accounts=ACCOUNTS))
    await wait_scored(scorer.redis, (await expected(scorer.kafka)).healths)
    await soon(partial(_have_checkpoints, scorer.kafka))
    scorer.stop()
    await write(scorer.kafka, days_of_use(range(-2, 1), end=now, context=context, accounts=ACCOUNTS))
    wanted = (await expected(scorer.kafka)).healths
    assert len(wanted) == ACCOUNTS
    for account, health in wanted.items():
        found = await read_account(scorer.kafka, account, key=bytes.fromhex(KEY))
        assert _anywhere(found.now()) == _anywhere(health)
    account = next(account for account, health in wanted.items() if health.episodes)
    await ahead(account, days=2)
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith(f"{account}: {wanted[account].band}, health ")
    assert any(line.startswith("back to ") for line in said)
    with pytest.raises(Trouble, match="no account 'nobody'"):
        await ahead("nobody")
    with pytest.raises(Trouble, match="--days 92"):
        await ahead(account, days=92)
    with pytest.raises(Trouble, match="fingerprint"):
        await read_account(scorer.kafka, account, key=b"k" * 32)


async def _have_checkpoints(kafka: str) -> bool:
    return all(end for _, end in (await checkpoint_spans(kafka)).values())


def _anywhere(health: AccountHealth) -> AccountHealth:
    return msgspec.structs.replace(health, partition=0, offset=0)
