"""The console's websocket: it only says what moved; pages fetch what they show over HTTP."""

from __future__ import annotations

import asyncio
import logging
from http.cookies import SimpleCookie
from importlib import import_module
from typing import Any
from urllib.parse import parse_qs, urlsplit

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.contrib import auth
from django.db import DatabaseError
from django.http import HttpRequest
from django.http.request import split_domain_port, validate_host

from project import hub
from project.lib import access

logger = logging.getLogger(__name__)
SESSION_CHECK_SECONDS = 20.0
SIGNED_OUT, FORBIDDEN, TRY_LATER = 4401, 4403, 1013


class ConsoleConsumer(AsyncWebsocketConsumer):
    """One open page: joins the hub, sends its frames, and ends when the session does."""

    async def connect(self) -> None:
        """Refuse strange origins in the handshake; tell a signed-out page why before closing."""
        self.socket: hub.Socket | None = None
        self.pump: asyncio.Task[None] | None = None
        headers = {name.decode("latin1").lower(): value.decode("latin1") for name, value in self.scope["headers"]}
        if not is_same_origin(headers.get("origin", ""), headers.get("host", "")):
            await self.close()
            return
        await self.accept()
        self.session_key = _session_key(headers.get("cookie", ""))
        try:
            refusal = await self._refusal()
            if refusal is None:
                self.socket = await hub.current().join(_since(self.scope["query_string"]))
        except DatabaseError:
            refusal = TRY_LATER
        if refusal is not None:
            await self.close(refusal)
            return
        self.pump = asyncio.create_task(self._pump())

    async def disconnect(self, code: int) -> None:
        """Leave the hub."""
        if self.pump is not None:
            self.pump.cancel()
        if self.socket is not None:
            hub.current().leave(self.socket)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Ignore whatever a page sends: commands are HTTP requests."""

    async def _pump(self) -> None:
        loop = asyncio.get_running_loop()
        check_at = loop.time() + SESSION_CHECK_SECONDS
        code = TRY_LATER
        try:
            while True:
                try:
                    async with asyncio.timeout_at(check_at):
                        frame = await self.socket.queue.get()  # type: ignore[union-attr]
                    await self.send(frame)
                except TimeoutError:
                    pass
                if loop.time() >= check_at:
                    check_at = loop.time() + SESSION_CHECK_SECONDS
                    refusal = await self._refusal()
                    if refusal is not None:
                        code = refusal
                        break
        except asyncio.CancelledError:
            raise
        except Exception:
            logger.exception("a console socket failed; its page reconnects")
        await self.close(code)

    async def _refusal(self) -> int | None:
        return await database_sync_to_async(_refusal)(self.session_key)


def is_same_origin(origin: str, host: str) -> bool:
    """Say whether a browser on this very console opened the socket: same scheme where known, host and port."""
    domain, _ = split_domain_port(host)
    if not domain or not validate_host(domain, settings.ALLOWED_HOSTS):
        return False
    if origin in settings.CSRF_TRUSTED_ORIGINS:
        return True
    parts = urlsplit(origin)
    return parts.scheme in ({"https"} if settings.HTTPS else {"http", "https"}) and parts.netloc.lower() == host.lower()


def _session_key(cookie_header: str) -> str:
    cookies: SimpleCookie = SimpleCookie(cookie_header)
    morsel = cookies.get(settings.SESSION_COOKIE_NAME)
    return morsel.value if morsel else ""


def _since(query_string: bytes) -> int:
    text = parse_qs(query_string.decode("latin1")).get("since", [""])[0]
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


def _refusal(session_key: str) -> int | None:
    store: Any = import_module(settings.SESSION_ENGINE).SessionStore
    request = HttpRequest()
    request.session = store(session_key or None)
    user = auth.get_user(request)
    if not user.is_authenticated:
        return SIGNED_OUT
    return None if access.roles_of(user) else FORBIDDEN
