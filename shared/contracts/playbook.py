"""Define what `config/playbooks.yaml` holds, by the name a rule gives under `playbook`."""

import msgspec


class Playbook(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to do when a rule opens; `url` leads to the full text."""

    steps: list[str]
    url: str | None = None
