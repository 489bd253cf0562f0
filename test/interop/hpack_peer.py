"""The PyPI package hpack as encoder and decoder: stories as one JSON document on standard input, answers as one on standard output.

A story is one connection's direction. `encode`: each block has fields (name, value, whether never to be indexed; one character for
each byte), whether to use Huffman's code, and sizes that the dynamic table takes before it. `decode`: each block has its hex and the
sizes that the decoder's side announces before it. The answers hold what the other side must find: see hpack.test.ts.
"""

import json
import sys

from hpack import Decoder, Encoder, NeverIndexedHeaderTuple

LIST_BYTES_MAX = 1 << 20


def encode(blocks):
    encoder = Encoder()
    for block in blocks:
        for size in block["sizes"]:
            encoder.header_table_size = size
        fields = [given(*field) for field in block["fields"]]
        made = encoder.encode(fields, huffman=block["huffman"])
        yield {"hex": made.hex(), "tableBytes": encoder.header_table._current_size}


def given(name, value, secret):
    pair = (name.encode("latin-1"), value.encode("latin-1"))
    return NeverIndexedHeaderTuple(*pair) if secret else pair


def decode(blocks):
    decoder = Decoder(max_header_list_size=LIST_BYTES_MAX)
    for block in blocks:
        for size in block["sizes"]:
            decoder.max_allowed_table_size = size
        fields = [
            (name.decode("latin-1"), value.decode("latin-1"), isinstance(field, NeverIndexedHeaderTuple))
            for field in decoder.decode(bytes.fromhex(block["hex"]), raw=True)
            for name, value in [field]
        ]
        yield {"fields": fields, "tableBytes": decoder.header_table._current_size}


PLAY = {"encode": encode, "decode": decode}
json.dump([list(PLAY[story["direction"]](story["blocks"])) for story in json.load(sys.stdin)], sys.stdout)
