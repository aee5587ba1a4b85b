"""Make the virtual environment, install the pinned packages when they have changed, then become a command in it.

Standard library only, and old syntax enough for Python 3.7 to run it and say which Python is needed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
ENVIRONMENT = BASE_DIR / ".venv"
PYTHON = ENVIRONMENT / "bin" / "python"
STAMP = ENVIRONMENT / "gapless-requirements.sha256"
RUNTIME = [BASE_DIR / "requirements.txt"]
DEVELOPMENT = [*RUNTIME, BASE_DIR / "tests" / "requirements.txt"]


def main(arguments: list[str]) -> None:
    """Install what is missing, then run the command; `--development` first also installs what tests and lint need."""
    _use_python_311(arguments)
    development = arguments[:1] == ["--development"]
    command = arguments[1:] if development else arguments
    wanted = DEVELOPMENT if development else RUNTIME
    installed = STAMP.read_text().split() if STAMP.exists() and PYTHON.exists() else []
    if _digest(wanted) not in installed:
        _timed("virtual environment", _make_environment)
        _timed("packages", lambda: _install(wanted))
        STAMP.write_text("\n".join({_digest(RUNTIME), _digest(wanted)}))  # the larger set contains the smaller
    if command:
        path = f"{PYTHON.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        os.chdir(BASE_DIR)
        os.execvpe(command[0], command, {**os.environ, "PATH": path, "VIRTUAL_ENV": str(ENVIRONMENT)})


def _use_python_311(arguments: list[str]) -> None:
    if sys.version_info[:2] == (3, 11):
        return
    better = shutil.which("python3.11")
    if better is not None:
        os.execv(better, [better, __file__, *arguments])
    sys.exit(
        f"Gapless needs Python 3.11; this is {sys.version.split()[0]}. Nothing was installed or started. Install it "
        "(Debian 12: `apt-get install python3.11 python3.11-venv`) and run the same command again."
    )


def _digest(requirements: list[Path]) -> str:
    digest = hashlib.sha256(f"{sys.version}:{ENVIRONMENT}".encode())
    for path in requirements:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _make_environment() -> None:
    if _succeeds([str(PYTHON), "-c", "import sys; sys.exit(sys.version_info[:2] != (3, 11))"]) and _pip():
        return
    complaint = ""
    # The machine's own pip saves unpacking another one. Debian's venv may lack ensurepip; a machine may lack pip.
    for options in (["--without-pip"], []):
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        command = [sys.executable, "-m", "venv", *options, str(ENVIRONMENT)]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        if made.returncode == 0 and _pip():
            return
        complaint = (made.stdout + made.stderr).strip()[-600:]
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    sys.exit(
        f"This Python could not make {ENVIRONMENT}: it has neither ensurepip nor pip. Nothing was started. On Debian "
        f"or Ubuntu: `apt-get install python3-venv`, then run the same command again.\n{complaint}"
    )


def _pip() -> list[str]:
    choices = [[str(PYTHON), "-m", "pip"], [sys.executable, "-m", "pip", "--python", str(PYTHON)]]
    return next((choice for choice in choices if _succeeds([*choice, "--version"])), [])


def _install(requirements: list[Path]) -> None:
    pip = [*_pip(), "--disable-pip-version-check"]
    listed = [word for path in requirements for word in ("-r", str(path))]
    # Compiled once here: every start of every role would otherwise do it again where nothing may be written later.
    options = ["--python", str(PYTHON), "--compile-bytecode", "--require-hashes"]
    uv = [str(ENVIRONMENT / "bin" / "uv"), "pip", "install", *options, *listed]
    if _succeeds([*pip, "install", "uv"]) and _succeeds(uv, _where_pip_looks(pip)):
        return
    print("  uv could not install the packages (see above); trying pip, which takes longer", flush=True)
    if subprocess.run([*pip, "install", "--quiet", "--require-hashes", *listed], check=False).returncode != 0:
        sys.exit(
            "The packages could not be installed; the reason is above. Nothing was started. Correct it and repeat."
        )


def _where_pip_looks(pip: list[str]) -> dict[str, str]:
    """uv does not read pip's configuration, so the indexes that pip was told to use are passed on."""
    # Every package is pinned by hash, so it does not matter which index it comes from.
    trust = {"UV_SYSTEM_CERTS": "1", "UV_NATIVE_TLS": "1"}  # as pip does; the second is the older name
    environment = {**trust, **os.environ, "UV_INDEX_STRATEGY": "unsafe-best-match"}
    for name, option in (("UV_DEFAULT_INDEX", "global.index-url"), ("UV_INDEX", "global.extra-index-url")):
        found = subprocess.run([*pip, "config", "get", option], capture_output=True, text=True, check=False)
        if found.returncode == 0 and found.stdout.strip():
            environment.setdefault(name, " ".join(found.stdout.split()))
    return environment


def _succeeds(command: list[str], environment: dict[str, str] | None = None) -> bool:
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    except OSError:
        return False
    if done.returncode != 0 and environment is not None:
        print(done.stderr.strip()[-1000:], file=sys.stderr)
    return done.returncode == 0


def _timed(name: str, work: Callable[[], None]) -> None:
    began = time.monotonic()
    work()
    print(f"  {name:<24} {time.monotonic() - began:5.1f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
