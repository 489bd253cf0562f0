"""One request as a plan describes it, and what came back: no I/O here."""

import hashlib
import time
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

H3_REQUEST_CANCELLED = 0x10C
PIECE_BYTES = 16 * 1024
BODY_KEPT_BYTES_MAX = 64 * 1024


def pattern(seed):
    """A function that gives the next n bytes of a seed: `test/support/pattern.ts` makes the same."""
    key = hashlib.sha256(seed.encode()).digest()[:16]
    stream = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()
    return lambda count: stream.update(bytes(count))


@dataclass
class Exchange:
    """One request and what came back."""

    id: str
    stream_id: int | None = None
    status: int | None = None
    headers: list | None = None
    informational: list = field(default_factory=list)
    trailers: list | None = None
    body_bytes: int = 0
    sent_bytes: int = 0
    ended: bool = False
    reset_code: int | None = None
    stop_code: int | None = None
    error: str | None = None
    head_ms: float | None = None
    total_ms: float | None = None
    stop_after_bytes: int | None = None
    stop_sent_code: int = H3_REQUEST_CANCELLED
    started_at: float = field(default_factory=time.monotonic)
    digest: object = field(default_factory=hashlib.sha256)
    kept: bytearray = field(default_factory=bytearray)
    done: bool = False

    def finish(self, error=None):
        if not self.done:
            self.done = True
            self.error = error
            self.total_ms = self.elapsed_ms()

    def elapsed_ms(self):
        return round((time.monotonic() - self.started_at) * 1000, 3)

    def take(self, data):
        self.body_bytes += len(data)
        self.digest.update(data)
        room = BODY_KEPT_BYTES_MAX - len(self.kept)
        if room > 0:
            self.kept += data[:room]

    def result(self):
        names = "id stream_id status headers informational trailers body_bytes sent_bytes ended reset_code stop_code error"
        shown = {name: getattr(self, name) for name in names.split()}
        return shown | {
            "sha256": self.digest.hexdigest(),
            "body": self.kept.decode("latin1") if self.body_bytes <= BODY_KEPT_BYTES_MAX else None,
            "head_ms": self.head_ms,
            "total_ms": self.total_ms,
        }


def encoded(fields):
    return [(name.encode("latin1"), value.encode("latin1")) for name, value in fields]


def body_pieces(body):
    """None, or pairs of a piece and whether it is the last."""
    if body is None:
        return None
    if "bytes" not in body:
        data = bytes.fromhex(body["hex"]) if "hex" in body else body["text"].encode("latin1")
        return iter([(data, True)])
    return _pattern_pieces(body["bytes"], body.get("seed", "body"), body.get("piece", PIECE_BYTES))


def _pattern_pieces(total, seed, piece):
    take, sent = pattern(seed), 0
    while True:
        count = min(piece, total - sent)
        sent += count
        yield take(count), sent >= total
        if sent >= total:
            return
