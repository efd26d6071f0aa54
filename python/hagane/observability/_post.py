"""Sending one body to one address: time limits, retries, and errors that say what to do."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from math import isfinite
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit

from hagane.errors import MetricError, MetricsPushError

if TYPE_CHECKING:
    from urllib.request import OpenerDirector, Request

__all__ = ["Target"]

FIRST_PAUSE = 0.2
ANSWER_SHOWN = 300


class Target:
    """An address, who we are there, and how patient we are."""

    def __init__(self, url: str, path: str, bearer_token: str | None, timeout: float, attempts: int) -> None:
        parts = _parsed(url)
        if attempts < 1 or not (timeout > 0 and isfinite(timeout)):
            raise MetricError("attempts must be at least 1 and timeout a finite number of seconds above 0")
        # Without who we are there, which goes into a header, as messages show it.
        self._url = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() + path
        self._authorization = _authorization(parts, bearer_token)
        self._timeout = timeout
        self._attempts = attempts

    def send(self, method: str, body: bytes | None, headers: Mapping[str, str]) -> None:
        """Send until it is accepted (2xx); MetricsPushError when it is refused or the attempts are used up."""
        from urllib.request import Request

        given = {**headers, **self._authorization, "User-Agent": "hagane"}
        for attempt in range(1, self._attempts + 1):
            # The scheme was checked above.
            failure = self._try(Request(self._url, data=body, headers=given, method=method))  # noqa: S310
            if failure is None:
                return
            if attempt == self._attempts or not _may_pass(failure):
                raise failure
            time.sleep(FIRST_PAUSE * 2 ** (attempt - 1))

    def _try(self, request: Request) -> MetricsPushError | None:
        import http.client
        import urllib.error

        try:
            with _opener().open(request, timeout=self._timeout) as answer:
                answer.read()
                return None
        except urllib.error.HTTPError as error:
            with error:
                said = error.read(ANSWER_SHOWN).decode(errors="replace").strip()
            return _failure(f"{self._url} answered {error.code}: {said or error.reason}", error.code, error)
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            return _failure(f"cannot reach {self._url}: {reason}", None, error)


def _opener() -> OpenerDirector:
    """Proxies and certificates as the system has them. Redirects are refused: following one drops the body."""
    from urllib.request import HTTPRedirectHandler, build_opener

    class NoRedirects(HTTPRedirectHandler):
        def redirect_request(self, *_: object) -> None:
            return None

    return build_opener(NoRedirects)


def _failure(message: str, status: int | None, cause: BaseException) -> MetricsPushError:
    failure = MetricsPushError(f"metrics were not pushed: {message}", status)
    failure.__cause__ = cause
    return failure


def _may_pass(failure: MetricsPushError) -> bool:
    return failure.status is None or failure.status == 429 or failure.status >= 500


def _parsed(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        # The port is looked at for what it raises. An @ behind the host: the password has a / or the like, so that the
        # host is none, and nobody is to be sent half a password.
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        usable = usable and not parts.fragment and "@" not in parts.path + parts.query
    except (ValueError, TypeError, AttributeError):
        usable = False
    if usable:
        return parts
    raise MetricError(
        f"{_without_password(str(url))!r} is no address to push to: it must begin with http:// or https://, name a "
        "host and perhaps a port, and have no #; percent-encode / ? # @ in a user name or password "
        '(urllib.parse.quote(password, safe=""))'
    )


def _without_password(url: str) -> str:
    """Whatever stands before the last @ may be part of a password that was not encoded."""
    before, at, after = url.rpartition("@")
    scheme, slashes, _ = before.partition("://")
    return f"{scheme if slashes else ''}{slashes}...@{after}" if at else url


def _authorization(parts: SplitResult, bearer_token: str | None) -> dict[str, str]:
    if bearer_token is not None:
        if not bearer_token or not all("!" <= character <= "~" for character in bearer_token):
            raise MetricError("a bearer token must have at least one character, all of them visible ASCII")
        return {"Authorization": f"Bearer {bearer_token}"}
    if parts.username is None:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
