"""Load by aioquic that goes on as long as its input: one line of JSON (`MovingLoadPlan` in `moving-load.ts`), its counts at the end.

A connection that is told to go elsewhere (GOAWAY) finishes what it has, and another one takes its place. A request that the server
says it has not looked at (H3_REQUEST_REJECTED) is made again there; whatever else is not answered with 200 is a failure.
"""

import asyncio
import collections
import json
import sys
import threading

from aioquic_session import connect, open_socket

H3_REQUEST_REJECTED = 0x10B
FAILURES_SHOWN_MAX = 10


class Load:
    """The counts of all connections."""

    def __init__(self, plan):
        self.plan = plan
        self.over = asyncio.Event()
        self.counts = collections.Counter()
        self.failures = []

    def stop_with_input(self):
        loop = asyncio.get_running_loop()

        def read():
            for _ in sys.stdin:
                pass
            loop.call_soon_threadsafe(self.over.set)

        threading.Thread(target=read, daemon=True).start()

    def fail(self, what):
        self.counts["failed"] += 1
        if len(self.failures) < FAILURES_SHOWN_MAX:
            self.failures.append(what)

    async def keep_going(self, number):
        """One client: a connection after the other."""
        while not self.over.is_set():
            locals_ = self.plan["local_hosts"]
            local = locals_[(number + self.counts["connections"]) % len(locals_)]
            session, transport, family = await connect(self.plan | {"local_host": local}, lambda event, **details: None)
            self.counts["connections"] += 1
            if session.closed:
                self.fail({"connection": "not made", "by": session._quic.closed_by})
                await asyncio.sleep(0.1)
                continue
            client = Client(self, session, transport, family, local)
            await client.run()

    def result(self):
        return {"counts": dict(self.counts), "failures": self.failures}


class Client:
    """One connection."""

    def __init__(self, load, session, transport, family, local):
        self.load, self.session, self.transport, self.family, self.local = load, session, transport, family, local
        self.asked = 0

    def usable(self):
        return not self.session.closed and not self.session.control.goaways and not self.load.over.is_set()

    async def run(self):
        pause = 1 / self.load.plan["rate"]
        tasks = []
        while self.usable():
            self.asked += 1
            tasks.append(asyncio.ensure_future(self.ask()))
            if self.asked % self.load.plan["move_every"] == 0:
                await self.rebind()
            await asyncio.sleep(pause)
        await asyncio.gather(*tasks)
        if self.session._quic.closed_by == "reset":
            self.load.counts["stateless_resets"] += 1
        if not self.session.closed:
            self.session.close(0x100)
            # The closing packet is on its way before the socket goes.
            await asyncio.sleep(0)
        self.transport.close()

    async def rebind(self):
        """The same connection from another port; what comes to the old one meanwhile is lost."""
        old, session = self.transport, self.session
        self.transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: session, sock=open_socket(self.family, self.local)
        )
        old.close()
        self.load.counts["rebinds"] += 1

    async def ask(self):
        load, plan, session = self.load, self.load.plan, self.session
        load.counts["sent"] += 1
        exchange = session.open_exchange("")
        authority = f"{plan.get('server_name', 'localhost')}:{plan['port']}"
        head = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", authority.encode()), (b":path", plan["path"].encode())]
        await session.send(exchange, {}, head)
        await session.until(lambda: exchange.done)
        session.order.remove(exchange)
        session.exchanges.pop(exchange.stream_id, None)
        if exchange.reset_code == H3_REQUEST_REJECTED:
            load.counts["sent"] -= 1
            load.counts["rejected"] += 1
        elif exchange.error is not None or exchange.status != 200:
            load.fail({"status": exchange.status, "error": exchange.error, "by": session._quic.closed_by})
        else:
            load.counts["answered"] += 1


async def main():
    plan = json.loads(sys.stdin.readline())
    load = Load(plan)
    load.stop_with_input()
    await asyncio.gather(*(load.keep_going(number) for number in range(plan["connections"])))
    sys.stdout.write(json.dumps(load.result()) + "\n")
    sys.stdout.flush()


asyncio.run(main())
