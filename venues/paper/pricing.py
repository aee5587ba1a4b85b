"""What an order needs, holds and pays on an exchange, and whether its numbers fit the instrument."""

from decimal import ROUND_DOWN, Decimal

from venues.paper.book import OPPOSITE, Book, crosses
from venues.paper.contracts import QUANTUM, Position, margin_unit, value
from venues.paper.markets import Exchange, Market
from venues.paper.orders import NOTHING, Order, OrderRequest, Rejected, Resting

FLAT = Position()


def fee_asset_of(exchange: Exchange, market: Market, request: OrderRequest) -> str:
    """Return the asset in which an order's fee is taken."""
    if market.settle:
        return market.settle
    if request.fee_preference:
        return market.base if request.fee_preference == "base" else market.quote
    if exchange.fee_in_received_asset:
        return market.base if request.side == "buy" else market.quote
    return market.quote


def charge(
    exchange: Exchange, market: Market, request: OrderRequest, price: Decimal, quantity: Decimal, liquidity: str
) -> tuple[Decimal, Decimal, str]:
    """Return what a trade costs, its fee and the asset of the fee; a derivative's cost is in its settlement asset."""
    rate = exchange.maker_rate if liquidity == "maker" else exchange.taker_rate
    fee_asset = fee_asset_of(exchange, market, request)
    worth = value(market, quantity, price) if market.settle else price * quantity
    cost = worth.quantize(QUANTUM, ROUND_DOWN)
    fee = ((quantity if fee_asset == market.base and not market.settle else cost) * rate).quantize(QUANTUM, ROUND_DOWN)
    return cost, fee, fee_asset


def holding(
    exchange: Exchange,
    market: Market,
    request: OrderRequest,
    trigger_price: Decimal | None = None,
    position: Position = FLAT,
) -> tuple[str, Decimal]:
    """Return the asset an order spends and how much of it is held for each unit of quantity.

    A market order holds nothing; one that waits for its trigger holds as if it were to trade at the trigger. An order
    for a derivative holds margin, and none when it only reduces the account's position.
    """
    spent = market.settle or (market.quote if request.side == "buy" else market.base)
    if request.type == "market" or (request.is_market and trigger_price is None):
        return spent, NOTHING
    limit = (trigger_price if request.is_market else request.price) or NOTHING
    if market.settle:
        reduces = request.reduce_only or request.quantity <= position.reducible(request.side)
        return spent, NOTHING if reduces else margin_unit(market, limit, exchange.taker_rate)
    price = limit if request.side == "buy" else Decimal(1)
    rate = exchange.taker_rate if fee_asset_of(exchange, market, request) == spent else NOTHING
    return spent, price * (1 + rate)


def taking_cost(
    exchange: Exchange, market: Market, book: Book, request: OrderRequest, quantity: Decimal, position: Position = FLAT
) -> tuple[str, Decimal]:
    """Return the asset and amount that a market order needs against a book as it stands."""
    if market.settle:
        opens = NOTHING if request.reduce_only else quantity - position.reducible(request.side)
        price = book.best_price(OPPOSITE[request.side])
        if opens <= 0 or price is None:
            return market.settle, NOTHING
        return market.settle, opens * margin_unit(market, price, exchange.taker_rate)
    spent = market.quote if request.side == "buy" else market.base
    rate = exchange.taker_rate if fee_asset_of(exchange, market, request) == spent else NOTHING
    if request.side == "sell":
        return spent, quantity * (1 + rate)
    left, cost = quantity, NOTHING
    for resting in book.walk("sell"):
        taken = min(left, resting.leaves)
        cost += taken * resting.price
        left -= taken
        if not left:
            break
    return spent, cost * (1 + rate)


def quantity_for_quote(book: Book, market: Market, side: str, quote_quantity: Decimal) -> Decimal:
    """Return the quantity that an amount of quote asset buys or sells against a book as it stands."""
    left, quantity = quote_quantity, NOTHING
    for resting in book.walk(OPPOSITE[side]):
        affordable = (left / resting.price).quantize(market.quantity_step, ROUND_DOWN)
        taken = min(affordable, resting.leaves)
        if not taken:
            break
        quantity += taken
        left -= taken * resting.price
    return quantity


def available(exchange: Exchange, book: Book, order: Resting, limit: Decimal | None) -> Decimal:
    """Return the quantity an order could take at once, counted only until it is enough."""
    total = NOTHING
    for resting in book.walk(OPPOSITE[order.side]):
        if (
            total >= order.leaves
            or not crosses(order.side, limit, resting.price)
            or meets_itself(exchange, order, resting)
        ):
            break
        total += resting.leaves
    return total


def meets_itself(exchange: Exchange, taker: Resting, maker: Resting) -> bool:
    """Tell whether a trade would be between orders of one account, where the exchange ends the newer one instead."""
    if not exchange.prevents_self_trades or not isinstance(taker, Order) or not isinstance(maker, Order):
        return False
    return taker.request.account == maker.request.account


def check_filters(market: Market, request: OrderRequest, last_price: Decimal) -> None:
    """Raise Rejected unless price, trigger and quantity fit the instrument."""
    price = request.price
    if price is not None and (price <= 0 or price % market.price_step or price > market.price_max):
        raise Rejected("price_step", market.venue_id)
    trigger = request.trigger_price
    if trigger is not None and (trigger <= 0 or trigger % market.price_step or trigger > market.price_max):
        raise Rejected("price_step", market.venue_id)
    offset = request.trailing_offset
    if offset is not None and (offset <= 0 or offset % market.price_step):
        raise Rejected("price_step", market.venue_id)
    quantity = request.quantity
    if quantity % market.quantity_step:
        raise Rejected("quantity_step", market.venue_id)
    if not market.quantity_min <= quantity <= market.quantity_max:
        raise Rejected("quantity_min", market.venue_id)
    if (price or trigger or last_price) * quantity < market.notional_min:
        raise Rejected("notional_min", market.venue_id)
