"""Say what the alert service is told by its environment."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, model_validator

from shared.settings import HexKey, Port, ServiceSettings


def _http_url(value: str) -> str:
    if not value.startswith(("http://", "https://")) or not value.endswith("/"):
        raise ValueError(f"{value!r} is not an http(s) URL that ends with /")
    return value


def _mail_address(value: str) -> str:
    if value.count("@") != 1 or any(c.isspace() for c in value):
        raise ValueError(f"{value!r} is not a mail address")
    return value


class AlertSettings(ServiceSettings):
    """Settings of the alert service."""

    alerts_host: str = Field("127.0.0.1", description="Address on which the alert API listens")
    alerts_port: Port = Field(8803, description="Port on which the alert API listens, its metrics included")
    config: Path = Field(Path("config"), description="Folder of routes, people, playbooks and rules (.yaml)")
    slack_url: Annotated[str, AfterValidator(_http_url)] = Field(
        "https://slack.com/api/", description="Where Slack's Web API is"
    )
    slack_token: SecretStr | None = Field(None, description="Slack bot token (xoxb-...); without it no Slack")
    slack_signing_secret: SecretStr | None = Field(
        None, min_length=16, description="Slack's signing secret; without it messages have no buttons"
    )
    slack_interval_s: float = Field(1.0, ge=0, le=60, description="Seconds between two calls for one Slack channel")
    list_settle_s: float = Field(
        5.0, ge=0, le=50, description="Seconds without another account until a list of standing risks is told"
    )
    smtp_host: str | None = Field(None, description="Mail server; without it no mail")
    smtp_port: Port = Field(587, description="Port of the mail server")
    smtp_tls: Literal["starttls", "tls", "none"] = Field("starttls", description="How mail is encrypted on its way")
    smtp_user: str | None = Field(None, description="User name at the mail server")
    smtp_password: SecretStr | None = Field(None, description="Password at the mail server")
    mail_from: Annotated[str, AfterValidator(_mail_address)] = Field(
        "churnwatch@localhost.localdomain", description="Sender of mails; its domain is used in Message-IDs"
    )
    dead_letter_key: HexKey = Field(description="Key that seals the values of dead letters")
    key_pepper: HexKey = Field(description="Key of the hashes under which API keys are kept")

    @model_validator(mode="after")
    def _password_only_encrypted(self) -> "AlertSettings":
        if self.smtp_password is not None and self.smtp_tls == "none":
            raise ValueError("CHURNWATCH_SMTP_PASSWORD would be sent in clear: set CHURNWATCH_SMTP_TLS")
        return self
