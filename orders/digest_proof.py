"""Whether the kept digests of fills are those of the fills: added up anew, minute by minute."""

from __future__ import annotations

from collections.abc import Iterator

from project.lib import sql

_OFF = """
SELECT coalesce(f.account_id, d.account_id), minute, coalesce(f.count, 0), coalesce(d.count, 0) FROM (
    SELECT account_id, date_bin('1 minute', executed_at, 'epoch') AS minute, count(*) AS count,
        sum(gapless_fill_hash(venue_trade_id, symbol, side, price, quantity, fee, fee_asset)) AS digest
    FROM orders_fill GROUP BY 1, 2
) AS f FULL JOIN orders_filldigest d USING (account_id, minute)
WHERE f.count IS DISTINCT FROM d.count OR f.digest IS DISTINCT FROM d.digest ORDER BY 1, 2 LIMIT 20
"""


def differences() -> Iterator[str]:
    """Yield the minutes whose digest is not that of the fills booked in it."""
    for account, minute, fills, kept in sql.rows(_OFF):
        yield (
            f"digest of fills {account} {minute.isoformat()}: {fills} fills are booked in that minute and the digest, which counts "
            f"{kept}, is not theirs"
        )
