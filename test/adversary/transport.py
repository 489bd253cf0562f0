"""A QUIC client that breaks transport rules: aioquic does the handshake, packets and transport parameters are written by hand.

One line of JSON on standard input is a list of plans, which are played one after the other, each on a connection of its own; a line on
standard output is the result of each. The keys are those of `TransportPlan` in `transport.ts`; that file is the reference. There is no
asyncio: one socket, one loop, and nothing is sent that the plan did not ask for.
"""

import json
import os
import select
import socket
import ssl
import sys
import time

from aioquic.buffer import Buffer, BufferReadError, encode_uint_var
from aioquic.h3.connection import H3Connection
from aioquic.h3.events import HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.crypto import CryptoPair
from aioquic.quic.events import HandshakeCompleted, StreamDataReceived
from aioquic.quic.packet import pull_quic_header
from aioquic.tls import CipherSuite, Epoch

# A plan that waits for something that never comes ends with what was seen until then.
GIVE_UP_S = 8
PACKET_NUMBER_BYTES = 4
EPOCHS = {"initial": Epoch.INITIAL, "handshake": Epoch.HANDSHAKE, "1rtt": Epoch.ONE_RTT}
LONG_FIRST = {"initial": 0xC0, "handshake": 0xE0}
CIPHERS = {"aes128": CipherSuite.AES_128_GCM_SHA256, "chacha20": CipherSuite.CHACHA20_POLY1305_SHA256}


class OddConnection(QuicConnection):
    """Sends the transport parameters of the plan."""

    odd_parameters = {}

    def _initialize(self, peer_cid):
        super()._initialize(peer_cid)
        if self.odd_parameters.get("none", False):
            self.tls.handshake_extensions = []

    def _serialize_transport_parameters(self):
        buf = Buffer(data=super()._serialize_transport_parameters())
        parameters = []
        while not buf.eof():
            number = buf.pull_uint_var()
            parameters.append((number, buf.pull_bytes(buf.pull_uint_var())))
        dropped = {int(number, 16) for number in self.odd_parameters.get("drop", [])}
        changed = {int(number, 16): bytes.fromhex(value) for number, value in self.odd_parameters.get("set", {}).items()}
        parameters = [(number, value) for number, value in parameters if number not in dropped and number not in changed]
        parameters += changed.items()
        parameters += [(int(number, 16), bytes.fromhex(value)) for number, value in self.odd_parameters.get("add", [])]
        return b"".join(encode_uint_var(number) + encode_uint_var(len(value)) + value for number, value in parameters)


class Client:
    """One connection on one socket."""

    def __init__(self, plan, ticket=None):
        self.plan = plan
        self.tickets = []
        config = QuicConfiguration(
            is_client=True,
            alpn_protocols=plan.get("alpn", ["h3"]) or None,
            server_name="localhost",
            verify_mode=ssl.CERT_NONE,
            quantum_readiness_test=plan.get("large_hello", False),
            connection_id_length=plan.get("id_bytes", 8),
            session_ticket=ticket,
            token=bytes.fromhex(plan.get("token", "")),
        )
        if "cipher" in plan:
            config.cipher_suites = [CIPHERS[plan["cipher"]]]
        self.quic = OddConnection(configuration=config, session_ticket_handler=self.tickets.append)
        self.quic.odd_parameters = plan.get("parameters", {})
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(("127.0.0.1", plan["port"]))
        self.address = self.socket.getpeername()
        self.handshake = None
        self.h3 = None
        self.statuses = {}
        self.ended = set()
        self.server_ids = set()
        self.resets = []

    # --- moving datagrams

    def send_due(self):
        for datagram, _ in self.quic.datagrams_to_send(time.monotonic()):
            self.socket.send(datagram)

    def pump(self, done, send=True):
        """Until `done`, the server closes, or it takes too long."""
        give_up = time.monotonic() + GIVE_UP_S
        while not done() and not self.closed and time.monotonic() < give_up:
            if send:
                self.send_due()
            timer = self.quic.get_timer()
            wait = give_up if timer is None or not send else min(timer, give_up)
            readable, _, _ = select.select([self.socket], [], [], max(0, wait - time.monotonic()))
            now = time.monotonic()
            if readable:
                self.take(self.socket.recv(65536), now)
            elif timer is not None and timer <= now and send:
                self.quic.handle_timer(now)
            self.take_events()

    def take(self, datagram, now):
        buf = Buffer(data=datagram)
        try:
            while not buf.eof():
                start = buf.tell()
                header = pull_quic_header(buf, host_cid_length=len(self.quic.host_cid))
                if header.packet_type.name in ("INITIAL", "HANDSHAKE"):
                    self.server_ids.add(header.source_cid.hex())
                buf.seek(start + header.packet_length)
        except (BufferReadError, ValueError):
            pass
        self.quic.receive_datagram(datagram, self.address, now)

    def take_events(self):
        event = self.quic.next_event()
        while event is not None:
            if isinstance(event, HandshakeCompleted):
                self.handshake = event
                self.h3 = H3Connection(self.quic)
            for seen in self.h3.handle_event(event) if self.h3 else []:
                if isinstance(seen, HeadersReceived):
                    self.statuses[seen.stream_id] = int(dict(seen.headers)[b":status"])
            if isinstance(event, StreamDataReceived) and event.end_stream:
                self.ended.add(event.stream_id)
            event = self.quic.next_event()

    @property
    def closed(self):
        return self.quic._close_event is not None

    # --- steps

    def do_handshake(self, step):
        """To the end, and a little more: until the server has confirmed it."""
        self.pump(lambda: self.quic._handshake_confirmed)
        self.send_due()

    def do_handshake_keys(self, step):
        """Until packets of type Handshake can be sent; none has been."""
        self.send_due()
        self.pump(lambda: self.quic._cryptos[Epoch.HANDSHAKE].send.is_valid(), send=False)

    def do_hello(self, step):
        """The first flight, in the order and with the waits of the step: `order` holds numbers of datagrams, negative ones milliseconds."""
        flight = [datagram for datagram, _ in self.quic.datagrams_to_send(time.monotonic())]
        for number in step.get("order", range(len(flight))):
            if number < 0:
                time.sleep(-number / 1000)
            else:
                self.socket.send(flight[number])
        self.flight = len(flight)

    def do_packet(self, step):
        """One packet of frames given in hexadecimal, numbered and protected as it should be."""
        epoch, quic = step.get("epoch", "1rtt"), self.quic
        payload = bytes.fromhex(step.get("frames", ""))
        number = quic._packet_number
        quic._packet_number += 1
        number_bytes = number.to_bytes(PACKET_NUMBER_BYTES, "big")
        pair, reserved = quic._cryptos[EPOCHS[epoch]], step.get("reserved", 0)
        if epoch == "1rtt":
            first = 0x40 | reserved << 3 | pair.key_phase << 2 | PACKET_NUMBER_BYTES - 1
            header = bytes([first]) + quic._peer_cid.cid + number_bytes
        else:
            first = LONG_FIRST[epoch] | reserved << 2 | PACKET_NUMBER_BYTES - 1
            length = PACKET_NUMBER_BYTES + len(payload) + pair.aead_tag_size
            ids = bytes([len(quic._peer_cid.cid)]) + quic._peer_cid.cid + bytes([len(quic.host_cid)]) + quic.host_cid
            token = b"\0" if epoch == "initial" else b""
            header = bytes([first]) + (1).to_bytes(4, "big") + ids + token + (0x4000 | length).to_bytes(2, "big") + number_bytes
        self.socket.send(pair.encrypt_packet(header, payload, number))

    def do_retry(self, step):
        """Until a Retry has come; what goes back is not sent."""
        self.send_due()
        self.pump(lambda: self.quic._retry_count > 0, send=False)

    def do_spoil_token(self, step):
        """One bit of the Retry's token."""
        token = bytearray(self.quic._peer_token)
        token[step["at"]] ^= 1
        self.quic._peer_token = bytes(token)

    def do_move(self, step):
        """On from another port, and from another address if one is given."""
        self.socket.close()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        if "host" in step:
            self.socket.bind((step["host"], 0))
        self.socket.connect(self.address)

    def do_turn(self, step):
        """On to another server, from the same port; aioquic does not hear of it."""
        self.socket.connect((self.address[0], step["port"]))

    def do_strays(self, step):
        """Short packets that nobody can read, of these sizes, to the id in use; the lengths of the resets for them, by the token that was told."""
        time.sleep(step.get("after_ms", 0) / 1000)
        while select.select([self.socket], [], [], 0)[0]:
            self.socket.recv(65536)
        peer = self.quic._peer_cid
        for size in step["sizes"]:
            packet = bytes([0x40 | os.urandom(1)[0] & 0x3F]) + peer.cid + os.urandom(max(0, size - 1 - len(peer.cid)))
            self.socket.send(packet[:size])
        give_up = time.monotonic() + GIVE_UP_S
        while len(self.resets) < step["answers"] and time.monotonic() < give_up:
            if select.select([self.socket], [], [], max(0, give_up - time.monotonic()))[0]:
                datagram = self.socket.recv(65536)
                genuine = datagram[0] & 0xC0 == 0x40 and datagram[-16:] == peer.stateless_reset_token
                self.resets.append(len(datagram) if genuine else -len(datagram))

    def do_closed(self, step):
        self.pump(lambda: False)

    def do_get(self, step):
        if self.h3 is None or self.closed:
            return
        stream_id = self.quic.get_next_available_stream_id()
        head = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"localhost"), (b":path", step["path"].encode())]
        self.h3.send_headers(stream_id, head, end_stream=True)
        self.pump(lambda: stream_id in self.ended)

    def do_key_update(self, step):
        self.quic.request_key_update()

    def do_ticket(self, step):
        self.pump(lambda: bool(self.tickets))

    def do_leave(self, step):
        self.quic.close()
        self.send_due()

    def run(self):
        self.quic.connect(self.address, time.monotonic())
        for step in self.plan["steps"]:
            getattr(self, "do_" + step["do"])(step)
            self.take_events()
        self.seen = self.quic._close_event
        if not self.closed:
            self.do_leave({})
        return self

    def result(self):
        seen = self.seen
        crypto = self.quic._cryptos[Epoch.ONE_RTT].recv
        return {
            "connected": self.handshake is not None,
            "resumed": self.handshake is not None and self.handshake.session_resumed,
            "cipher": None if crypto.cipher_suite is None else crypto.cipher_suite.name,
            "key_phase": self.quic._cryptos[Epoch.ONE_RTT].key_phase,
            "statuses": [self.statuses[stream_id] for stream_id in sorted(self.statuses)],
            "server_ids": sorted(self.server_ids),
            "flight": getattr(self, "flight", 0),
            "retries": self.quic._retry_count,
            "resets": self.resets,
            "closed": seen and {"code": int(seen.error_code), "application": seen.frame_type is None, "reason": seen.reason_phrase},
        }


def first_flight(plan):
    """The datagrams of a first flight, unsent, for a client that writes its own. `size` cuts the padding of the first."""
    client = Client(plan)
    client.quic.connect(client.address, time.monotonic())
    flight = [datagram for datagram, _ in client.quic.datagrams_to_send(time.monotonic())]
    if "size" in plan:
        flight = [resealed(client.quic, plan["size"])]
    return [datagram.hex() for datagram in flight]


def resealed(quic, size):
    """The ClientHello in an Initial of exactly `size` bytes."""
    pair = CryptoPair()
    pair.setup_initial(cid=quic._peer_cid.cid, is_client=True, version=1)
    hello = bytes(quic._crypto_streams[Epoch.INITIAL].sender._buffer)
    ids = bytes([len(quic._peer_cid.cid)]) + quic._peer_cid.cid + bytes([len(quic.host_cid)]) + quic.host_cid
    ahead = 1 + 4 + len(ids) + 1 + 2 + PACKET_NUMBER_BYTES
    frame = b"\x06\x00" + encode_uint_var(len(hello)) + hello
    payload = frame.ljust(size - ahead - 16, b"\0")
    length = PACKET_NUMBER_BYTES + len(payload) + 16
    header = bytes([0xC3]) + (1).to_bytes(4, "big") + ids + b"\0" + (0x4000 | length).to_bytes(2, "big") + bytes(4)
    return pair.encrypt_packet(header, payload, 0)


def play(plan):
    if plan.get("only_hello"):
        return {"hello": first_flight(plan)}
    if not plan.get("resume"):
        return Client(plan).run().result()
    first = Client(plan | {"steps": [{"do": "handshake"}, {"do": "ticket"}, {"do": "leave"}]}).run()
    return Client(plan, first.tickets[0]).run().result() if first.tickets else first.result()


def main():
    for plan in json.loads(sys.stdin.readline()):
        print(json.dumps({"result": play(plan)}), flush=True)
    os._exit(0)


main()
