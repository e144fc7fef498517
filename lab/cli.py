"""The command `churnwatch`: one short function a command, each in a file of its own noun."""

import logging
import sys
from collections.abc import Sequence
from importlib.metadata import version

import redis.exceptions
from cyclopts import App

from lab import erase, keys, migrate, rebuild, stack, topics, verify, watch
from lab.accounts import command as accounts
from lab.ahead.command import ahead
from lab.features_page import features
from lab.importing.command import import_history
from lab.people import command as people
from lab.score_history.command import score_history
from lab.scorecard import command as scorecard
from lab.sources import command as sources
from lab.trouble import Trouble
from shared.kafka import KafkaProblem, KafkaUnavailable

app = App(
    name="churnwatch",
    help="Watch a product's event stream and tell the right person that an account is about to be lost.",
    version=lambda: version("churnwatch"),
)
app.command(keys.app)
app.command(topics.app)
app.command(stack.up)
app.command(stack.down)
app.command(verify.verify)
app.command(migrate.migrate)
app.command(erase.app)
app.command(rebuild.rebuild)
app.command(import_history, name="import")
app.command(score_history, name="score-history")
app.command(watch.watch)
app.command(ahead)
app.command(accounts.app)
app.command(people.app)
app.command(sources.app)
app.command(scorecard.app)
app.command(features)
# by name: only these commands wait for the calendars and for scikit-learn
app.command(
    "lab.simulate.command:simulate",
    name="simulate",
    help="Simulate a vendor: its events, and apart from them the truth.",
)
app.command(
    "lab.train_command:train_model", name="train", help="Fit the chance that an account churns within a horizon."
)


@app.command(name="version")
def show_version() -> None:
    """Print the version."""
    print(version("churnwatch"))


def main(words: Sequence[str] | None = None) -> None:
    """Run the command line (the process's own unless given); what goes wrong is one line with its remedy."""
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())  # it repeats what our message says once
    try:
        app(words)
    except KafkaUnavailable as problem:
        sys.exit(f"churnwatch: {problem}; start it with `churnwatch up` or set CHURNWATCH_KAFKA=host:port")
    except (KafkaProblem, Trouble) as problem:
        sys.exit(f"churnwatch: {problem}")
    except redis.exceptions.ConnectionError as problem:
        sys.exit(f"churnwatch: no redis answers: {problem}; start it with `churnwatch up` or set CHURNWATCH_REDIS")


if __name__ == "__main__":
    main()
