"""Refuse to start with other secrets than those this deployment's data was made with.

A new user-hash key would make every user a stranger, a new pepper every API key unknown: better not to start.
"""

import hashlib
from collections.abc import Mapping
from typing import Final

import msgspec

from shared.contracts.context import ContextKind, Fingerprint
from shared.contracts.topics import CONTEXT
from shared.kafka import read_to_end
from shared.publish import Publisher, Record

DIGITS: Final = 16
_KEY: Final = ContextKind.FINGERPRINT.encode()


class WrongSecret(Exception):
    """A secret differs from the one first used; a retry can't help."""

    retry_can_help = False


async def check_secrets(bootstrap: str, publisher: Publisher, secrets: Mapping[str, bytes]) -> None:
    """Compare secrets with their fingerprints in the context topic, and note those not seen before.

    Raises WrongSecret naming every secret that differs, KafkaProblem or NotDurable when Kafka doesn't answer.
    """
    known = await _known(bootstrap)
    ours = {name: hashlib.sha256(secret).hexdigest()[:DIGITS] for name, secret in secrets.items()}
    wrong = [name for name, fingerprint in ours.items() if known.get(name, fingerprint) != fingerprint]
    if wrong:
        raise WrongSecret(f"{', '.join(wrong)}: not what this deployment's data was made with; give the former one")
    new = [Fingerprint(name=name, fingerprint=fingerprint) for name, fingerprint in ours.items() if name not in known]
    await publisher.publish([Record(topic=CONTEXT, key=_KEY, value=msgspec.json.encode(one)) for one in new])


async def _known(bootstrap: str) -> Mapping[str, str]:
    known: dict[str, str] = {}
    async for record in read_to_end(bootstrap, CONTEXT):
        if record.key == _KEY and record.value is not None:
            noted = msgspec.json.decode(record.value, type=Fingerprint)
            known.setdefault(noted.name, noted.fingerprint)
    return known
