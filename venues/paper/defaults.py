"""Constants of the demo worlds, which the product's demo seed uses too."""

import base64

HOST = "127.0.0.1"
PORT = 8900
WORLD = "demo"
EXCHANGES = ("binance", "kraken")
SEED = 7
FLOW_STEPS_PER_SECOND = 5.0

BINANCE_API_KEY = "paper-binance-demo"
BINANCE_SECRET = "paper-binance-demo-secret"
KRAKEN_API_KEY = "paper-kraken-demo"
KRAKEN_SECRET = base64.b64encode(b"paper-kraken-demo-secret").decode()

KEYS = {
    "binance": (BINANCE_API_KEY, BINANCE_SECRET),
    "kraken": (KRAKEN_API_KEY, KRAKEN_SECRET),
}
BALANCES = {"USDT": "100000", "BTC": "2", "ETH": "30", "SOL": "500"}
PERMISSIONS = {"read": True, "trade": True, "withdraw": False}


def rest_url(exchange: str, world: str = WORLD, port: int = PORT) -> str:
    """Return the REST address of a world on this machine."""
    return f"http://{HOST}:{port}/{exchange}/{world}"


def ws_url(exchange: str, world: str = WORLD, port: int = PORT) -> str:
    """Return the WebSocket address of a world on this machine."""
    return f"ws://{HOST}:{port}/{exchange}/{world}"
