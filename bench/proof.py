"""`python -m bench.proof`: how long `verify_ledger` takes and how much memory, over some postings and over ten times as many."""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import django
import psycopg
from django.core.management import call_command

from project import embedded

ACCOUNTS, LEGS = 16, 6
# Six legs to a trade as `orders.ledger` posts them; every third one sells, so that positions grow and shrink.
ROWS = """
CREATE TEMPORARY TABLE made AS SELECT n,
  (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint + n / 50), 12, '0') || '7000' || '8' || lpad(to_hex(n), 15, '0'))::uuid AS id,
  'account-' || n % {accounts} AS account, CASE WHEN n / {accounts} % 3 = 2 THEN 'sell' ELSE 'buy' END AS side,
  CASE WHEN n / {accounts} % 3 = 2 THEN -1 ELSE 1 END AS sign FROM generate_series({first}, {last} - 1) AS n;
INSERT INTO orders_fill (id, order_id, account_id, symbol, side, price, quantity, quote_quantity, fee, fee_asset,
  liquidity, venue_trade_id, venue_order_id, source, executed_at, recorded_at, realised_pnl)
  SELECT id, id, account, 'BTC/USDT', side, 20000, 0.001, 20, 0.02, 'USDT', 'maker', 't' || n, 'v' || n, 'bench', now(), now(), 0 FROM made;
INSERT INTO orders_orderevent (account_id, sequence, order_id, kind, status_before, status_after, data, source, received_at, recorded_at)
  SELECT account, n + 1, id, 'fill', 'open', 'filled', jsonb_build_object('fill', id), 'bench', now(), now() FROM made;
INSERT INTO orders_posting (entry, leg, account_id, asset, book, amount, cause, fill_id, reference, memo, posted_at)
  SELECT id, leg, account, asset, book, amount * CASE WHEN leg < 4 THEN sign ELSE 1 END, 'fill', id, 't' || n, '', now()
  FROM made CROSS JOIN (VALUES (0, 'BTC', 'venue', 0.001), (1, 'BTC', 'trading', -0.001), (2, 'USDT', 'venue', -20), (3, 'USDT', 'trading', 20),
  (4, 'USDT', 'venue', -0.02), (5, 'USDT', 'fees', 0.02)) AS legs(leg, asset, book, amount);
DROP TABLE made;
DELETE FROM orders_balance; DELETE FROM orders_position;
INSERT INTO orders_balance (account_id, asset, total, updated_at)
  SELECT account_id, asset, sum(amount), now() FROM orders_posting WHERE book = 'venue' GROUP BY account_id, asset;
INSERT INTO orders_position (account_id, symbol, quantity, entry_price, realised_pnl, updated_at)
  SELECT account_id, symbol, sum(quantity * CASE side WHEN 'buy' THEN 1 ELSE -1 END), 20000, 0, now() FROM orders_fill GROUP BY account_id, symbol;
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--postings", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gapless-proof-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        database = embedded.start(folder, durable=False)
        os.environ |= {
            "DATABASE_URL": database.url, "GAPLESS_HOME": str(folder), "DJANGO_SETTINGS_MODULE": "project.settings",
            "LOG_LEVEL": "ERROR", "SECRET_KEY": "signs nothing",
        }  # fmt: skip
        try:
            django.setup()
            call_command("migrate", verbosity=0)
            done = 0
            for wanted in (options.postings // 10, options.postings):
                _grow(database.url, done // LEGS, wanted // LEGS)
                done = wanted
                seconds, mib, said = _verify()
                sys.stdout.write(f"{wanted:,} postings: {seconds:.1f} s, {mib:.0f} MiB at most; {said}\n")
        finally:
            database.stop()


def _grow(url: str, first: int, last: int) -> None:
    with psycopg.connect(url, autocommit=True) as link:
        link.execute("SET session_replication_role = replica")
        for statement in ROWS.format(accounts=ACCOUNTS, first=first, last=last).split(";\n"):
            if statement.strip():
                link.execute(statement.encode())
        link.execute("ANALYZE")


def _verify() -> tuple[float, float, str]:
    """Run the command as a process of its own; return its seconds, its greatest memory in MiB, and what it said."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "manage.py", "verify_ledger"], stdout=subprocess.PIPE, text=True)
    said = process.stdout.read().strip() if process.stdout else ""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return time.perf_counter() - began, _mib(usage), f"exit {process.returncode}, {said}"


def _mib(usage: resource.struct_rusage) -> float:
    return usage.ru_maxrss / 1024


if __name__ == "__main__":
    main()
