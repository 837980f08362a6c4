#!/usr/bin/env python3
"""A witness of Tallybook seals: cosigns a head only if its log continues the last one it saw.

    python3 witness.py key NAME                    print a new private key, and its public one
    python3 witness.py serve KEYFILE STATE PORT BOOKKEY...

Run it on a machine that the book's operator does not rule: then the operator can neither show one
ledger to one person and another to the next, nor go back to an earlier moment unseen. It speaks
C2SP's tlog-witness (POST /add-checkpoint) on this machine's loopback; put a proxy with TLS before
it. STATE is the file that holds the last head of each book. It needs the standard library, and
verify_evidence.py beside it.
"""

import base64
import hashlib
import json
import os
import pathlib
import secrets
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

from verify_evidence import BASE, ORDER, Head, P, is_consistent, read_key, signature_by, times

BODY_BYTES_MAX = 64 * 1024


def encoded(point):
    inverse = pow(point[2], -1, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def sign(seed, message):
    """An Ed25519 signature (RFC 8032). Not in constant time: who can time it can read the key."""
    hashed = hashlib.sha512(seed).digest()
    scalar = int.from_bytes(hashed[:32], "little") & ~7 & (1 << 254) - 1 | 1 << 254
    public = encoded(times(scalar, BASE))

    def number(*parts):
        return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little") % ORDER

    nonce = number(hashed[32:], message)
    point = encoded(times(nonce, BASE))
    s = (nonce + number(point, public, message) * scalar) % ORDER
    return public, point + s.to_bytes(32, "little")


def verifier_key(name, public):
    kind_and_key = b"\x04" + public
    key_id = hashlib.sha256(name.encode() + b"\n" + kind_and_key).digest()[:4]
    return f"{name}+{key_id.hex()}+{base64.b64encode(kind_and_key).decode()}"


class Witness:
    """The heads that were seen, and the key that cosigns the next."""

    def __init__(self, name, seed, state, book_keys):
        self.name, self.seed, self.state = name, seed, pathlib.Path(state)
        self.key = verifier_key(name, sign(seed, b"")[0])
        self.book_keys = book_keys

    def add(self, body):
        """(HTTP status, text) for a checkpoint that follows an old size and a proof."""
        request, _, note = body.partition("\n\n")
        old, *proof = request.split("\n")
        head, old_size = Head(note), int(old.removeprefix("old "))
        ours = [key for key in self.book_keys if read_key(key)[0] == head.origin]
        if not ours:
            return 404, "no such book\n"
        if not any(signature_by(head.text, head.lines, key) for key in ours):
            return 403, "none of the book's keys signed it\n"
        seen = json.loads(self.state.read_text()) if self.state.exists() else {}
        last = seen.get(head.origin, {"size": 0, "root": ""})
        if old_size != last["size"]:
            return 409, f"{last['size']}\n"
        old_root, hashes = base64.b64decode(last["root"]), list(map(base64.b64decode, proof))
        sizes = (old_size, old_root, head.size, head.root)
        continues = 0 < old_size <= head.size and is_consistent(*sizes, hashes)
        if not continues and (old_size or hashes):
            return 422, "the log does not continue the one that was seen before\n"
        seen[head.origin] = {"size": head.size, "root": base64.b64encode(head.root).decode()}
        written = self.state.with_suffix(".new")  # kept before it is signed, whatever happens
        written.write_text(json.dumps(seen))
        os.replace(written, self.state)
        return 200, self.cosigned(head.text)

    def cosigned(self, text):
        at = int(time.time())
        _, signature = sign(self.seed, f"cosignature/v1\ntime {at}\n{text}".encode())
        line = read_key(self.key)[1] + at.to_bytes(8, "big") + signature
        return f"— {self.name} {base64.b64encode(line).decode()}\n"


def handler(witness):
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            length = int(self.headers.get("Content-Length", 0))
            if self.path != "/add-checkpoint" or not 0 < length <= BODY_BYTES_MAX:
                status, text = 404, "POST a checkpoint to /add-checkpoint\n"
            else:
                try:
                    status, text = witness.add(self.rfile.read(length).decode())
                except (ValueError, LookupError) as error:
                    status, text = 400, f"not readable: {error}\n"
            data = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/x.tlog.size" if status == 409 else "text/plain")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    return Handler


def main(command, *words):
    if command == "key":
        seed = secrets.token_bytes(32)
        print(f"{words[0]} {base64.b64encode(seed).decode()}")
        print(verifier_key(words[0], sign(seed, b"")[0]), file=sys.stderr)
        return
    key_file, state, port, *book_keys = words
    name, seed = pathlib.Path(key_file).read_text().split()
    witness = Witness(name, base64.b64decode(seed), state, book_keys)
    print(f"Cosigning as {witness.key}", file=sys.stderr, flush=True)
    HTTPServer(("127.0.0.1", int(port)), handler(witness)).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
