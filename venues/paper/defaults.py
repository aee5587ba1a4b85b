"""Constants of the demo worlds, which the product's demo seed uses too."""

import base64
import hashlib

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

HOST = "127.0.0.1"
PORT = 8900
WORLD = "demo"
EXCHANGES = ("binance", "kraken", "deribit")
SEED = 7
FLOW_STEPS_PER_SECOND = 5.0

BINANCE_API_KEY = "paper-binance-demo"
BINANCE_SECRET = "paper-binance-demo-secret"
KRAKEN_API_KEY = "paper-kraken-demo"
DERIBIT_API_KEY = "paper-deribit-demo"
DERIBIT_SECRET = "paper-deribit-demo-secret"
KRAKEN_SECRET = base64.b64encode(b"paper-kraken-demo-secret").decode()
BYBIT_API_KEY = "paper-bybit-demo"
BYBIT_SECRET = "paper-bybit-demo-secret"
OKX_API_KEY = "paper-okx-demo"
OKX_SECRET = "paper-okx-demo-secret"
COINBASE_API_KEY = "organizations/paper/apiKeys/coinbase-demo"


def ec_key(seed: str) -> str:
    """Return a private key for ES256 in the form in which Coinbase gives it, the same for the same seed."""
    number = int.from_bytes(hashlib.sha256(seed.encode()).digest(), "big")
    return (
        ec.derive_private_key(number, ec.SECP256R1())
        .private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        .decode()
    )


KEYS = {
    "binance": (BINANCE_API_KEY, BINANCE_SECRET),
    "kraken": (KRAKEN_API_KEY, KRAKEN_SECRET),
    "deribit": (DERIBIT_API_KEY, DERIBIT_SECRET),
    "bybit": (BYBIT_API_KEY, BYBIT_SECRET),
    "okx": (OKX_API_KEY, OKX_SECRET),
    "coinbase": (COINBASE_API_KEY, ec_key("paper-coinbase-demo")),
}
PASSPHRASES = {"okx": "paper-okx-demo-passphrase"}
BALANCES = {"USDT": "100000", "BTC": "2", "ETH": "30", "SOL": "500"}
MORE_BALANCES = {"deribit": {"USDC": "50000"}}  # what its contracts are settled in
PERMISSIONS = {"read": True, "trade": True, "withdraw": False}


def rest_url(exchange: str, world: str = WORLD, port: int = PORT) -> str:
    """Return the REST address of a world on this machine."""
    return f"http://{HOST}:{port}/{exchange}/{world}"


def ws_url(exchange: str, world: str = WORLD, port: int = PORT) -> str:
    """Return the WebSocket address of a world on this machine."""
    return f"ws://{HOST}:{port}/{exchange}/{world}"
