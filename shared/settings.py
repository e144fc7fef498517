"""Read a process's settings from the environment and report every fault at once."""

import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, SecretBytes, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticUndefined
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

PREFIX = "CHURNWATCH_"
DATA_FOLDER = Path(".data")
SECRET_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsafeFile:
    """A secret file that may not be used, and why."""

    path: Path
    reason: str


def _host_ports(value: str) -> str:
    for server in value.split(","):
        host, _, port = server.strip().rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 1 << 16:
            raise ValueError(f"{server!r} is not host:port")
    return value


def _redis_url(value: str) -> str:
    if not value.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError(f"{value!r} is not a redis:// URL")
    return value


def _key_bytes(value: object) -> object:
    if isinstance(value, UnsafeFile):
        raise ValueError(f"{value.path} {value.reason}")  # noqa: TRY004  pydantic wants ValueError
    if not isinstance(value, str):
        return value
    try:
        key = bytes.fromhex(value.strip())
    except ValueError:
        raise ValueError("is not hexadecimal") from None
    if len(key) != SECRET_BYTES:
        raise ValueError(f"has {len(value.strip())} digits, not {2 * SECRET_BYTES}")
    return key


Servers = Annotated[str, AfterValidator(_host_ports)]
RedisUrl = Annotated[str, AfterValidator(_redis_url)]
HexKey = Annotated[SecretBytes, BeforeValidator(_key_bytes), Field(json_schema_extra={"secret": True})]
"""32 bytes written as 64 hex digits; `.get_secret_value()` returns the bytes."""
Port = Annotated[int, Field(ge=1, le=65535)]


class SecretFiles(PydanticBaseSettingsSource):
    """Read the secrets the environment does not give from `<data>/secrets/<name>`, mode 0600."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        path = Path(self.current_state.get("data", DATA_FOLDER)) / "secrets" / field_name
        if not _is_secret(field) or not path.is_file():
            return None, field_name, False
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            reason = "is readable by others: chmod 600 it"
            return UnsafeFile(path=path, reason=reason), field_name, False
        return path.read_text("ascii", errors="replace").strip(), field_name, False

    def __call__(self) -> dict[str, Any]:
        values = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in values.items() if value is not None}


class ServiceSettings(BaseSettings):
    """What every process of Churnwatch is told; a service adds its own fields in a subclass."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="ignore")

    kafka: Servers = Field("127.0.0.1:9092", description="Kafka servers, host:port, comma-separated")
    redis: RedisUrl = Field("redis://127.0.0.1:6379/0", description="Redis address")
    data: Path = Field(DATA_FOLDER, description="Folder of local data, logs and secrets")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe log line to write"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  not used: environment only
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  replaced by SecretFiles
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, SecretFiles(settings_cls)


S = TypeVar("S", bound=ServiceSettings)


def load(cls: type[S]) -> S:
    """Return the settings of a process, or write every fault to stderr and exit 2."""
    try:
        return cls()
    except ValidationError as faults:
        for line in fault_lines(cls, faults):
            print(line, file=sys.stderr)  # noqa: T201  logs are not configured yet
        raise SystemExit(2) from None


def fault_lines(cls: type[ServiceSettings], faults: ValidationError) -> Sequence[str]:
    """Return one line a fault: the variable, what is wrong, the remedy."""
    errors = faults.errors(include_url=False, include_input=False)
    return [_fault_line(cls.model_fields, error) for error in errors]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """One environment variable as documented: `default` None means required."""

    name: str
    default: str | None
    description: str
    secret: bool


def variables(cls: type[ServiceSettings]) -> Iterator[Variable]:
    """Yield the environment variables a settings class reads, in order (README's table)."""
    for name, field in cls.model_fields.items():
        required = field.is_required()
        yield Variable(
            name=variable_name(name),
            default=None if required else str(field.get_default(call_default_factory=True)),
            description=field.description or "",
            secret=_is_secret(field),
        )


def variable_name(field_name: str) -> str:
    """Return the environment variable of a settings field."""
    return f"{PREFIX}{field_name}".upper()


def _is_secret(field: FieldInfo) -> bool:
    extra = field.json_schema_extra
    return isinstance(extra, dict) and bool(extra.get("secret"))


def _fault_line(fields: Mapping[str, FieldInfo], error: ErrorDetails) -> str:
    location = str(error["loc"][0]) if error["loc"] else ""
    field = fields.get(location)
    if field is None:
        return _words(error["msg"])
    wrong = "is missing" if error["type"] == "missing" else _words(error["msg"])
    return f"{variable_name(location)}: {wrong}; {_remedy(location, field)}"


def _words(message: str) -> str:
    return message.removeprefix("Value error, ")


def _remedy(name: str, field: FieldInfo) -> str:
    what = f" ({field.description})" if field.description else ""
    if _is_secret(field):
        return (
            f"set it to {2 * SECRET_BYTES} hex digits, as `openssl rand -hex {SECRET_BYTES}` prints,"
            f" or keep them in <{variable_name('data')}>/secrets/{name} with mode 0600,"
            f" which `make up` creates{what}"
        )
    if field.default is not PydanticUndefined and field.default is not None:
        return f"set it like the default, {field.default}{what}"
    return f"set it{what}"
