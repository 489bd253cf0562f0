"""Makes field-blocks.json: field blocks by the PyPI package hpack, which shares nothing with ours.

Run:  python3 -m venv venv && venv/bin/pip install hpack==4.2.0 && venv/bin/python field-blocks.py > field-blocks.json
Each story is one connection's direction: the blocks in order, each with its hex, the fields it holds (one character for each
byte) and the size of the encoder's dynamic table after it. Some stories change the size of that table, some use no Huffman code.
"""

import json
import random

from hpack import Encoder, NeverIndexedHeaderTuple

source = random.Random(7541)

REQUEST = [
    (":method", ["GET", "POST", "PUT"]),
    (":scheme", ["http", "https"]),
    (":path", ["/", "/index.html", "/api/v1/users?id=7", "/%e2%82%ac"]),
    (":authority", ["www.example.com", "10.0.0.1:8080"]),
    ("user-agent", ["curl/8.5.0", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"]),
    ("accept-encoding", ["gzip, deflate", "br"]),
    ("cookie", ["session=8f14e45fceea167a", "theme=dark; consent=1"]),
]
RESPONSE = [
    (":status", ["200", "204", "206", "304", "400", "404", "500", "302", "599"]),
    ("date", ["Mon, 23 Nov 2026 09:30:%02d GMT" % second for second in range(4)]),
    ("content-type", ["text/html; charset=utf-8", "application/json"]),
    ("content-length", ["0", "512", "10485760"]),
    ("cache-control", ["private", "max-age=60"]),
    ("set-cookie", ["foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1", "a=b"]),
    ("x-custom", ["", "one", "two words"]),
]


def noise():
    length = source.choice([0, 1, 3, 17, 126, 127, 128, 300])
    return bytes(source.randrange(256) for _ in range(length)).decode("latin-1")


def section(template):
    fields = [(name, source.choice(values)) for name, values in template]
    for _ in range(source.randrange(3)):
        fields.append(("x-noise-%d" % source.randrange(5), noise()))
    if source.randrange(12) == 0:
        fields.append(("x-large", "v" * source.choice([4000, 4096, 5000])))
    return fields


def story(name, template, huffman, sizes):
    encoder = Encoder()
    blocks = []
    for number in range(12):
        if number in sizes:
            for size in sizes[number]:
                encoder.header_table_size = size
        fields = section(template)
        given = [
            NeverIndexedHeaderTuple(key.encode("latin-1"), value.encode("latin-1"))
            if key == "cookie"
            else (key.encode("latin-1"), value.encode("latin-1"))
            for key, value in fields
        ]
        block = encoder.encode(given, huffman=huffman)
        blocks.append({"hex": block.hex(), "fields": fields, "tableBytes": encoder.header_table._current_size})
    return {"name": name, "blocks": blocks}


stories = [
    story("requests", REQUEST, True, {}),
    story("requests without Huffman", REQUEST, False, {}),
    story("responses", RESPONSE, True, {}),
    story("responses without Huffman", RESPONSE, False, {}),
    story("responses with a small table", RESPONSE, True, {0: [256]}),
    story("responses whose table changes", RESPONSE, True, {2: [0], 4: [128, 4096], 7: [1000], 9: [0, 300]}),
    story("requests without a table", REQUEST, True, {0: [0]}),
]
print("[\n" + ",\n".join("  " + json.dumps(entry) for entry in stories) + "\n]")
