"""The control interface: worlds, faults, outside trades and orders, and the journal as the venue's truth."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any

from aiohttp import web

from venues.paper.blueprint import Blueprint
from venues.paper.messages import plain
from venues.paper.orders import Order, OrderRequest, Rejected, Resting
from venues.paper.world import World
from venues.paper.worlds import Worlds

PAGE_MAX = 5000
Json = dict[str, Any]


class Control:
    """Handles every path under /_control."""

    def __init__(self, worlds: Worlds, address: str) -> None:
        self.worlds = worlds
        self.address = address

    async def handle(self, request: web.Request, path: str) -> web.Response:
        """Answer a control request; what makes no sense is a 400 that says why."""
        name, _, identifier = path.removeprefix("/_control/").strip("/").partition("/")
        handler = self._ROUTES.get((request.method, name))
        if handler is None:
            return _json({"error": f"no such control: {request.method} {name}"}, 404)
        try:
            asked = dict(request.query) if request.method == "GET" else await _read_json(request)
            asked |= {**request.query, **({"id": identifier} if identifier else {})}
            return await handler(self, asked)
        except Rejected as rejected:
            return _json({"error": rejected.reason}, 422)
        except KeyError as missing:
            return _json({"error": f"missing or unknown: {missing.args[0]}"}, 404 if _is_world(missing) else 400)
        except (ValueError, TypeError, InvalidOperation) as wrong:
            return _json({"error": str(wrong)}, 400)

    async def _health(self, asked: Json) -> web.Response:
        return _json({"status": "ok", "worlds": len(self.worlds.by_name)})

    async def _list_worlds(self, asked: Json) -> web.Response:
        return _json({"results": [self._describe(world) for world in self.worlds.by_name.values()]})

    async def _create_world(self, asked: Json) -> web.Response:
        blueprint = Blueprint(
            exchange=str(asked["exchange"]),
            world=str(asked["world"]),
            seed=int(asked.get("seed", 1)),
            flow_steps_per_second=float(asked.get("flow_steps_per_second", 0)),
            markets=asked.get("markets"),
            accounts=list(asked.get("accounts") or []),
            personality=dict(asked.get("personality") or {}),
            limits=dict(asked.get("limits") or {}),
        )
        for account in blueprint.accounts:
            if not account.get("api_key") or not account.get("secret"):
                raise ValueError("every account needs api_key and secret")
        world = self.worlds.create(blueprint)
        await world.journal.durable()
        return _json(self._describe(world), 201)

    async def _delete_world(self, asked: Json) -> web.Response:
        await self.worlds.remove(str(asked["exchange"]), str(asked["world"]))
        return _json({}, 200)

    async def _change_key(self, asked: Json) -> web.Response:
        world = self._world(asked)
        key = world.keys[str(asked["account"])]
        addresses = asked.get("whitelist")
        world.keys[key.api_key] = changed = replace(
            key, permissions={**key.permissions, **dict(asked.get("permissions") or {})},
            whitelist=key.whitelist if addresses is None else tuple(addresses),
        )  # fmt: skip
        return _json({"permissions": changed.permissions, "whitelist": list(changed.whitelist)})

    async def _add_fault(self, asked: Json) -> web.Response:
        world = self._world(asked)
        rule = world.add_fault(asked)
        await world.journal.durable()
        return _json({"id": f"{world.exchange.name}.{world.blueprint.world}.{rule.id}"}, 201)

    async def _list_faults(self, asked: Json) -> web.Response:
        return _json(
            {
                "results": [
                    rule.describe(world.now())
                    | {
                        "id": f"{world.exchange.name}.{world.blueprint.world}.{rule.id}",
                        "exchange": world.exchange.name,
                        "world": world.blueprint.world,
                    }
                    for world in self._some_worlds(asked)
                    for rule in world.faults.rules.values()
                ]
            }
        )

    async def _delete_faults(self, asked: Json) -> web.Response:
        if "id" not in asked:
            return _json({"removed": sum(world.faults.remove(None) for world in self._some_worlds(asked))})
        exchange, name, rule_id = str(asked["id"]).split(".")
        removed = self.worlds.find(exchange, name).faults.remove(rule_id)
        return _json({"removed": removed}, 200 if removed else 404)

    async def _journal(self, asked: Json) -> web.Response:
        world = self._world(asked)
        await world.journal.durable()
        limit = min(int(asked.get("limit", 1000)), PAGE_MAX)
        results, following = world.journal.read(int(asked.get("after", 0)), limit, asked.get("kind"))
        return _json({"results": results, "next": following})

    async def _balances(self, asked: Json) -> web.Response:
        world = self._world(asked)
        return _json({"results": {api_key: _balances(world, api_key) for api_key in world.engine.accounts}})

    async def _prices(self, asked: Json) -> web.Response:
        return _json({"results": self._world(asked).flow.prices()})

    async def _move_price(self, asked: Json) -> web.Response:
        world, symbol = self._world(asked), str(asked["symbol"])
        price = Decimal(str(asked["price"]))
        if symbol not in world.engine.markets or price <= 0 or price % world.engine.markets[symbol].market.price_step:
            raise ValueError("symbol must be one of the world's markets, price above 0 and on its grid")
        world.move_price(symbol, price)
        await world.journal.durable()
        return _json({"last": plain(world.engine.markets[symbol].last_price)})

    async def _trade(self, asked: Json) -> web.Response:
        world = self._world(asked)
        symbol, side = str(asked["symbol"]), str(asked["side"])
        if side not in ("buy", "sell") or symbol not in world.engine.markets:
            raise ValueError("side must be buy or sell, symbol one of the world's markets")
        limit = None if asked.get("price") is None else Decimal(str(asked["price"]))
        quote = Resting(side, limit or Decimal(0), Decimal(str(asked["quantity"])))
        wanted = quote.leaves
        if asked.get("through_book"):
            world.engine.outside(symbol, quote, limit)
            trades: list[Json] = []
        else:
            key = _order_key(world, asked)
            fills = world.engine.outside_against(symbol, quote, limit, key)
            trades = [
                {
                    "order_id": fill.order.order_id,
                    "client_order_id": fill.order.request.client_order_id,
                    "trade_id": fill.trade_id,
                    "price": plain(fill.price),
                    "quantity": plain(fill.quantity),
                }
                for fill in fills
            ]
        world.drain()
        await world.journal.durable()
        return _json({"filled": plain(wanted - quote.leaves), "trades": trades}, 201)

    async def _place_order(self, asked: Json) -> web.Response:
        world = self._world(asked)
        price = asked.get("price")
        request = OrderRequest(
            account=str(asked["account"]),
            symbol=str(asked["symbol"]),
            side=str(asked["side"]),
            type=str(asked.get("type", "limit")),
            quantity=Decimal(str(asked["quantity"])),
            price=None if price is None else Decimal(str(price)),
            time_in_force=str(asked.get("time_in_force", "GTC")),
            client_order_id=str(asked.get("client_order_id", "")),
            origin="external",
        )
        if request.account not in world.engine.accounts:
            raise ValueError("account must be an api_key of the world")
        order = world.place(request)
        await world.journal.durable()
        return _json({"order_id": order.order_id, "status": order.status, "executed": plain(order.executed)}, 201)

    async def _cancel_order(self, asked: Json) -> web.Response:
        world = self._world(asked)
        account = world.engine.accounts[str(asked["account"])]
        order: Order = account.orders[_order_key(world, asked)]
        world.cancel(order, "cancelled from outside")
        await world.journal.durable()
        return _json({"order_id": order.order_id, "status": order.status})

    def _world(self, asked: Json) -> World:
        return self.worlds.find(str(asked.get("exchange", "")), str(asked.get("world", "")))

    def _some_worlds(self, asked: Json) -> list[World]:
        return [self._world(asked)] if "world" in asked else list(self.worlds.by_name.values())

    def _describe(self, world: World) -> Json:
        prefix = f"{self.address}/{world.exchange.name}/{world.blueprint.world}"
        return world.describe() | {"rest_url": f"http://{prefix}", "ws_url": f"ws://{prefix}"}

    _ROUTES: dict[tuple[str, str], Callable[["Control", Json], Awaitable[web.Response]]] = {
        ("GET", "health"): _health,
        ("GET", "worlds"): _list_worlds,
        ("POST", "worlds"): _create_world,
        ("DELETE", "worlds"): _delete_world,
        ("GET", "faults"): _list_faults,
        ("POST", "faults"): _add_fault,
        ("DELETE", "faults"): _delete_faults,
        ("GET", "journal"): _journal,
        ("GET", "balances"): _balances,
        ("PATCH", "keys"): _change_key,
        ("GET", "prices"): _prices,
        ("POST", "prices"): _move_price,
        ("POST", "trades"): _trade,
        ("POST", "orders"): _place_order,
        ("DELETE", "orders"): _cancel_order,
    }


def _order_key(world: World, asked: Json) -> str:
    if asked.get("order_id"):
        return world.engine.order_key(str(asked["symbol"]), str(asked["order_id"]))
    client_order_id = asked.get("client_order_id")
    if not client_order_id:
        return ""
    for account in world.engine.accounts.values():
        order = account.by_client_id.get(str(client_order_id))
        if order is not None:
            return order.key
    raise KeyError("client_order_id")


def _balances(world: World, api_key: str) -> Json:
    account = world.engine.accounts[api_key]
    return {
        asset: {
            "total": plain(account.total[asset]),
            "free": plain(account.free(asset)),
            "held": plain(account.held[asset]),
        }
        for asset in account.assets()
    }


def _is_world(missing: KeyError) -> bool:
    return isinstance(missing.args[0], tuple)


async def _read_json(request: web.Request) -> Json:
    if not request.can_read_body:
        return {}
    body = await request.json()
    if not isinstance(body, dict):
        raise ValueError("the body must be a JSON object")
    return body


def _json(body: Json, status: int = 200) -> web.Response:
    return web.json_response(body, status=status)
