"""Serve the demo's one page: what is so, asked for every second, and the buttons."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, select_autoescape

from lab.demo.customers import NAMED
from lab.demo.show import Show
from lab.demo.stage import HOST

FOLDER: Final = Path(__file__).parent
_TEMPLATES: Final = Environment(
    loader=FileSystemLoader(FOLDER / "templates"), autoescape=select_autoescape(("html",)), trim_blocks=True
)
PRESSED: Final = "X-Demo"
"""A header only our own page sends: no other site in the browser can press a button."""

Press = Callable[[], Awaitable[None]]


def page_app(show: Show, *, slack: str, sources: int, accounts: int) -> web.Application:
    """Return the page's application; `slack` is the address of the Slack double's page."""
    pressed = _presses(show)
    html = _TEMPLATES.get_template("demo.html").render(slack=slack, sources=sources, accounts=accounts)

    async def page(_request: web.Request) -> web.Response:
        return web.Response(text=html, content_type="text/html")

    async def state(_request: web.Request) -> web.Response:
        return web.json_response(show.state())

    async def press(request: web.Request) -> web.Response:
        act = pressed.get(request.match_info["what"])
        if act is None or PRESSED not in request.headers:
            raise web.HTTPNotFound
        await act()
        return web.json_response(show.state())

    async def press_in_slack(request: web.Request) -> web.Response:
        if PRESSED not in request.headers:
            raise web.HTTPNotFound
        form = {name: str(value) for name, value in (await request.post()).items()}
        if not await show.watch.press(form):
            raise web.HTTPBadGateway
        return web.json_response(show.state())

    app = web.Application()
    app.add_routes(
        [
            web.get("/", page),
            web.get("/state", state),
            web.post("/do/{what}", press),
            web.post("/press", press_in_slack),
            web.static("/static", FOLDER / "static"),
        ]
    )
    return app


async def serve(app: web.Application, *, port: int) -> web.AppRunner:
    """Start to serve; the caller cleans the runner up."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HOST, port).start()
    return runner


def _presses(show: Show) -> Mapping[str, Press]:
    play = show.play

    async def restore() -> None:
        play.restore()

    async def kill() -> None:
        play.kill_scorer()

    def returns(number: int) -> Press:
        async def act() -> None:
            play.customer_returns(NAMED[number])

        return act

    customers = {f"return-{customer.account}": returns(number) for number, customer in enumerate(NAMED)}
    return {"break": play.break_source, "restore": restore, "kill": kill, **customers}
