"""Have the jars of Apache Kafka at hand: pinned by version and SHA-256, fetched once for this user.

`python -m deploy.local.jars` fetches what is missing; `python -m deploy.local.jars pin` writes jars.lock anew.
"""

import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

KAFKA_VERSION = "4.1.0"
# Two resolutions on purpose: in one, log4j's version management pulls kafka-clients back to 3.8 and the broker dies.
# Without the second the broker logs nothing.
ENDPOINTS = (
    f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}",
    "org.apache.logging.log4j:log4j-slf4j-impl:2.24.3",
)
PINS = Path(__file__).with_name("jars.lock")
SAID_EVERY = 10
ATTEMPTS = 3
DOWNLOADS_AT_ONCE = 8


class JarUnavailable(RuntimeError):
    """A pinned jar can't be had; the message says which and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Jar:
    """One pinned jar."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def filename(self) -> str:
        return f"{self.artifact}-{self.version}.jar"

    @property
    def coordinate(self) -> str:
        return f"{self.group}:{self.artifact}:{self.version}"


def user_cache() -> Path:
    """Return this user's cache folder, shared by all clones of this repository."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "churnwatch"


def pinned() -> Sequence[Jar]:
    """Return the jars of jars.lock."""
    lines = [line.split() for line in PINS.read_text("utf-8").splitlines() if line and line[0] != "#"]
    return [_jar(coordinate, sha256) for coordinate, sha256 in lines]


def jars(cache: Path | None = None) -> Sequence[Path]:
    """Return the path of every pinned jar, fetching those that are missing or broken.

    A jar enters the folder whole and verified or not at all, so a broken run is repaired by the next and runs side by
    side don't disturb each other. Raises JarUnavailable.
    """
    folder = (cache or user_cache()) / f"kafka-{KAFKA_VERSION}"
    folder.mkdir(parents=True, exist_ok=True)
    wanted = pinned()
    missing = [jar for jar in wanted if _sha256(folder / jar.filename) != jar.sha256]
    if missing:
        print(f"fetching {len(missing)} jars of Apache Kafka {KAFKA_VERSION}, once for this user", file=sys.stderr)
        with ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
            for number, future in enumerate([pool.submit(_fetch, jar, folder) for jar in missing], start=1):
                future.result()
                if number % SAID_EVERY == 0:
                    print(f"  {number} of {len(missing)} jars are there", file=sys.stderr)
    return [folder / jar.filename for jar in wanted]


def _fetch(jar: Jar, folder: Path) -> None:
    faults: list[str] = []
    for _ in range(ATTEMPTS):
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as temporary:
            try:
                path = _download(jar, Path(temporary))
            except Exception as error:  # noqa: BLE001  jgo and requests raise many kinds; all mean "not had"
                faults.append(str(error) or type(error).__name__)
                continue
            found = _sha256(path)
            if found == jar.sha256:
                path.replace(folder / jar.filename)
                return
            faults.append(f"its SHA-256 is {found}, not {jar.sha256}")
    raise JarUnavailable(
        f"{jar.coordinate} can't be fetched: {faults[-1]}; needs access to Maven Central or a mirror named under"
        " [repositories] in ~/.config/jgo.conf, or use a Kafka of your own: CHURNWATCH_KAFKA=host:port"
    )


def _download(jar: Jar, folder: Path) -> Path:
    # jgo is a tool of development, not there in the image: imported where it is used
    from jgo.config import GlobalSettings  # noqa: PLC0415
    from jgo.constants import MAVEN_CENTRAL_URL  # noqa: PLC0415
    from jgo.maven import MavenContext  # noqa: PLC0415

    repositories = {"central": MAVEN_CENTRAL_URL, **GlobalSettings.load().repositories}
    context = MavenContext(repo_cache=folder, local_repos=[], remote_repos=repositories, timeout=30)
    return Path(context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve())


def _pin() -> None:
    import jgo  # noqa: PLC0415  see _download

    lines: Iterator[str] = (
        f"{artifact.groupId}:{artifact.artifactId}:{artifact.version} {_sha256(artifact.resolve())}"
        for endpoint in ENDPOINTS
        for artifact in jgo.resolve(endpoint)
    )
    head = "# Written by `python -m deploy.local.jars pin`; SHA-256 checked at every start."
    PINS.write_text("\n".join([head, *sorted(set(lines))]) + "\n", "utf-8")


def _jar(coordinate: str, sha256: str) -> Jar:
    group, artifact, version = coordinate.split(":")
    return Jar(group=group, artifact=artifact, version=version, sha256=sha256)


def _sha256(path: Path) -> str | None:
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    if sys.argv[1:] == ["pin"]:
        _pin()
    else:
        try:
            jars()
        except JarUnavailable as missing_jar:
            sys.exit(f"churnwatch: {missing_jar}")
