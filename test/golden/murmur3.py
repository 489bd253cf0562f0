"""Makes murmur3.json: hashes by the PyPI package mmh3, a C++ implementation that shares nothing with ours.

Run:  python3 -m venv venv && venv/bin/pip install mmh3==5.3.1 && venv/bin/python murmur3.py > murmur3.json
Each vector has the text of the key, or its bytes in hex where they are not text, and the unsigned 32-bit hash with seed 0.
"""

import json

import mmh3

ALPHABET = "abcdefghijklmnopqrstuvwxyz"

texts = [""]
# Every length of the tail, after none to four whole blocks.
texts += [ALPHABET[:length] for length in range(1, 17)]
# One to four bytes per character in UTF-8; characters that differ above their low 8 bits only.
texts += ["é", "¬", "€", "a€", "ab€", "abc€", "€€€€", "日本語", "пользователь", "naïve café", "\U0001f47b", "x\U0001f47by", "ÿ", "\u0100"]
texts += ["192.0.2.17", "2001:db8::1", "/api/v1/users?id=7", "session=0123456789abcdef", "\x00", "\x00\x00\x00\x00", "a\x00b"]
texts += ["key-%d" % number for number in range(50)]
texts += ["x" * 1000, "ä" * 1000, ALPHABET * 400]

raw = [bytes([255]) * length for length in range(1, 9)]
raw += [bytes([128]), bytes(range(256)), bytes(range(255, -1, -1)), bytes([0, 128, 255, 127, 1])]

vectors = [{"text": text, "hash": mmh3.hash(text.encode("utf-8"), 0, signed=False)} for text in texts]
vectors += [{"hex": data.hex(), "hash": mmh3.hash(data, 0, signed=False)} for data in raw]
print("[\n" + ",\n".join("  " + json.dumps(vector) for vector in vectors) + "\n]")
