"""Write answers of the API: values as JSON, every error as {"code", "message", "detail"}."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from redis.exceptions import RedisError
from starlette.exceptions import HTTPException

_MEANING: Final = {
    401: "No valid key",
    403: "The key lacks the scope",
    404: "There is no such thing",
    409: "The alert is not open any more",
    410: "The account was erased: nothing from before is told",
    413: "The body is too large",
    422: "A parameter or the body is not as described",
    503: "Not ready, or Redis or Kafka is away; safe to repeat",
}
_CODES: Final[Mapping[int, str]] = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """The body of every error; `detail` repeats `message` for clients that read that."""

    code: str
    message: str
    detail: str


class Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, code: str, message: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s


def answer(value: object, *, status: int = 200) -> Response:
    """Return a value as JSON."""
    return Response(msgspec.json.encode(value), status_code=status, media_type="application/json")


def answers(
    shape: type, *errors: int, status: int = 200, or_else: type | None = None
) -> dict[int | str, dict[str, Any]]:
    """Describe the answers of a route for OpenAPI; the shapes themselves are added by `openapi.py`."""
    refusals: dict[int | str, dict[str, Any]] = {
        code: {"description": _MEANING[code], **_content(Problem)} for code in (401, 403, 422, 503, *errors)
    }
    shapes = [shape] if or_else is None else [shape, or_else]
    return {status: {"description": "Done", **_content(*shapes)}, **refusals}


def _content(*shapes: type) -> dict[str, Any]:
    refs = [{"$ref": f"#/components/schemas/{shape.__name__}"} for shape in shapes]
    return {"content": {"application/json": {"schema": refs[0] if len(refs) == 1 else {"oneOf": refs}}}}


def error(status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return an error body."""
    return JSONResponse({"code": code, "message": message, "detail": message}, status_code=status, headers=headers)


def install_errors(app: FastAPI) -> None:
    """Give every error, the framework's own included, the same form."""

    @app.exception_handler(Refused)
    async def refused(_request: Request, fault: Refused) -> JSONResponse:
        headers = {} if fault.retry_after_s is None else {"Retry-After": str(fault.retry_after_s)}
        return error(fault.status, fault.code, fault.message, headers=headers)

    @app.exception_handler(RedisError)
    async def no_redis(_request: Request, _fault: RedisError) -> JSONResponse:
        return error(503, "unavailable", "health can't be read at the moment", headers={"Retry-After": "5"})

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, fault: RequestValidationError) -> JSONResponse:
        lines = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in fault.errors()]
        return error(422, "invalid", "; ".join(lines))

    @app.exception_handler(HTTPException)
    async def framework(_request: Request, fault: HTTPException) -> JSONResponse:
        code = _CODES.get(fault.status_code, "http_error")
        return error(fault.status_code, code, str(fault.detail), headers=fault.headers)

    @app.exception_handler(Exception)
    async def bug(_request: Request, _fault: Exception) -> JSONResponse:
        return error(500, "internal", "a fault of ours; it is logged")
