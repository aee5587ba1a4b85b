"""At which exchanges a kind of difference can be: one of each dialect."""

SPOT_EXCHANGES = ("binance", "kraken", "bybit", "okx", "coinbase")
ALL = (*SPOT_EXCHANGES, "deribit")
# Bybit's log names no transaction: nothing tells a repetition.
WITH_REFERENCES = tuple(name for name in ALL if name != "bybit")
