"""Cases of the private stream: what happens is told, exactly, and again after the line was cut."""

from __future__ import annotations

from venues.conformance.bench import Bench, expect
from venues.conformance.cases import case
from venues.conformance.trading import traded
from venues.messages import FillReport, OrderReport, Report


@case("the stream signs in and is live", fact="stream", places_orders=False)
async def stream_is_live(bench: Bench) -> str:
    async with bench.listening():
        return "live"


@case("an order's opening and end are told, with our numbers", fact="stream")
async def stream_tells_orders(bench: Bench) -> str:
    async with bench.listening():
        order, placed = await bench.rest()

        def opened(report: Report) -> bool:
            return isinstance(report, OrderReport) and report.venue_order_id == placed.venue_order_id

        told = await bench.hears("the stream tells of the order", opened)
        if isinstance(told, OrderReport):
            expect(told.quantity in (None, order.quantity), f"told of {told.quantity} instead of {order.quantity}")
        await bench.cancel(order, placed.venue_order_id)

        def ended(report: Report) -> bool:
            return isinstance(report, OrderReport) and opened(report) and report.status == "cancelled"

        await bench.hears("the stream tells of its end", ended)
        return "opening and end told"


@case("a trade is told with its id, or its order's filled quantity is", fact="stream", spends=True)
async def stream_tells_trades(bench: Bench) -> str:
    async with bench.listening():
        fills, quantity, _ = await traded(bench, "buy")
        order_id, trade_id = fills[0].venue_order_id, fills[0].venue_trade_id

        def told(report: Report) -> bool:
            if isinstance(report, FillReport):
                return report.venue_trade_id == trade_id
            is_ours = isinstance(report, OrderReport) and report.venue_order_id == order_id
            return is_ours and isinstance(report, OrderReport) and (report.filled_quantity or 0) >= quantity

        report = await bench.hears("the stream tells of the trade", told)
        return (
            "the trade itself" if isinstance(report, FillReport) else "the order's filled quantity; trades come by REST"
        )


@case("a stream that was left is joined again and tells on", fact="stream")
async def stream_comes_back(bench: Bench) -> str:
    async with bench.listening():
        pass
    async with bench.listening():
        _, placed = await bench.rest()

        def opened(report: Report) -> bool:
            return isinstance(report, OrderReport) and report.venue_order_id == placed.venue_order_id

        await bench.hears("the stream tells of the order", opened)
        return "told again after a second connection"
