"""Put the demo together: start the stack, bring the history, serve the page, tell the story, judge the promises."""

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import aiohttp
from rich.console import Console

from lab.demo import story
from lab.demo.access import Keys, make_keys
from lab.demo.configuration import write_configuration
from lab.demo.customers import SOURCES
from lab.demo.history import Reconstructed, import_file, import_rows, replayed, write_history
from lab.demo.leavers import words_of
from lab.demo.page import page_app, serve
from lab.demo.play import Play
from lab.demo.promises import judged
from lab.demo.row import Row
from lab.demo.show import Show
from lab.demo.stage import Stage, empty, raised
from lab.demo.traffic import Traffic, recent
from lab.demo.vendor import Past, past_of
from lab.demo.watch import Watch
from lab.feature_history import configuration
from lab.importing.send import Ingest, send_days
from services.scorer.core.bundle import CompiledBundle
from shared import clock

WAITS_S: Final = (68, 92, 116)
"""From the second import to the deadlines, of which 60–120 s are left when it is over."""
SHORT_WAITS_S: Final = (14, 21, 28)
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What was asked for; without `seconds` it runs until Ctrl-C. `fault` is what a test breaks on purpose."""

    seconds: int | None
    data: Path
    keep: bool = False
    fault: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What can be made before anything runs."""

    bundle: CompiledBundle
    past: Past
    replayed: Reconstructed
    now: int


async def demo(options: Options) -> int:
    """Run the demo and return the exit code."""
    console = Console(highlight=False, soft_wrap=True)
    began = time.monotonic()
    ended = asyncio.current_task()
    if ended is not None:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, ended.cancel)
    async with AsyncExitStack() as ending:
        console.print("simulating a vendor's last 90 days, and starting Kafka, Redis and the services")
        empty(options.data)
        config = write_configuration(options.data / "config")
        preparing = asyncio.create_task(in_thread(partial(_prepare, config, now=clock.now_ms())))
        stage = await ending.enter_async_context(
            raised(
                options.data,
                config=config,
                say=lambda line: console.print(f"  {line}", markup=False),
                keep=options.keep,
            )
        )
        prepared = await preparing
        session = await ending.enter_async_context(aiohttp.ClientSession())
        keys = await make_keys(
            stage.kafka,
            session,
            pepper=stage.secret("key_pepper"),
            ingest=stage.url("ingest"),
            api=stage.url("alerts"),
            sources=SOURCES,
        )
        watch = await ending.enter_async_context(Watch(stage, session, key=keys.read))
        show, play = _stand(stage, session, watch, prepared=prepared, keys=keys)
        app = page_app(show, slack=stage.url("slack"), sources=len(SOURCES), accounts=len(prepared.past.accounts))
        runner = await serve(app, port=stage.ports["page"])
        ending.push_async_callback(runner.cleanup)
        console.print(
            f"\n[bold]open  {stage.url('page')}/[/bold]   ({time.monotonic() - began:.0f} s after the start)\n"
        )
        running = [asyncio.create_task(play.traffic.run()), asyncio.create_task(show.run())]
        ending.push_async_callback(_stop, running)
        await _bring(play, show, prepared=prepared, keys=keys, data=options.data, console=console)
        imported = time.monotonic()
        await play.fall_silent(SHORT_WAITS_S if options.seconds else WAITS_S)
        show.phase = ""
        play.say("the history is there; three customers are silent")
        console.print(_to_try(stage, keys), markup=False)
        if options.seconds is None:
            await asyncio.Event().wait()
        _break(options.fault, play)
        await story.tell(play, show)
        left_s = (options.seconds or 0) - (time.monotonic() - imported)
        await asyncio.sleep(max(0.0, left_s))
        return await _judge(play, show, running, console=console)


def _prepare(config: Path, *, now: int) -> Prepared:
    bundle, past = configuration(config), past_of(now=now)
    return Prepared(bundle=bundle, past=past, replayed=replayed(past, bundle=bundle, now=now), now=now)


def _stand(
    stage: Stage, session: aiohttp.ClientSession, watch: Watch, *, prepared: Prepared, keys: Keys
) -> tuple[Show, Play]:
    traffic = Traffic(
        session,
        url=stage.url("ingest"),
        keys=keys.sources,
        like=recent(prepared.past, now=prepared.now, sources=SOURCES),
        now_ms=clock.now_ms,
    )

    async def bring(rows: Sequence[Row], job: str) -> int:
        url, bundle, now = stage.url("ingest"), prepared.bundle, clock.now_ms()
        return await in_thread(lambda: import_rows(rows, job=job, url=url, key=keys.history, bundle=bundle, now=now))

    play = Play(stage=stage, traffic=traffic, bring=bring, bundle=prepared.bundle, now_ms=clock.now_ms)
    return Show(play, watch, leavers=prepared.replayed.leavers), play


async def _bring(play: Play, show: Show, *, prepared: Prepared, keys: Keys, data: Path, console: Console) -> None:
    """Import the vendor's history, and the health of its past days."""
    url, key = play.stage.url("ingest"), keys.history
    show.phase = "Importing 90 days of history …"
    path = await in_thread(lambda: write_history(prepared.past, data / "history"))
    console.print(
        f"importing {len(prepared.past.rows):,} events of {len(prepared.past.accounts)} customers from {path}"
    )
    job, rows = await in_thread(lambda: import_file(path, url=url, key=key, data=data, say=console))
    play.imported += rows
    show.phase = "Writing the health of past days …"
    await in_thread(lambda: send_days(prepared.replayed.days, Ingest(url, key=key, job=job)))
    show.phase = "Three customers fall silent …"


async def _judge(play: Play, show: Show, running: Sequence[asyncio.Task[None]], *, console: Console) -> int:
    """Let everything come to rest, say which promises were kept, and return the exit code."""
    await _stop(running)
    await play.traffic.settle()
    await story.settled(show)
    promises = judged(play, show.seen)
    leavers = show.leavers
    console.print("\n[bold]What was promised[/bold]")
    for promise in promises:
        mark = "kept  " if promise.kept else "BROKEN"
        console.print(f"  {mark}  {promise.name}: {promise.shown}", markup=False)
    if leavers is not None:
        console.print(f"\n{words_of(leavers)} (a replay of the simulated history)", markup=False)
    broken = [promise.name for promise in promises if not promise.kept]
    console.print(f"\n[bold]{'broken: ' + '; '.join(broken) if broken else 'every promise was kept'}[/bold]")
    return 1 if broken else 0


def _break(fault: str | None, play: Play) -> None:
    """Break on purpose what a test wants broken: an event is counted that was never sent."""
    if fault == "lose-event":
        play.imported += 1


async def _stop(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError):
            await task


async def in_thread(work: Callable[[], T]) -> T:
    """Return what blocking work returns, without holding up the page; nobody waits for it once we are cancelled."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def tell(say: Callable[[], None]) -> None:
        if not done.done():
            say()

    def run() -> None:
        try:
            found = work()
        except Exception as fault:  # noqa: BLE001  raised where it is awaited
            told = partial(done.set_exception, fault)
        else:
            told = partial(done.set_result, found)
        with suppress(RuntimeError):  # the loop is closed: we were cancelled
            loop.call_soon_threadsafe(tell, told)

    threading.Thread(target=run, daemon=True).start()
    return await done


def _to_try(stage: Stage, keys: Keys) -> str:
    api, ingest, read = stage.url("alerts"), stage.url("ingest"), f"-H 'Authorization: Bearer {keys.read}'"
    write, event = keys.sources[SOURCES[0]], '{"userId": "u9", "event": "Signed In", "context": {"groupId": "acme"}}'
    return f"""
open the page           {stage.url("page")}/
what Slack got          {stage.url("slack")}/
accounts, worst first   curl '{api}/v1/accounts?limit=5' {read}
one account             curl {api}/v1/accounts/sakura-logistics {read}
alerts                  curl {api}/v1/alerts {read}
send an event           curl -u {write}: {ingest}/v1/track -d '{event}'
what became of events   .venv/bin/churnwatch watch --key {write} --url {ingest}
metrics                 curl {stage.url("scorer")}/metrics
configuration           {stage.data / "config"}
logs                    {stage.data / "logs"}
end it                  Ctrl-C
"""
