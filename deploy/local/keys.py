"""Make the deployment's secrets once, readable by nobody else."""

import os
import secrets
from pathlib import Path

from shared.settings import SECRET_BYTES

NAMES = ("user_hash_key", "dead_letter_key", "key_pepper", "slack_signing_secret")


def make_secrets(data: Path) -> list[str]:
    """Create the secrets that are missing in `<data>/secrets`, mode 0600, and return their names."""
    folder = data / "secrets"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return [name for name in NAMES if _make(folder / name)]


def _make(path: Path) -> bool:
    if path.exists():
        return False
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(SECRET_BYTES) + "\n")
    try:
        # a link fails where a rename would replace the secret another run made meanwhile
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        temporary.unlink()
    return True
