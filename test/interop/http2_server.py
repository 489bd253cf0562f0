"""An HTTP/2 server by the PyPI package h2 for h2-client.test.ts: the same answers as http2-server.mjs.

h2 checks everything that a client sends against the RFC and raises what it finds; the connection is closed then, and the fault is
written to standard error. Prints its port; ends when its input does.
"""

import asyncio
import sys

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, RequestReceived, StreamEnded, StreamReset, WindowUpdated
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings

STREAMS_MAX = 50


class Server(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport):
        self.transport = transport
        self.h2 = H2Connection(H2Configuration(client_side=False, header_encoding="latin-1"))
        self.h2.local_settings = Settings(client=False, initial_values={SettingCodes.MAX_CONCURRENT_STREAMS: STREAMS_MAX})
        self.h2.initiate_connection()
        self.waiting = {}
        self.echoing = set()
        self.is_leaving = False
        self.flush()

    def data_received(self, data):
        try:
            for event in self.h2.receive_data(data):
                self.handle(event)
        except ProtocolError as fault:
            print(f"h2: {type(fault).__name__}: {fault}", file=sys.stderr, flush=True)
            self.flush()
            self.transport.close()
            return
        self.flush()

    def handle(self, event):
        if isinstance(event, RequestReceived):
            self.answer(event.stream_id, dict(event.headers)[":path"])
        elif isinstance(event, DataReceived):
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            if event.stream_id in self.echoing:
                self.waiting[event.stream_id][0].extend(event.data)
                self.pump(event.stream_id)
        elif isinstance(event, StreamEnded) and event.stream_id in self.echoing:
            self.waiting[event.stream_id][1] = True
            self.pump(event.stream_id)
        elif isinstance(event, WindowUpdated):
            for stream in list(self.waiting) if event.stream_id == 0 else [event.stream_id]:
                self.pump(stream)
        elif isinstance(event, StreamReset):
            self.waiting.pop(event.stream_id, None)

    def answer(self, stream, path):
        if path == "/refuse":
            self.h2.reset_stream(stream, ErrorCodes.REFUSED_STREAM)
            return
        if path.startswith("/table/"):
            self.h2.update_settings({SettingCodes.HEADER_TABLE_SIZE: int(path[7:])})
        if path == "/early":
            self.h2.send_headers(stream, [(":status", "103"), ("link", "</a>")])
        body = self.body(path)
        if body is None:
            fields = [(":status", "204"), ("x-path", path), ("set-cookie", "a=1"), ("set-cookie", "b=2")]
            self.h2.send_headers(stream, fields, end_stream=True)
            return
        self.h2.send_headers(stream, [(":status", "200")])
        if path == "/echo":
            self.echoing.add(stream)
        # What is still to be sent, whether that is all, and the trailers.
        self.waiting[stream] = [bytearray(body), path != "/echo", [("grpc-status", "0")] if path == "/trailers" else None]
        self.pump(stream)
        if path == "/goaway":
            self.h2.close_connection(last_stream_id=stream)
            self.is_leaving = True

    def body(self, path):
        if path.startswith("/bytes/"):
            return b"z" * int(path[7:])
        return {"/echo": b"", "/early": b"body", "/trailers": b"body", "/goaway": b"bye"}.get(path)

    def pump(self, stream):
        if stream not in self.waiting:
            return
        rest, complete, trailers = self.waiting[stream]
        while rest:
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size, len(rest))
            if room <= 0:
                return
            self.h2.send_data(stream, bytes(rest[:room]))
            del rest[:room]
        if not complete:
            return
        del self.waiting[stream]
        if trailers is None:
            self.h2.end_stream(stream)
        else:
            self.h2.send_headers(stream, trailers, end_stream=True)

    def flush(self):
        self.transport.write(self.h2.data_to_send())
        if self.is_leaving:
            self.transport.close()


async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Server, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


asyncio.run(main())
