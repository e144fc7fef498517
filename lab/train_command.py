"""`churnwatch train`: fit a first churn model on a file of events, or on a simulated vendor."""

import tempfile
from pathlib import Path

import msgspec

from lab.feature_history import configuration
from lab.simulate.run import write
from lab.simulate.vendor import Vendor
from lab.train import Model, train
from lab.trouble import Trouble
from shared.yaml_file import BadFiles

SIMULATED = Vendor(accounts=400, days=240, seed=11, user_events_a_day=1.0)


def train_model(
    *, out: Path = Path("model.json"), events: Path | None = None, horizon_days: int = 30, config: Path = Path("config")
) -> None:
    """Fit the chance that an account churns within a horizon, and write the model as plain numbers.

    Parameters
    ----------
    out
        File of the model: JSON with its features, their hash, coefficients, calibration and metrics.
    events
        Events in time order, JSON lines as `churnwatch simulate` writes them; without it a vendor is simulated.
    horizon_days
        Days after a cut-off within which a cancellation counts as churn.
    config
        Folder of scorecard.yaml, rules.yaml and calendars.yaml.
    """
    if events is not None and not events.is_file():
        raise Trouble(f"--events {events}: no such file; `churnwatch simulate --out {events}` writes one")
    with tempfile.TemporaryDirectory() as folder:
        source = events or _simulated(Path(folder))
        try:
            model = train(source, horizon_days=horizon_days, bundle=configuration(config))
        except BadFiles as fault:
            raise Trouble(str(fault)) from None
    out.write_bytes(msgspec.json.format(msgspec.json.encode(model), indent=1) + b"\n")
    print(f"{out}: {_told(model)}")


def _simulated(folder: Path) -> Path:
    file = folder / "events.jsonl"
    events = write(SIMULATED, out=file, truth=folder / "truth.jsonl")
    print(f"simulated {events} events of {SIMULATED.accounts} accounts over {SIMULATED.days} days")
    return file


def _told(model: Model) -> str:
    metrics = model.metrics
    return (
        f"AUC {metrics.auc:.3f}, Brier {metrics.brier:.4f} (always the base rate: {metrics.brier_of_base_rate:.4f}), "
        f"measured on {metrics.rows} later rows of which {metrics.churned} churned; fitted on {model.rows}"
    )
