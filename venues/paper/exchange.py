"""One request to a world without input or output: faults before and after it, limits, and what is to be sent back."""

from dataclasses import dataclass, field, replace
from typing import Any

from venues.paper import spoil
from venues.paper.faults import AFTER, BEFORE, EITHER, LATE, READ_OPERATIONS, ROWS, Call, Rule
from venues.paper.messages import NOBODY, Answer, Context, HttpRequest, encode_bytes
from venues.paper.world import World

JSON_TYPE = "application/json; charset=utf-8"
HTML_TYPE = "text/html; charset=utf-8"
TEXT_TYPE = "text/plain; charset=utf-8"
BUSY = {"code": -1000, "msg": "Internal error", "error": ["EService:Busy"]}


@dataclass(frozen=True, slots=True)
class Reply:
    """What the other side is to get, after a delay: an answer, half of one, or a cut connection.

    Nothing of it may be sent before the world's journal is durable.
    """

    content: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = JSON_TYPE
    delay_seconds: float = 0.0
    is_cut: bool = False
    is_half: bool = False


@dataclass(frozen=True, slots=True)
class Hang:
    """The request waits before anybody looks at it; go on with `handle(..., has_waited=True)`."""

    seconds: float


def handle(world: World, http: HttpRequest, has_waited: bool = False) -> Reply | Hang:
    """Answer a request as the exchange would, or as its faults want it."""
    world.advance()
    limits = world.limits
    if limits is not None and (earned := limits.judge(http.remote, world.now())):
        world.refused_counts[earned[0]] += 1
        return _reply(world.dialect.fault_answer(world, earned[0], earned[1]))
    parsed = world.dialect.read(world, http)
    if not world.faults.rules:
        return _reply(_answer(world, http, parsed))
    call: Call = parsed.call
    if not has_waited:
        with_context(world, http)
        rule = world.faults.take((*BEFORE, *EITHER, *LATE), call, "before")
        world.context = NOBODY
        if rule is not None:
            if rule.fault == "hang":
                return Hang(rule.number("seconds", 30))
            return _late(world, http, parsed, rule) if rule.fault in LATE else misbehave(world, rule, Answer({}))
    return _after(world, http, parsed, _answer(world, http, parsed))


def with_context(world: World, http: HttpRequest) -> None:
    """Let what happens now be journalled as this request's."""
    world.context = Context(http.connection, http.received_at)


def _answer(world: World, http: HttpRequest, parsed: Any, is_admitted: bool = False) -> Answer:
    with_context(world, http)
    try:
        return world.dialect.answer(world, parsed, is_admitted)
    finally:
        world.context = NOBODY


def _after(world: World, http: HttpRequest, parsed: Any, answer: Answer) -> Reply:
    """Apply the faults that spoil an answer after the request was done."""
    with_context(world, http)
    try:
        for rule in world.faults.live(ROWS, parsed.call):
            spoiled = _spoiled(world, parsed, rule, answer.body) if answer.status == 200 else None
            if spoiled is not None:
                world.faults.fire(rule, parsed.call)
                answer = replace(answer, body=spoiled)
        taken = world.faults.take((*AFTER, *EITHER), parsed.call, "after")
    finally:
        world.context = NOBODY
    return _reply(answer) if taken is None else misbehave(world, taken, answer)


def _spoiled(world: World, parsed: Any, rule: Rule, body: Any) -> Any:
    if rule.fault == "wrong_client_id_echo":
        return spoil.with_other_client_id(body, rule) if spoil.carries_client_id(body) else None
    if parsed.call.operation not in READ_OPERATIONS:
        return None
    others = [name for name in world.engine.accounts if name != parsed.call.account]
    foreign = world.dialect.rows_of(world, parsed, others[0]) if others else None
    return spoil.with_foreign_row(body, foreign)


def _late(world: World, http: HttpRequest, parsed: Any, rule: Rule) -> Reply:
    """Answer as if it had failed, and do it later all the same, unless its validity window is over by then."""
    refusal = world.dialect.admit(world, parsed)
    if refusal is not None:
        return _reply(refusal)
    seconds = rule.number("seconds", 2)
    world.later(seconds, lambda: _answer(world, http, parsed, is_admitted=True))
    if rule.params.get("answer") == "timeout":
        return Reply(is_cut=True, delay_seconds=rule.number("timeout_seconds", 30))
    return misbehave(world, replace(rule, fault="status"), Answer({}))


def misbehave(world: World, rule: Rule, answer: Answer) -> Reply:
    """Return what a fault makes of an answer."""
    fault = rule.fault
    if fault in ("drop_before", "drop_after"):
        return Reply(is_cut=True)
    if fault == "hang":
        return replace(_reply(answer), delay_seconds=rule.number("seconds", 30))
    if fault == "status":
        status = int(rule.number("status", 503))
        if rule.params.get("body") == "json":
            return Reply(encode_bytes(BUSY), status)
        return Reply(spoil.HTML_PAGE.encode(), status, content_type=HTML_TYPE)
    if fault in ("rate_limited", "ban", "unknown_reject", "duplicate_client_id_reject", "maintenance"):
        return _reply(world.dialect.fault_answer(world, fault, rule.number("seconds", 5)))
    if fault == "truncate":
        return replace(_reply(answer), is_half=True)
    if fault == "huge_exponent":
        return _reply(replace(answer, body=spoil.enlarged(answer.body)))
    text = {"empty": "", "html": spoil.HTML_PAGE, "json_empty": "{}"}[fault]
    return Reply(text.encode(), content_type=HTML_TYPE if fault == "html" else JSON_TYPE)


def _reply(answer: Answer) -> Reply:
    if isinstance(answer.body, bytes):
        return Reply(answer.body, answer.status, dict(answer.headers), TEXT_TYPE)
    return Reply(encode_bytes(answer.body), answer.status, dict(answer.headers))
