"""What the scorer is told by its environment."""

from pathlib import Path

from pydantic import Field

from shared.settings import HexKey, Port, ServiceSettings


class ScorerSettings(ServiceSettings):
    """Settings of one scorer process."""

    dead_letter_key: HexKey = Field(description="Key that seals dead letters and seeds the hash of seen ids")
    config: Path = Field(
        Path("config"), description="Folder of scorecard, rules, journey, calendars and playbooks (.yaml)"
    )
    scorer_host: str = Field("127.0.0.1", description="Address of the scorer's /healthz, /readyz and /metrics")
    scorer_port: Port = Field(8802, description="Port of the scorer's /healthz, /readyz and /metrics")
    scorer_instance: str = Field(
        "", description="Name of this scorer within its group, kept over restarts; empty: a restart rebalances"
    )
    scorer_poll_records: int = Field(10_000, ge=1, le=100_000, description="Most events the scorer takes in one step")
    scorer_session_s: float = Field(10.0, ge=6, le=300, description="Seconds of silence until a scorer counts as dead")
    scorer_tick_s: float = Field(1.0, ge=0.05, le=60, description="Fewest seconds between two ticks of a partition")
    scorer_ticks: bool = Field(
        True, description="Whether the scorer appends ticks; false where something else writes the time into the topic"
    )
    guard_window_s: float = Field(
        3600.0, ge=6, le=86_400, description="Seconds a source must have sent without a pause for its silence to count"
    )
    guard_after_s: float = Field(60.0, ge=1, le=3600, description="Fewest seconds of silence until a source is guarded")
    guard_catch_up_s: float = Field(
        60.0, ge=1, le=3600, description="Seconds a guarded source must be back until its rules are judged again"
    )
    guard_accounts: int = Field(5, ge=1, description="Fewest accounts a source must feed to be guarded")
    scorer_cycle_s: float = Field(20.0, ge=0.5, le=30, description="Seconds over which a checkpoint cycle is spread")
