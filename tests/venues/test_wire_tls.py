"""TLS to venues: verified, named, and nothing leaves before it stands."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from project.lib import clock
from venues.adapters.transport import HttpRecord
from venues.adapters.wire import LeanWire

TIMEOUT_SECONDS = 5.0
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a self-signed certificate for localhost and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    day = datetime.timedelta(days=1)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(clock.now() - day)
        .not_valid_after(clock.now() + day)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cert.pem", folder / "key.pem"


@contextlib.asynccontextmanager
async def served(certificate: tuple[Path, Path], handler: Handler) -> AsyncIterator[tuple[int, list[str | None]]]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    names: list[str | None] = []
    context.sni_callback = lambda _, name, __: names.append(name)
    listening = await asyncio.start_server(handler, "127.0.0.1", 0, ssl=context)  # type: ignore[arg-type]
    try:
        yield listening.sockets[0].getsockname()[1], names
    finally:
        listening.close()


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            await writer.drain()


def trusting(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate[0]))


async def asked(wire: LeanWire, url: str) -> HttpRecord:
    record = HttpRecord("POST", url)
    await wire.send(record, {}, b"x=1")
    return record


async def test_a_trusted_server_is_asked_by_its_name_on_one_connection(certificate: tuple[Path, Path]) -> None:
    wire = LeanWire(TIMEOUT_SECONDS, trusting(certificate))
    async with served(certificate, answer) as (port, names):
        records = [await asked(wire, f"https://localhost:{port}/order") for _ in range(3)]
        await wire.close()
    assert [(record.fault, record.status, record.body) for record in records] == [("", 200, "{}")] * 3
    assert names == ["localhost"]


async def test_an_untrusted_server_gets_nothing(certificate: tuple[Path, Path]) -> None:
    wire = LeanWire(TIMEOUT_SECONDS)
    async with served(certificate, answer) as (port, _):
        record = await asked(wire, f"https://localhost:{port}/order")
        await wire.close()
    assert (record.fault, record.sent) == ("tls failed", False)


async def test_a_server_of_another_name_gets_nothing(certificate: tuple[Path, Path]) -> None:
    wire = LeanWire(TIMEOUT_SECONDS, trusting(certificate))
    async with served(certificate, answer) as (port, _):
        record = await asked(wire, f"https://127.0.0.1:{port}/order")
        await wire.close()
    assert (record.fault, record.sent) == ("tls failed", False)


async def test_a_body_that_only_the_connection_ends_counts_as_truncated(certificate: tuple[Path, Path]) -> None:
    async def unframed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n{}")
        await writer.drain()
        writer.close()

    wire = LeanWire(TIMEOUT_SECONDS, trusting(certificate))
    async with served(certificate, unframed) as (port, _):
        record = await asked(wire, f"https://localhost:{port}/order")
        await wire.close()
    assert (record.fault, record.sent) == ("truncated", True)
