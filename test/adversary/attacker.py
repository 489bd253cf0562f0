"""A QUIC client that sends frames by hand: the handshake and the keys are aioquic's, everything after it is what an attack says.

`Attacker.packet` makes one 1-RTT datagram of the frames given and forgets it: nothing is repeated, no limit of the server is
respected, no congestion window is kept. What the server sends is read by the rules here and not by aioquic's, so that an answer to a
stream that aioquic never heard of is seen and not an error. Acknowledgements are aioquic's, unless they are withheld.
"""

import select
import socket
import ssl
import time
from collections import Counter

from aioquic.buffer import Buffer, encode_uint_var
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection, QuicConnectionId
from aioquic.quic.packet import QuicPacketType
from aioquic.quic.packet_builder import QuicPacketBuilder
from aioquic.tls import Epoch
from pylsqpack import Decoder

HANDSHAKE_SECONDS_MAX = 10
DATAGRAM_BYTES = 1200
# Room for frames in one 1-RTT packet of that size: header, id of the server and seal taken off.
FRAMES_BYTES_MAX = 1130
ID_BYTES = 8
TOKEN_BYTES = 16
H3_NO_ERROR = 0x100
SEND_BUFFER_BYTES = 4 * 1024 * 1024
# The client's three streams: control with empty SETTINGS, QPACK encoder and decoder.
CONTROL, ENCODER, DECODER = 2, 6, 10


def varint(value):
    return encode_uint_var(value)


def stream(stream_id, data, offset=0, fin=False):
    """STREAM, always with offset and length."""
    return varint(0x0E | fin) + varint(stream_id) + varint(offset) + varint(len(data)) + data


def reset_stream(stream_id, code, final_size):
    return varint(0x04) + varint(stream_id) + varint(code) + varint(final_size)


def stop_sending(stream_id, code):
    return varint(0x05) + varint(stream_id) + varint(code)


def max_stream_data(stream_id, limit):
    return varint(0x11) + varint(stream_id) + varint(limit)


def frame(kind, payload):
    """An HTTP/3 frame."""
    return varint(kind) + varint(len(payload)) + payload


def prefixed(first, bits, value):
    """An integer of QPACK (RFC 7541 5.1) behind the pattern `first`."""
    top = (1 << bits) - 1
    if value < top:
        return bytes([first | value])
    out = bytearray([first | top])
    value -= top
    while value >= 128:
        out.append(0x80 | value & 0x7F)
        value >>= 7
    return bytes(out) + bytes([value])


def field(name, value):
    """A field line with literal name and value, no Huffman, no table (RFC 9204 4.5.6)."""
    return prefixed(0x20, 3, len(name)) + name + prefixed(0x00, 7, len(value)) + value


def section(fields):
    return b"\0\0" + b"".join(field(name, value) for name, value in fields)


def head(authority, path, method="GET", more=()):
    """A HEADERS frame with a request's head."""
    pseudo = [(b":method", method.encode()), (b":scheme", b"https"), (b":authority", authority), (b":path", path.encode())]
    return frame(0x01, section(pseudo + list(more)))


class Seen:
    """What came back on one stream."""

    __slots__ = ("bytes", "code_reset", "code_stop", "ended", "first", "highest")

    def __init__(self):
        self.bytes, self.highest, self.first = 0, 0, b""
        self.code_reset = self.code_stop = None
        self.ended = False

    @property
    def over(self):
        return self.ended or self.code_reset is not None

    def status(self):
        """Of the first field section, which lies in the first bytes of the stream, maybe behind frames of reserved types."""
        try:
            buf = Buffer(data=self.first)
            while True:
                kind, payload = buf.pull_uint_var(), buf.pull_bytes(buf.pull_uint_var())
                if kind == 0x01:
                    return int(dict(Decoder(0, 0).feed_header(0, payload)[1])[b":status"])
        except Exception:  # Whatever is wrong with it: there is no status.
            return None


class LooseQuic(QuicConnection):
    """aioquic's connection with our own eyes for what concerns streams and ids."""

    def __init__(self, configuration):
        super().__init__(configuration=configuration)
        self.seen = {}
        self.frames_seen = Counter()
        self.withholds_acks = False
        self.close_frame = None
        # Streams that the server wants no more of, as they come, and what is done about them.
        self.stopped = []
        self.on_stop = None

    def of(self, stream_id):
        found = self.seen.get(stream_id)
        if found is None:
            found = self.seen[stream_id] = Seen()
        return found

    def _handle_stream_frame(self, context, frame_type, buf):
        stream_id = buf.pull_uint_var()
        offset = buf.pull_uint_var() if frame_type & 4 else 0
        length = buf.pull_uint_var() if frame_type & 2 else buf.capacity - buf.tell()
        data, of = buf.pull_bytes(length), self.of(stream_id)
        of.bytes += length
        of.highest = max(of.highest, offset + length)
        if offset == len(of.first) and offset < 512:
            of.first += data
        of.ended = of.ended or bool(frame_type & 1)

    def _handle_reset_stream_frame(self, context, frame_type, buf):
        of = self.of(buf.pull_uint_var())
        of.code_reset = buf.pull_uint_var()
        buf.pull_uint_var()

    def _handle_stop_sending_frame(self, context, frame_type, buf):
        stream_id = buf.pull_uint_var()
        of = self.of(stream_id)
        first, of.code_stop = of.code_stop is None, buf.pull_uint_var()
        if first:
            self.stopped.append(stream_id)

    def _handle_max_stream_data_frame(self, context, frame_type, buf):
        buf.pull_uint_var(), buf.pull_uint_var()

    def _handle_stream_data_blocked_frame(self, context, frame_type, buf):
        buf.pull_uint_var(), buf.pull_uint_var()

    def _handle_retire_connection_id_frame(self, context, frame_type, buf):
        self.frames_seen["retire_connection_id"] += 1
        buf.pull_uint_var()

    def _handle_new_connection_id_frame(self, context, frame_type, buf):
        self.frames_seen["new_connection_id"] += 1
        if not self.ignores_new_ids:
            super()._handle_new_connection_id_frame(context, frame_type, buf)
            return
        buf.pull_uint_var(), buf.pull_uint_var()
        buf.pull_bytes(buf.pull_uint8() + TOKEN_BYTES)

    ignores_new_ids = False

    def _handle_path_response_frame(self, context, frame_type, buf):
        self.frames_seen["path_response"] += 1
        buf.pull_bytes(8)

    def _handle_connection_close_frame(self, context, frame_type, buf):
        at = buf.tell()
        self.close_frame = {"code": buf.pull_uint_var(), "application": frame_type == 0x1D}
        buf.seek(at)
        super()._handle_connection_close_frame(context, frame_type, buf)

    def _write_ack_frame(self, builder, space, now):
        if self.withholds_acks and space is self._spaces[Epoch.ONE_RTT]:
            space.ack_at = None
            return
        super()._write_ack_frame(builder=builder, space=space, now=now)


class Attacker:
    """One connection. All of it runs in the caller's thread: `pump` receives and acknowledges."""

    def __init__(self, plan, port=None, local_host="127.0.0.1"):
        self.patience = plan.get("patience", HANDSHAKE_SECONDS_MAX)
        self.authority = f"localhost:{plan['port']}".encode()
        settings = QuicConfiguration(
            is_client=True,
            alpn_protocols=["h3"],
            server_name="localhost",
            idle_timeout=60,
            max_data=plan.get("max_data", 1 << 30),
            max_stream_data=plan.get("max_stream_data", 1 << 28),
            max_datagram_size=DATAGRAM_BYTES,
            verify_mode=ssl.CERT_NONE,
        )
        self.quic = LooseQuic(settings)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SEND_BUFFER_BYTES)
        self.socket.bind((local_host, 0))
        self.server = ("127.0.0.1", plan["port"])
        self.socket.connect(self.server)
        self.socket.setblocking(False)
        self.datagrams_out = self.bytes_out = self.datagrams_in = self.bytes_in = 0
        self.refused = False

    # --- the connection

    def connect(self):
        """The handshake. False: there was none."""
        self.quic.connect(self.server, time.monotonic())
        self.pump(lambda: self.quic._handshake_confirmed or self.closed, self.patience)
        return self.quic._handshake_confirmed and not self.closed

    def open_http3(self, settings=b""):
        """The three streams that every client opens first. They go twice, should a packet be lost."""
        opening = (
            stream(CONTROL, b"\0" + frame(0x04, settings)) + stream(ENCODER, b"\x02") + stream(DECODER, b"\x03")
        )
        self.control_at = len(b"\0" + frame(0x04, settings))
        self.packet(opening)
        self.packet(opening)
        self.pump(lambda: self.closed, 0.02)

    @property
    def closed(self):
        return self.quic.close_frame is not None or self.quic._state.value >= 2

    def close(self):
        if not self.closed:
            self.quic.close(H3_NO_ERROR)
            self._send_due()
        self.socket.close()

    # --- sending

    def packet(self, frames, number=None):
        """One 1-RTT datagram of these frames. False: the socket took it not."""
        quic = self.quic
        builder = QuicPacketBuilder(
            host_cid=quic.host_cid,
            peer_cid=quic._peer_cid.cid,
            version=quic._version,
            is_client=True,
            max_datagram_size=DATAGRAM_BYTES,
            packet_number=quic._packet_number if number is None else number,
        )
        builder.start_packet(QuicPacketType.ONE_RTT, quic._cryptos[Epoch.ONE_RTT])
        builder._buffer.push_bytes(frames)
        datagrams, _ = builder.flush()
        if number is None:
            quic._packet_number = builder.packet_number
        return all([self.datagram(data) for data in datagrams])

    def packets(self, pieces):
        """As many frames to a datagram as fit."""
        room = b""
        for piece in pieces:
            if len(room) + len(piece) > FRAMES_BYTES_MAX:
                self.packet(room)
                room = b""
            room += piece
        if room:
            self.packet(room)

    def datagram(self, data):
        try:
            self.socket.send(data)
        except BlockingIOError:
            return False
        except ConnectionRefusedError:
            self.refused = True
            return False
        self.datagrams_out += 1
        self.bytes_out += len(data)
        return True

    def send(self, stream_id, data, fin=True, start=0):
        """A stream's data from `start` on, in as many packets as it takes, slowly enough for the server's socket."""
        step = FRAMES_BYTES_MAX - 24
        for number, at in enumerate(range(0, max(1, len(data)), step)):
            self.packet(stream(stream_id, data[at : at + step], start + at, fin and at + step >= len(data)))
            if number % 32 == 31:
                self.pump(lambda: self.closed, 0.001)

    # --- receiving

    def pump(self, until, seconds):
        """Receives, acknowledges and keeps aioquic's timers until `until` holds. False: the time was over first."""
        end = time.monotonic() + seconds
        while not until():
            self._send_due()
            now = time.monotonic()
            if now >= end or self.refused:
                return until()
            timer = self.quic.get_timer()
            wait = min(end, end if timer is None else timer) - now
            if select.select([self.socket], [], [], max(0, wait))[0]:
                self._receive()
            elif timer is not None and time.monotonic() >= timer:
                self.quic.handle_timer(time.monotonic())
        self._send_due()
        return True

    def _receive(self):
        for _ in range(256):
            try:
                data = self.socket.recv(65536)
            except BlockingIOError:
                break
            except ConnectionRefusedError:
                self.refused = True
                break
            self.datagrams_in += 1
            self.bytes_in += len(data)
            self.quic.receive_datagram(data, self.server, time.monotonic())
        while self.quic.next_event() is not None:
            pass
        stopped, self.quic.stopped = self.quic.stopped, []
        if self.quic.on_stop is not None and not self.closed:
            for stream_id in stopped:
                self.quic.on_stop(stream_id)

    def _send_due(self):
        for data, _ in self.quic.datagrams_to_send(time.monotonic()):
            self.datagram(data)

    # --- what came of it

    def over(self):
        """Request streams that have ended, in order or by a reset."""
        return sum(seen.over for number, seen in self.quic.seen.items() if number % 4 == 0)

    def largest_received(self):
        return self.quic._spaces[Epoch.ONE_RTT].largest_received_packet

    def add_id(self, sequence, connection_id):
        self.quic._host_cids.append(QuicConnectionId(cid=connection_id, sequence_number=sequence, was_sent=True))

    def result(self):
        streams = [seen for number, seen in self.quic.seen.items() if number % 4 == 0]
        return {
            "closed": self.quic.close_frame,
            "statuses": count(str(seen.status()) for seen in streams if seen.first),
            "reset_codes": count(str(seen.code_reset) for seen in streams if seen.code_reset is not None),
            "stop_codes": count(str(seen.code_stop) for seen in streams if seen.code_stop is not None),
            "streams_ended": sum(seen.ended for seen in streams),
            "body_bytes": sum(seen.bytes for seen in streams),
            "frames": dict(self.quic.frames_seen),
            "datagrams_out": self.datagrams_out,
            "bytes_out": self.bytes_out,
            "datagrams_in": self.datagrams_in,
            "bytes_in": self.bytes_in,
        }


def count(values):
    return dict(Counter(values))


class Pace:
    """Turns of an attack: so many, at so many a second, for so long at most."""

    def __init__(self, plan, count_max, seconds_max=30):
        self.count_max = plan.get("count", count_max)
        self.seconds_max = plan.get("seconds", seconds_max)
        self.per_second = plan.get("per_second", 0)

    def __iter__(self):
        start = time.monotonic()
        for turn in range(self.count_max):
            elapsed = time.monotonic() - start
            if elapsed >= self.seconds_max:
                return
            if self.per_second and turn / self.per_second > elapsed:
                time.sleep(turn / self.per_second - elapsed)
            yield turn
