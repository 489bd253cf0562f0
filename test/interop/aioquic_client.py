"""HTTP/3 by aioquic, driven by a plan: one line of JSON on standard input. Later lines are cues that the plan waits for.

Standard output is lines of JSON: events as they happen (`{"event": ...}`), at last `{"result": {"connections": [...]}}`.
The plan's keys are those of `AioquicPlan` in `aioquic.ts`; that file is the reference.
"""

import asyncio
import collections
import json
import os
import sys
import threading

from aioquic_exchange import H3_REQUEST_CANCELLED, encoded
from aioquic_session import H3_NO_ERROR, connect, open_socket

FAILURES_SHOWN_MAX = 10


class Cues:
    """Lines of standard input, taken in order by whoever waits. A thread reads them: the loop must not block."""

    def __init__(self):
        self._loop = asyncio.get_running_loop()
        self._queue = asyncio.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in sys.stdin:
            self._loop.call_soon_threadsafe(self._queue.put_nowait, line.strip())

    async def next(self):
        return await self._queue.get()


class Runner:
    """Plays the steps of a plan on one connection."""

    def __init__(self, plan, number, cues):
        self.plan = plan
        self.number = number
        self.cues = cues
        self.bulks = []
        self.tasks = []
        self.local_ports = []

    def tell(self, event, **details):
        if self.plan.get("events", True):
            say({"event": event, "connection": self.number} | details)

    async def run(self):
        self.session, self.transport, self.family = await connect(self.plan, self.tell)
        self.local_ports.append(self.transport.get_extra_info("sockname")[1])
        for step in self.plan["steps"]:
            await getattr(self, "do_" + step["do"])(step)
        await asyncio.gather(*self.tasks)
        result = self.session.result()
        if not self.session.closed:
            self.session.tell = lambda event, **details: None
            self.session.close(H3_NO_ERROR)
        self.transport.close()
        exchanges = [exchange.result() for exchange in self.session.order if not getattr(exchange, "bulk", False)]
        return result | {"exchanges": exchanges, "bulks": self.bulks, "local_ports": self.local_ports}

    # --- requests

    def head(self, spec):
        if "raw_headers" in spec:
            return encoded(spec["raw_headers"])
        authority = spec.get("authority", f"{self.plan.get('server_name', 'localhost')}:{self.plan['port']}")
        pseudo = [
            [":method", spec.get("method", "GET" if spec.get("body") is None else "POST")],
            [":scheme", "https"],
            [":authority", authority],
            [":path", spec.get("path", "/")],
        ]
        return encoded(pseudo + spec.get("headers", []))

    def begin(self, spec, name):
        exchange = self.session.open_exchange(name)
        return exchange, asyncio.ensure_future(self.session.send(exchange, spec, self.head(spec)))

    async def end_of(self, exchange, sending):
        """Until both directions are over. A failure to send is raised at once."""
        await asyncio.gather(sending, self.session.until(lambda: exchange.done))

    async def do_request(self, step):
        if step.get("count", 1) > 1:
            await self.bulk(step)
            return
        exchange, sending = self.begin(step, step.get("id", str(len(self.session.order))))
        await self.end_of(exchange, sending)

    async def bulk(self, step):
        """Many of the same, some at a time. Only sums are kept, and the first failures."""
        sums = {"id": step.get("id", "bulk"), "count": step["count"], "body_bytes": 0, "failures": []}
        counters = {"statuses": collections.Counter(), "sha256s": collections.Counter(), "backends": collections.Counter()}
        left = iter(range(step["count"]))

        async def worker():
            for index in left:
                exchange, sending = self.begin(step, f"{sums['id']}-{index}")
                exchange.bulk = True
                await self.end_of(exchange, sending)
                self.session.order.remove(exchange)
                self.session.exchanges.pop(exchange.stream_id, None)
                count_one(sums, counters, exchange)

        await asyncio.gather(*(worker() for _ in range(step.get("concurrency", 1))))
        self.bulks.append(sums | {name: dict(counter) for name, counter in counters.items()})

    async def do_start(self, step):
        _, sending = self.begin(step, step.get("id", str(len(self.session.order))))
        self.tasks.append(sending)

    # --- waiting

    def named(self, step):
        return next(exchange for exchange in self.session.order if exchange.id == step["id"])

    async def do_wait(self, step):
        awaited = self.session.order if "id" not in step else [self.named(step)]
        await self.session.until(lambda: all(exchange.done for exchange in awaited))

    async def do_wait_head(self, step):
        exchange = self.named(step)
        await self.session.until(lambda: exchange.status is not None or exchange.done)

    async def do_wait_informational(self, step):
        exchange = self.named(step)
        await self.session.until(lambda: exchange.informational or exchange.status is not None or exchange.done)

    async def do_wait_bytes(self, step):
        exchange = self.named(step)
        await self.session.until(lambda: exchange.body_bytes >= step["bytes"] or exchange.done)

    async def do_wait_sent(self, step):
        exchange = self.named(step)
        await self.session.until(lambda: exchange.sent_bytes >= step["bytes"] or exchange.done)

    async def do_wait_stop(self, step):
        exchange = self.named(step)
        await self.session.until(lambda: exchange.stop_code is not None or exchange.done)

    async def do_wait_goaway(self, step):
        await self.session.until(lambda: len(self.session.control.goaways) >= step.get("count", 1) or self.session.closed)

    async def do_wait_tickets(self, step):
        await self.session.until(lambda: self.session.tickets >= step.get("count", 1) or self.session.closed)

    async def do_handshake(self, step):
        await self.session.until(lambda: self.session.handshake is not None or self.session.closed)

    async def do_wait_closed(self, step):
        await self.session.until(lambda: self.session.closed)

    async def do_cue(self, step):
        await self.cues.next()

    async def do_say(self, step):
        self.tell("said", text=step["text"])

    async def do_sleep(self, step):
        await asyncio.sleep(step["ms"] / 1000)

    # --- levers

    async def do_stop(self, step):
        exchange = self.named(step)
        self.session._quic.stop_stream(exchange.stream_id, step.get("code", H3_REQUEST_CANCELLED))
        exchange.finish("stopped by the client")
        self.session.transmit()

    async def do_reset(self, step):
        self.session._quic.reset_stream(self.named(step).stream_id, step.get("code", H3_REQUEST_CANCELLED))
        self.session.transmit()

    async def do_send(self, step):
        exchange = self.named(step)
        if not self.session._no_more(exchange):
            self.session.h3.send_data(exchange.stream_id, step["text"].encode("latin1"), False)
            exchange.sent_bytes += len(step["text"])
        self.session.transmit()

    async def do_finish(self, step):
        self.session._quic.send_stream_data(self.named(step).stream_id, b"", True)
        self.session.transmit()

    async def do_rebind(self, step):
        """The same connection from another port, as after a NAT has forgotten it."""
        old = self.transport
        loop, session = asyncio.get_running_loop(), self.session
        self.transport, _ = await loop.create_datagram_endpoint(
            lambda: session, sock=open_socket(self.family, step.get("local_host", self.plan.get("local_host")))
        )
        old.close()
        self.local_ports.append(self.transport.get_extra_info("sockname")[1])

    async def do_change_connection_id(self, step):
        self.session.change_connection_id()

    async def do_key_update(self, step):
        self.session.request_key_update()

    async def do_ping(self, step):
        """aioquic never answers a ping of a connection that is closed, so its end is waited for beside."""
        if self.session.closed:
            return
        answered = asyncio.ensure_future(self.session.ping())
        answered.add_done_callback(lambda _: self.session.notify())
        await self.session.until(lambda: answered.done() or self.session.closed)
        if answered.done():
            answered.exception()
        else:
            answered.cancel()

    async def do_release(self, step):
        self.session._quic.hold_credit = False
        self.session._quic.send_ping(id(step))
        self.session.transmit()

    async def do_uni(self, step):
        stream_id = self.session._quic.get_next_available_stream_id(is_unidirectional=True)
        self.session._quic.send_stream_data(stream_id, bytes.fromhex(step["hex"]), step.get("fin", False))
        self.session.transmit()

    async def do_control(self, step):
        stream_id = self.session.h3._local_control_stream_id
        self.session._quic.send_stream_data(stream_id, bytes.fromhex(step["hex"]), step.get("fin", False))
        self.session.transmit()

    async def do_datagram(self, step):
        self.transport.sendto(bytes.fromhex(step["hex"]), (self.plan.get("host", "127.0.0.1"), self.plan["port"]))

    async def do_close(self, step):
        self.session.close(step.get("code", H3_NO_ERROR), step.get("reason", ""))

    async def do_vanish(self, step):
        """Goes without a word: nothing is sent any more and nothing is received."""
        self.transport.abort()
        self.session._quic._note_close("vanished")


def count_one(sums, counters, exchange):
    counters["statuses"][str(exchange.status)] += 1
    sums["body_bytes"] += exchange.body_bytes
    if exchange.error is not None:
        if len(sums["failures"]) < FAILURES_SHOWN_MAX:
            sums["failures"].append(exchange.result())
        return
    counters["sha256s"][exchange.digest.hexdigest()] += 1
    backend = dict(exchange.headers).get("x-backend")
    if backend is not None:
        counters["backends"][backend] += 1


def say(value):
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


async def main():
    cues = Cues()
    plan = json.loads(await cues.next())
    runners = [Runner(plan, number, cues) for number in range(plan.get("connections", 1))]
    say({"result": {"connections": await asyncio.gather(*(runner.run() for runner in runners))}})


if __name__ == "__main__":
    asyncio.run(main())
    # The thread that reads standard input is still in its read, and nothing is left to clean up.
    sys.stdout.flush()
    os._exit(0)
