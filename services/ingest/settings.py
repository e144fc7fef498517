"""Say what the ingest is told by its environment."""

from pathlib import Path

from pydantic import Field

from shared.settings import HexKey, Port, ServiceSettings


class IngestSettings(ServiceSettings):
    """Settings of the ingest service."""

    ingest_host: str = Field("127.0.0.1", description="Address on which the ingest listens")
    ingest_port: Port = Field(8801, description="Port on which the ingest listens, its metrics included")
    sources: Path = Field(Path("config/sources.yaml"), description="File of each source's own event and trait names")
    ingest_deadline_s: float = Field(5.0, gt=0, le=60, description="Seconds the ingest waits for Kafka, then 503")
    ingest_held_bytes: int = Field(64 << 20, ge=1 << 20, description="Bytes not acknowledged by Kafka above which 429")
    user_hash_key: HexKey = Field(description="Key of the hash that replaces end users' ids; never change it")
    dead_letter_key: HexKey = Field(description="Key that seals the values of dead letters")
    key_pepper: HexKey = Field(description="Key of the hashes under which API keys are kept")
