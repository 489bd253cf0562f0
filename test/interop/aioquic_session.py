"""One HTTP/3 connection of aioquic, laid open: what it was told, what it saw, and ways to send what no client should.

`aioquic_client.py` drives it by a plan. aioquic checks responses as strictly as it knows; what it rejects shows up as a close by
the client with the reason. Requests are not checked at all: every list of fields and every byte can be sent.
"""

import asyncio
import os
import pickle
import socket
import ssl

from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.buffer import Buffer, BufferReadError
from aioquic.h3.connection import FrameType, H3Connection, StreamType, encode_frame
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import (
    ConnectionTerminated,
    HandshakeCompleted,
    StopSendingReceived,
    StreamDataReceived,
    StreamReset,
)
from aioquic.quic.packet import QuicErrorCode
from aioquic.quic.packet_builder import QuicDeliveryState
from aioquic.tls import Epoch, SignatureAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from aioquic_exchange import H3_REQUEST_CANCELLED, Exchange, body_pieces, encoded

H3_NO_ERROR = 0x100
QUIC_VERSION_1 = 1
# Bytes handed to aioquic and not yet acknowledged, for one stream: it has no limit of its own.
SEND_BUFFER_BYTES_MAX = 512 * 1024
RESET_TOKEN_BYTES = 16


class WatchedQuic(QuicConnection):
    """Remembers who closed and what versions were offered, can stop giving flow-control credit, and knows a stateless reset."""

    closed_by = None
    close_seen = None
    offered_versions = None
    hold_credit = False
    signature_algorithms = None
    server_ids = ()
    path_challenges = 0
    on_close = staticmethod(lambda: None)

    def _initialize(self, peer_cid):
        super()._initialize(peer_cid)
        if self.signature_algorithms:
            self.tls._signature_algorithms = [SignatureAlgorithm[name] for name in self.signature_algorithms]

    @property
    def certificate_key(self):
        certificate = self.tls._peer_certificate
        if certificate is None:
            return None
        key = certificate.public_key()
        return "ec" if isinstance(key, ec.EllipticCurvePublicKey) else "rsa" if isinstance(key, rsa.RSAPublicKey) else "other"

    def receive_datagram(self, data, addr, now):
        # aioquic keeps the tokens and looks at none. Only that of the id in use counts (RFC 9000 10.3.1).
        token = self._peer_cid.stateless_reset_token
        if token and not data[0] & 0x80 and data[-RESET_TOKEN_BYTES:] == token:
            self._note_close("reset")
            return
        super().receive_datagram(data, addr, now)
        new = [cid.cid.hex() for cid in [self._peer_cid, *self._peer_cid_available]]
        # The first one was the client's own idea.
        if self._peer_cid.sequence_number is not None or self._retry_count:
            self.server_ids = (*self.server_ids, *(text for text in new if text not in self.server_ids))

    def _handle_path_challenge_frame(self, context, frame_type, buf):
        self.path_challenges += 1
        super()._handle_path_challenge_frame(context, frame_type, buf)

    def _receive_version_negotiation_packet(self, header, now):
        self.offered_versions = list(header.supported_versions)
        super()._receive_version_negotiation_packet(header=header, now=now)

    def _receive_retry_packet(self, header, packet_without_tag, now):
        """aioquic forgets what it has sent in 0-RTT packets before, and never sends it again."""
        sent = list(self._spaces[Epoch.ONE_RTT].sent_packets.values())
        super()._receive_retry_packet(header=header, packet_without_tag=packet_without_tag, now=now)
        for packet in sent if self._retry_count > 0 else []:
            for handler, arguments in packet.delivery_handlers:
                handler(QuicDeliveryState.LOST, *arguments)

    def _handle_connection_close_frame(self, context, frame_type, buf):
        super()._handle_connection_close_frame(context, frame_type, buf)
        self._note_close("peer")

    def close(self, error_code=QuicErrorCode.NO_ERROR, frame_type=None, reason_phrase=""):
        super().close(error_code=error_code, frame_type=frame_type, reason_phrase=reason_phrase)
        self._note_close("client")

    def _close_end(self):
        super()._close_end()
        self._note_close("timeout")

    def _note_close(self, by):
        if self.closed_by is None:
            self.closed_by = by
            self.close_seen = self._close_event
            self.on_close()

    def _write_stream_limits(self, builder, space, stream):
        if not self.hold_credit:
            super()._write_stream_limits(builder=builder, space=space, stream=stream)

    def _write_connection_limits(self, builder, space):
        if not self.hold_credit:
            super()._write_connection_limits(builder=builder, space=space)


class ControlWatch:
    """Reads the frames of the server's control stream a second time: aioquic throws away what it does not use, GOAWAY too."""

    def __init__(self):
        self.streams = {}
        self.goaways = []

    def feed(self, event):
        """True when a GOAWAY has come."""
        before = len(self.goaways)
        if event.stream_id % 4 == 3:
            self.streams[event.stream_id] = self._take(self.streams.get(event.stream_id, b"") + event.data)
        return len(self.goaways) > before

    def _take(self, data):
        # The stream's type stays in front, so that every piece is read from there.
        buf = Buffer(data=data)
        if not data or buf.pull_uint_var() != StreamType.CONTROL:
            return data
        head = data[: buf.tell()]
        while True:
            rest = data[buf.tell() :]
            try:
                frame_type, payload = buf.pull_uint_var(), buf.pull_bytes(buf.pull_uint_var())
            except BufferReadError:
                return head + rest
            if frame_type == FrameType.GOAWAY:
                self.goaways.append(Buffer(data=payload).pull_uint_var())


class Session(QuicConnectionProtocol):
    """A connection and its exchanges. Whoever waits, waits for `changed`."""

    def __init__(self, quic, tell):
        super().__init__(quic)
        self.tell = tell
        self.exchanges = {}
        self.order = []
        self.handshake = None
        self.tickets = 0
        self.loop_time = asyncio.get_running_loop().time
        self.change = asyncio.Event()
        quic.on_close = self._closed_now
        self.h3 = None
        self.control = ControlWatch()

    # --- waiting

    def connect_early(self, address):
        """Begins to talk HTTP/3 with the first flight, by what the ticket says. Nothing is sent before the first request is."""
        self._quic.connect(address, now=self.loop_time())
        self.h3 = H3Connection(self._quic)

    def notify(self):
        self.change.set()
        self.change = asyncio.Event()

    async def until(self, condition):
        while not condition():
            await self.change.wait()

    @property
    def closed(self):
        return self._quic.closed_by is not None

    def _closed_now(self):
        seen = self._quic.close_seen
        self.tell("closed", by=self._quic.closed_by, code=int(seen.error_code) if seen else None)
        for exchange in self.order:
            exchange.finish("connection closed")
        self.notify()

    # --- events

    def datagram_received(self, data, addr):
        super().datagram_received(data, addr)
        self.notify()

    def quic_event_received(self, event):
        if isinstance(event, HandshakeCompleted):
            self.handshake = event
            if self.h3 is None:
                self.h3 = H3Connection(self._quic)
            self.tell("connected", alpn=event.alpn_protocol)
        elif isinstance(event, ConnectionTerminated):
            self._quic._note_close("timeout")
        elif isinstance(event, StreamReset) and event.stream_id in self.exchanges:
            self.exchanges[event.stream_id].reset_code = event.error_code
            self.exchanges[event.stream_id].finish("reset by the server")
        elif isinstance(event, StreamDataReceived) and self.control.feed(event):
            self.tell("goaway", id=self.control.goaways[-1])
        elif isinstance(event, StopSendingReceived) and event.stream_id in self.exchanges:
            self.exchanges[event.stream_id].stop_code = event.error_code
        if self.h3 is not None:
            self._http_events(event)
        self.notify()

    def _http_events(self, event):
        for seen in self.h3.handle_event(event):
            exchange = self.exchanges.get(seen.stream_id)
            if exchange is None:
                continue
            if isinstance(seen, HeadersReceived):
                self._head(exchange, seen.headers)
            elif isinstance(seen, DataReceived) and seen.data:
                exchange.take(seen.data)
                self._stop_if_enough(exchange)
            if getattr(seen, "stream_ended", False):
                exchange.ended = True
                exchange.finish()
        if isinstance(event, StreamDataReceived) and event.end_stream and event.stream_id in self.exchanges:
            exchange = self.exchanges[event.stream_id]
            if exchange.status is None and not self.closed:
                exchange.finish("ended without a response")

    def _head(self, exchange, headers):
        fields = [[name.decode("latin1"), value.decode("latin1")] for name, value in headers]
        status = dict(fields).get(":status")
        if status is None:
            exchange.trailers = fields
        elif status.startswith("1"):
            exchange.informational.append({"status": int(status), "headers": fields})
        else:
            exchange.status = int(status)
            exchange.headers = fields
            exchange.head_ms = exchange.elapsed_ms()
            self.tell("head", id=exchange.id, status=exchange.status)

    def _stop_if_enough(self, exchange):
        limit = exchange.stop_after_bytes
        if limit is not None and exchange.body_bytes >= limit and not exchange.done:
            self._quic.stop_stream(exchange.stream_id, exchange.stop_sent_code)
            exchange.finish("stopped by the client")

    def keep_ticket(self, ticket, path):
        """The latest one is kept. Written whole: others may read it meanwhile."""
        self.tickets += 1
        if path is not None:
            with open(path + ".new", "wb") as file:
                pickle.dump(ticket, file)
            os.replace(path + ".new", path)
        self.tell("ticket", count=self.tickets)
        self.notify()

    # --- requests

    def open_exchange(self, name):
        exchange = Exchange(name)
        self.order.append(exchange)
        if self.closed or self.h3 is None:
            exchange.finish("connection closed")
            return exchange
        exchange.stream_id = self._quic.get_next_available_stream_id()
        self._quic._get_or_create_stream_for_send(exchange.stream_id)  # else the next request gets the same id
        self.exchanges[exchange.stream_id] = exchange
        return exchange

    async def send(self, exchange, spec, head):
        """Sends a request as `spec` says; returns when all is handed over. Responses are seen in `quic_event_received`."""
        if exchange.done:
            return
        exchange.stop_after_bytes = spec.get("stop_after_bytes")
        exchange.stop_sent_code = spec.get("stop_code", H3_REQUEST_CANCELLED)
        stream_id, fin = exchange.stream_id, spec.get("fin", True)
        if "frames" in spec:
            for frame in spec["frames"]:
                self._quic.send_stream_data(stream_id, self._frame(stream_id, frame))
            self._quic.send_stream_data(stream_id, b"", fin)
        else:
            body, trailers = body_pieces(spec.get("body")), spec.get("trailers")
            self.h3.send_headers(stream_id, head, fin and body is None and trailers is None)
            if body is not None:
                await self._send_body(exchange, spec, body, fin and trailers is None)
            if trailers is not None and not exchange.done:
                self.h3.send_headers(stream_id, encoded(trailers), fin)
        self.transmit()

    async def _send_body(self, exchange, spec, pieces, fin):
        limit, stream_id = spec.get("reset_after_bytes"), exchange.stream_id
        sender = self._quic._get_or_create_stream_for_send(stream_id).sender
        for piece, last in pieces:
            await self.until(lambda: len(sender._buffer) < SEND_BUFFER_BYTES_MAX or self._no_more(exchange))
            if self._no_more(exchange):
                return
            if limit is not None and exchange.sent_bytes + len(piece) >= limit:
                self.h3.send_data(stream_id, piece[: limit - exchange.sent_bytes], False)
                exchange.sent_bytes = limit
                await self._drain(sender, exchange)
                self._quic.reset_stream(stream_id, spec.get("reset_code", H3_REQUEST_CANCELLED))
                exchange.finish("reset by the client")
                return
            self.h3.send_data(stream_id, piece, fin and last)
            exchange.sent_bytes += len(piece)
            self.transmit()

    async def _drain(self, sender, exchange):
        """Until the server has acknowledged what was sent: a reset throws away what is still on its way."""
        self.transmit()
        await self.until(lambda: not sender._buffer or self._no_more(exchange))

    def _no_more(self, exchange):
        return self.closed or exchange.stop_code is not None or exchange.reset_code is not None

    def _frame(self, stream_id, frame):
        if "headers" in frame:
            block = self.h3._encode_headers(stream_id, encoded(frame["headers"]))
            return encode_frame(FrameType.HEADERS, block)
        if "data" in frame:
            return encode_frame(FrameType.DATA, frame["data"].encode("latin1"))
        if "type" in frame:
            return encode_frame(frame["type"], bytes.fromhex(frame.get("hex", "")))
        return bytes.fromhex(frame["hex"])

    def result(self):
        seen = self._quic.close_seen
        return {
            "connected": self.handshake is not None,
            "resumed": self.handshake is not None and self.handshake.session_resumed,
            "early_taken": self.handshake is not None and self.handshake.early_data_accepted,
            "retried": self._quic._retry_count > 0,
            "server_ids": list(self._quic.server_ids),
            "tickets": self.tickets,
            "certificate_key": self._quic.certificate_key,
            "alpn": self.handshake.alpn_protocol if self.handshake else None,
            "version": self._quic._version,
            "offered_versions": self._quic.offered_versions,
            "settings": self.h3.received_settings if self.h3 else None,
            "goaways": self.control.goaways,
            "path_challenges": self._quic.path_challenges,
            "closed": None
            if self._quic.closed_by is None
            else {
                "by": self._quic.closed_by,
                "code": None if seen is None else int(seen.error_code),
                "application": seen is not None and seen.frame_type is None,
                "reason": "" if seen is None else seen.reason_phrase,
            },
        }


def open_socket(family, local_host=None):
    """A UDP socket on a port the kernel chooses."""
    opened = socket.socket(family, socket.SOCK_DGRAM)
    opened.bind((local_host or ("::1" if family == socket.AF_INET6 else "127.0.0.1"), 0))
    return opened


async def connect(plan, tell):
    """Makes a connection and waits until the handshake is done or has failed. Returns the session and its transport."""
    offered = plan.get("offer_version")
    settings = QuicConfiguration(
        is_client=True,
        alpn_protocols=plan.get("alpn", ["h3"]),
        server_name=plan.get("server_name", "localhost"),
        idle_timeout=plan.get("idle_timeout_ms", 60_000) / 1000,
        max_data=plan.get("max_data", 16 * 1024 * 1024),
        max_stream_data=plan.get("max_stream_data", 4 * 1024 * 1024),
        max_datagram_size=plan.get("max_datagram_bytes", 1200),
        secrets_log_file=open(plan["secrets_to"], "a") if plan.get("secrets_to") else None,
        token=bytes.fromhex(plan.get("token", "")),
        original_version=offered,
        supported_versions=[QUIC_VERSION_1] if offered is None else [offered, QUIC_VERSION_1],
    )
    if plan.get("ca_file"):
        settings.load_verify_locations(cafile=plan["ca_file"])
    else:
        settings.verify_mode = ssl.CERT_NONE
    if plan.get("client_cert"):
        settings.load_cert_chain(plan["client_cert"], plan["client_key"])
    if plan.get("ticket_from"):
        with open(plan["ticket_from"], "rb") as file:
            settings.session_ticket = pickle.load(file)
    keep = []
    quic = WatchedQuic(configuration=settings, session_ticket_handler=lambda ticket: keep[0].keep_ticket(ticket, plan.get("ticket_to")))
    quic.signature_algorithms = plan.get("signature_algorithms")
    quic.hold_credit = plan.get("hold_flow_control", False)
    host = plan.get("host", "127.0.0.1")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    loop = asyncio.get_running_loop()
    transport, session = await loop.create_datagram_endpoint(
        lambda: Session(quic, tell), sock=open_socket(family, plan.get("local_host"))
    )
    keep.append(session)
    # As the socket names who has sent something: aioquic drops what comes from anybody else.
    server = (host, plan["port"], 0, 0) if family == socket.AF_INET6 else (host, plan["port"])
    if plan.get("early"):
        session.connect_early(server)
        return session, transport, family
    session.connect(server)
    await session.until(lambda: session.closed or session.handshake is not None)
    return session, transport, family
