"""Write answers: success as the SDKs expect it, every error as {"code", "message", "detail"}."""

from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

_CODES: Mapping[int, str] = {404: "not_found", 405: "method_not_allowed"}


class Refused(Exception):
    """A request that is answered with an error; only 408, 429 and 503 are worth a retry."""

    def __init__(self, status: int, code: str, message: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s

    @property
    def retry_can_help(self) -> bool:
        """Say whether sending the same again may succeed."""
        return self.status in {408, 429, 503}


def error(status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return an error body that every SDK can read: rudder reads `code` and `message`, posthog `detail`."""
    return JSONResponse({"code": code, "message": message, "detail": message}, status_code=status, headers=headers)


def install_errors(app: FastAPI) -> None:
    """Make the framework's own errors look like ours."""

    @app.exception_handler(Refused)
    async def refused(_request: Request, fault: Refused) -> JSONResponse:
        headers = {} if fault.retry_after_s is None else {"Retry-After": str(fault.retry_after_s)}
        return error(fault.status, fault.code, fault.message, headers=headers)

    @app.exception_handler(HTTPException)
    async def framework(_request: Request, fault: HTTPException) -> JSONResponse:
        code = _CODES.get(fault.status_code, "http_error")
        return error(fault.status_code, code, str(fault.detail), headers=fault.headers)

    @app.exception_handler(Exception)
    async def bug(_request: Request, _fault: Exception) -> JSONResponse:
        return error(500, "internal", "a fault of ours; it is logged")
