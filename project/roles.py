"""What the embedded default runs: one table of roles, as child processes of the supervisor."""

from __future__ import annotations

import sys

from project.home import BASE_DIR, Home
from project.processes import Role

_MANAGE = (sys.executable, str(BASE_DIR / "manage.py"))
_WEB = (sys.executable, "-m", "daphne", "--websocket_timeout", "-1", "--no-server-name", "--access-log", "/dev/null")


def paper_venue(home: Home, port: int, *, demo: bool) -> Role:
    """Return the simulated exchanges, in the demo with a fault now and then: started first, stopped last."""
    options = ("--port", str(port), "--data", str(home.papervenue), "--fault-schedule", "demo" if demo else "none")
    return Role("papervenue", (*_MANAGE, "run_papervenue", *options), wave=0)


def console(host: str, port: int) -> Role:
    """Return the console and the API."""
    return Role("web", (*_WEB, "--bind", host, "--port", str(port), "project.asgi:application"))


def others() -> tuple[Role, ...]:
    """Return the roles without a port."""
    return tuple(Role(name, (*_MANAGE, f"run_{name}")) for name in ("executor", "worker", "watchdog"))


def strategy(url: str, token: str) -> Role:
    """Return the demo strategy, which knows only the API and its token."""
    command = (sys.executable, "-m", "project.strategy")
    return Role("strategy", command, {"GAPLESS_URL": url, "GAPLESS_TOKEN": token}, wave=2)
