"""Users of a site over HTTP/3 by aioquic, who go on from one connection to the next as browsers do.

A plan comes as one line of JSON (`AioquicLoadPlan` in `aioquic-load.ts`); a second line ends the load. Every user asks one request
after another. What the server says that it has not processed (a stream at or above the id of GOAWAY, or H3_REQUEST_REJECTED) is asked
again on another connection and counts as moved; whatever else is not answered 200, whole, is a failure.
"""

import asyncio
import collections
import json
import os
import sys
import threading

from aioquic_exchange import encoded
from aioquic_session import H3_NO_ERROR, connect

H3_REQUEST_REJECTED = 0x10B
FAILURES_SHOWN_MAX = 10
SAID_EACH = 100


class Load:
    """What all users share."""

    def __init__(self, plan):
        self.plan = plan
        self.counts = collections.Counter()
        self.closes = collections.Counter()
        self.failures = []
        self.stopping = asyncio.Event()
        authority = f"localhost:{plan['port']}"
        pseudo = [[":method", "GET"], [":scheme", "https"], [":authority", authority], [":path", plan["path"]]]
        self.head = encoded(pseudo)
        self.threads = []

    async def connect(self):
        self.counts["connections"] += 1
        session, transport, _ = await connect(self.plan, lambda event, **details: None)
        if session.closed:
            self.fail({"connect": str(session._quic.close_seen)})
        return session, transport

    def fail(self, what):
        self.counts["failed"] += 1
        if len(self.failures) < FAILURES_SHOWN_MAX:
            self.failures.append(what)

    def answered(self):
        self.counts["ok"] += 1
        if self.counts["ok"] % SAID_EACH == 0:
            say({"event": "answered", "count": self.counts["ok"]})


class User:
    """One after another."""

    def __init__(self, load):
        self.load = load
        self.session = None
        self.transport = None
        self.asked = 0

    async def run(self):
        while not self.load.stopping.is_set():
            if not self.is_good():
                await self.move()
            await self.ask()
            await asyncio.sleep(self.load.plan.get("pause_ms", 0) / 1000)
        self.leave()

    def is_good(self):
        session, most = self.session, self.load.plan.get("requests_per_connection", 1_000_000)
        return session is not None and not session.closed and not session.control.goaways and self.asked < most

    async def move(self):
        self.leave()
        self.session, self.transport = await self.load.connect()
        self.asked = 0

    def leave(self):
        if self.session is None:
            return
        self.load.counts["goaways"] += len(self.session.control.goaways)
        if self.session.closed:
            self.load.closes[self.session._quic.closed_by] += 1
        else:
            self.session.close(H3_NO_ERROR)
        self.transport.close()
        self.session = None

    async def ask(self):
        session, counts = self.session, self.load.counts
        self.asked += 1
        counts["sent"] += 1
        exchange = session.open_exchange("request")
        await session.send(exchange, {}, self.load.head)
        await session.until(lambda: exchange.done)
        session.order.remove(exchange)
        session.exchanges.pop(exchange.stream_id, None)
        if exchange.error is None and exchange.status == 200:
            self.load.answered()
        elif self.was_not_processed(exchange):
            counts["moved"] += 1
        else:
            self.load.fail(exchange.result() | {"closed": session.result()["closed"], "goaways": session.control.goaways})

    def was_not_processed(self, exchange):
        if exchange.reset_code == H3_REQUEST_REJECTED or exchange.stream_id is None:
            return True
        return exchange.stream_id >= min(self.session.control.goaways, default=1 << 62)


def say(value):
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


async def main():
    plan = json.loads(sys.stdin.readline())
    load = Load(plan)
    loop = asyncio.get_running_loop()

    def wait_for_end():
        sys.stdin.readline()
        loop.call_soon_threadsafe(load.stopping.set)

    threading.Thread(target=wait_for_end, daemon=True).start()
    await asyncio.gather(*(User(load).run() for _ in range(plan["users"])))
    counts = {name: load.counts[name] for name in ("sent", "ok", "moved", "failed", "connections", "goaways")}
    say({"result": counts | {"closes": dict(load.closes), "failures": load.failures}})


if __name__ == "__main__":
    asyncio.run(main())
    sys.stdout.flush()
    os._exit(0)
