"""What `make up` is told: which ports to use, or which Kafka and Redis of your own."""

from typing import Any

from pydantic import Field

from shared.settings import Port, RedisUrl, Servers, ServiceSettings


class LocalSettings(ServiceSettings):
    """The stack on this machine; `kafka` and `redis` are None unless existing ones are to be used."""

    kafka: Servers | None = Field(None, description="Kafka to use instead of starting one, host:port")  # type: ignore[assignment]  # absent means: start one
    redis: RedisUrl | None = Field(None, description="Redis to use instead of starting one")  # type: ignore[assignment]  # likewise
    kafka_port: Port = Field(9092, description="Port of the Kafka that `make up` starts")
    redis_port: Port = Field(6379, description="Port of the Redis that `make up` starts")
    ingest_port: Port = Field(8801, description="Port on which the ingest takes events")
    scorer_port: Port = Field(8802, description="Port of the scorer's health and metrics")
    alerts_port: Port = Field(8803, description="Port of the alert API")
    slack_port: Port = Field(8804, description="Port of the local Slack double")
    mail_port: Port = Field(8025, description="Port of the local mail catcher")

    def model_post_init(self, _context: Any, /) -> None:
        object.__setattr__(self, "data", self.data.resolve())
