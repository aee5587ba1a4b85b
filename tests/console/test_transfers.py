"""The page of transfers: what moved, its fee, where it is settled, by account, kind and asset, and as a file."""

from __future__ import annotations

from decimal import Decimal

from tests import factories
from tests.console.conftest import SignIn


def test_transfers_are_listed_filtered_and_linked(sign_in: SignIn) -> None:
    client = sign_in("viewer")
    moved = factories.TransferFactory(
        kind="withdrawal", amount=Decimal("-1.0005"), fee=Decimal("0.0005"), asset="BTC", reference="tx-9"
    )
    other = factories.TransferFactory(reference="tx-10")
    about = factories.BreakFactory(account=moved.account, kind="transfer", transfer=moved)
    text = client.get("/transfers/").content.decode()
    assert "Withdrawal" in text and "tx-9" in text and "tx-10" in text and "0.0005" in text
    assert f'href="/breaks/{about.id}/"' in text
    assert f"/ledger/?account={moved.account_id}&amp;asset=BTC&amp;cause=transfer" in text
    assert '<a href="/transfers/" aria-current="page">Transfers' in text
    for query in (f"account={moved.account_id}", "kind=withdrawal", "asset=BTC"):
        found = client.get(f"/transfers/?{query}").content.decode()
        assert f"transfer-{moved.id}" in found and f"transfer-{other.id}" not in found, query
    assert "Nothing matches these filters" in client.get("/transfers/?kind=gift").content.decode()


def test_transfers_as_a_file(sign_in: SignIn) -> None:
    factories.TransferFactory(reference="=HYPERLINK(1)")
    response = sign_in("viewer").get("/transfers/?format=csv")
    lines = b"".join(response.streaming_content).decode().splitlines()  # type: ignore[attr-defined]
    assert lines[0].startswith("occurred_at,account,kind,asset,amount,fee")
    assert "'=HYPERLINK(1)" in lines[1] and "250.5" in lines[1]
