#!/usr/bin/env python3
"""Check an evidence file of a Tallybook ledger: offline, by Python's standard library alone.

    python3 verify_evidence.py FILE [--older OLD] [--key KEY]... [--witness KEY]...

FILE is what `tallybook evidence ACCOUNT` or GET /api/v1/accounts/ACCOUNT/evidence wrote. The exit
code is 0 if every sentence that is printed was proven, 1 if anything does not hold.

--key is a public key of the book that you have from elsewhere (/.well-known/tallybook-seal-keys, a
letter, an older file). Without it the file's own keys are taken and printed, to be compared.
--witness is the key of a witness that must have cosigned. --older is an older evidence file or
checkpoint: the log must begin with the one that it sealed (make the file with --since SIZE).

1. The file is whole: canonical JSON (RFC 8785), with its own SHA-256.
2. The head, a C2SP checkpoint, is signed by Ed25519.
3. Every entry is in the log that the head signs (RFC 9162), as it stands here.
4. The account's entries are all there, in order, and each balance follows from the one before.
5. The balance is one of those whose sum the head states, and no other stands for the account.
"""

import argparse
import base64
import hashlib
import json
import pathlib
import sys
from datetime import datetime

SIDES = ("free", "held", "debt")
EMPTY_NODE = bytes(96)  # a hash and four sums of 16 bytes
HEIGHT = 40  # of the tree of balances


class RefusedError(ValueError):
    """Something does not hold."""


def require(holds, what):
    if not holds:
        raise RefusedError(what)


def sha256(data):
    return hashlib.sha256(data).digest()


def unbase64(text):
    return base64.b64decode(text, validate=True)


def canonical(value):
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


# --- Ed25519 (RFC 8032), verification alone: no secret is used, so time may tell what it likes.

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)


def add(a, b):
    """The sum of two points in extended coordinates."""
    e = (a[1] - a[0]) * (b[1] - b[0]) % P
    f = (a[1] + a[0]) * (b[1] + b[0]) % P
    g = 2 * a[3] * b[3] * D % P
    h = 2 * a[2] * b[2] % P
    x, y, z, t = f - e, h - g, h + g, f + e
    return x * y % P, z * t % P, y * z % P, x * t % P


def times(number, point):
    total = (0, 1, 1, 0)
    while number:
        if number & 1:
            total = add(total, point)
        point, number = add(point, point), number >> 1
    return total


def point_of(encoded):
    """The point of 32 bytes; None if they are no point."""
    y = int.from_bytes(encoded, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if y >= P or (x * x - square) % P or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


BASE = point_of((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def is_signature(public_key, message, signature):
    if len(public_key) != 32 or len(signature) != 64:
        return False
    a, r = point_of(public_key), point_of(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= ORDER:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public_key + message).digest(), "little")
    left, right = times(s, BASE), add(r, times(h % ORDER, a))
    return all((left[i] * right[2] - right[i] * left[2]) % P == 0 for i in (0, 1))


# --- The head: a signed note (C2SP signed-note, tlog-checkpoint, tlog-cosignature)
def read_key(text):
    """(name, four bytes that name the key, kind, key) of name+hash+key."""
    name, named, encoded = text.split("+", 2)
    kind_and_key = unbase64(encoded)
    key_id = sha256(name.encode() + b"\n" + kind_and_key)[:4]
    require(key_id.hex() == named, f"{text} is no key: its name and hash differ")
    return name, key_id, kind_and_key[0], kind_and_key[1:]


def signature_by(text, lines, key):
    """The signature of a key on a note; None where it signed nothing."""
    name, key_id, kind, public_key = read_key(key)
    for line in lines:
        dash, said, encoded = line.split(" ")
        signature = unbase64(encoded)
        if (dash, said, signature[:4]) != ("—", name, key_id):
            continue
        signature, message = signature[4:], text
        if kind == 4:  # a witness signs the instant too
            at = int.from_bytes(signature[:8], "big")
            signature, message = signature[8:], f"cosignature/v1\ntime {at}\n{text}"
        if is_signature(public_key, message.encode(), signature):
            return signature
    return None


class Head:
    """What a checkpoint says, and the lines of its signatures."""

    def __init__(self, note):
        text, mark, signatures = note.partition("\n\n")
        require(mark and note.endswith("\n"), "the checkpoint is no signed note")
        self.text, self.lines = text + "\n", signatures.splitlines()
        self.origin, size, root, *more = text.split("\n")
        self.size, self.root = int(size), unbase64(root)
        said = dict(line.split(" ", 1) for line in more)
        self.balances = unbase64(said["balances"])
        self.totals = {k: int(v) for k, v in (w.split("=") for w in said["totals"].split(" "))}
        self.horizon, self.epoch = said["horizon"], int(said["epoch"])


# --- The log (RFC 9162)
def node_hash(left, right):
    return sha256(b"\1" + left + right)


def left_of(count):
    return 1 << ((count - 1).bit_length() - 1)


def root_with(hashes, nodes, size):
    """The root over these leaves, by index, with the hashes of all between them, left to right."""
    waiting = iter(nodes)

    def over(start, end, within):
        if not within:
            return next(waiting, b"")
        if end - start == 1:
            return hashes[start]
        middle = start + left_of(end - start)
        left = [index for index in within if index < middle]
        first = over(start, middle, left)
        return node_hash(first, over(middle, end, within[len(left) :]))

    root = over(0, size, sorted(hashes))
    require(next(waiting, None) is None, "there are more hashes than the log's proof needs")
    return root


def is_consistent(old_size, old_root, size, root, proof):
    """Whether the log of a size begins with the older one (RFC 9162, 2.1.4)."""
    waiting = iter(proof)

    def both(old, new, whole):
        """The roots of a subtree of both logs."""
        if old == new:
            return (old_root if whole else next(waiting, b""),) * 2
        left = left_of(new)
        if old <= left:
            before, after = both(old, left, whole)
            return before, node_hash(after, next(waiting, b""))
        before, after = both(old - left, new - left, False)
        first = next(waiting, b"")
        return node_hash(first, before), node_hash(first, after)

    return both(old_size, size, True) == (old_root, root) and next(waiting, None) is None


# --- The tree of balances: a node is a hash and the sums of accounts, free, held and debt below it
def sums_of(node):
    return [int.from_bytes(node[at : at + 16], "big") for at in range(32, 96, 16)]


def node_of(digest, sums):
    require(all(0 <= one < 2**128 for one in sums), "a sum of balances is out of range")
    return digest + b"".join(one.to_bytes(16, "big") for one in sums)


def join(left, right):
    if left == right == EMPTY_NODE:
        return EMPTY_NODE
    sums = [a + b for a, b in zip(sums_of(left), sums_of(right), strict=True)]
    return node_of(sha256(b"\1" + left + right), sums)


def balances_root(account, balance, path):
    """The root of all balances that an account's balance, or None, and its path lead to."""
    require(len(path) == HEIGHT and 0 <= account < 1 << HEIGHT, "a path of balances is cut")
    node = EMPTY_NODE
    if balance is not None:
        sums = [1, *(balance[side] for side in SIDES)]
        node = node_of(sha256(b"\0" + canonical(balance)), sums)
    for height, told in enumerate(path):
        other = EMPTY_NODE if told is None else unbase64(told)
        require(len(other) == len(EMPTY_NODE), "a path of balances is broken")
        node = join(other, node) if account >> height & 1 else join(node, other)
    return node


# --- The statements
def check_whole(data):
    """1: the file's evidence."""
    told = json.loads(data)
    require(canonical(told) + b"\n" == data, "the file is not in its canonical form")
    stated = told.pop("sha256", None)
    require(stated == sha256(canonical(told)).hex(), "the file is not what its SHA-256 says")
    require(told["format"] == "tallybook-evidence/1", "the file has another format")
    return told


def check_head(note, trusted, own, witnesses):
    """2: the head, and sentences on who signed it."""
    head = Head(note)
    signed = [key for key in trusted or own if signature_by(head.text, head.lines, key)]
    require(signed, "the head is signed by none of the book's keys")
    said = [f"The head of {head.size} entries is signed by {', '.join(signed)}."]
    if not trusted:
        said.append("That key is the file's own word: compare it with one from elsewhere (--key).")
    for key in witnesses:
        require(signature_by(head.text, head.lines, key), f"the witness {key} did not cosign")
        said.append(f"The witness {key.split('+')[0]} saw this head after all those before it.")
    return head, said


def check_hidden(salt, value, hashed, what):
    """A text that entered by its salted hash."""
    salted = sha256(bytes.fromhex(salt) + canonical(value)).hex()
    require(salted == hashed, f"{what} is not what was sealed")


def check_log(head, told):
    """3: every entry is in the log, as it stands here."""
    hashes = {}
    for one in told["entries"]:
        leaf, entry = one["leaf"], one["leaf"]["entry"]
        require(one["index"] is not None, f"entry {entry} was added to the ledger after its seal")
        require(one["index"] not in hashes, f"entry {entry} stands twice")
        hashes[one["index"]] = sha256(b"\0" + canonical(leaf))
        for part in ("act", "text"):
            if one[part] is not None:  # else it was erased, or there is none
                check_hidden(**one[part], hashed=leaf[part], what=f"the {part} of entry {entry}")
    require(all(0 <= index < head.size for index in hashes), "an entry is beyond the head")
    root = root_with(hashes, [unbase64(node) for node in told["nodes"]], head.size)
    require(root == head.root, "an entry is not as it was sealed: the log has another root")


def check_chain(account, entries):
    """4: the account's entries are all there, and each balance follows from the one before."""
    sides, last = dict.fromkeys(SIDES, 0), None
    for nth, one in enumerate(entries, 1):
        leaf = one["leaf"]
        what = f"entry {leaf['entry']} of account {account}"
        require(leaf["nth"] == nth, f"an entry is left out before {what}")
        for side, sign in ((leaf["debit"], -1), (leaf["credit"], 1)):
            if side in sides:
                sides[side] += leaf["amount"] * (-sign if side == "debt" else sign)
        after = {side: leaf[f"{side}_after"] for side in SIDES}
        follows = leaf["amount"] > 0 and sides == after
        require(follows, f"{what} does not follow from the one before")
        now = (leaf["entry"], datetime.fromisoformat(leaf["recorded_at"]), one["index"])
        in_order = last is None or (last[0] < now[0] and last[1] <= now[1] and last[2] < now[2])
        require(in_order, f"{what} was recorded before the one before it")
        last = now
    return sides


def check_names(one, entries):
    """Each name under which an account was sealed; the last of them, if it is told."""
    known = {name["hash"]: name for name in one["names"]}
    for name in one["names"]:
        require((name["name"] is None) == (name["salt"] is None), "a name is told by half")
        if name["name"] is not None:
            check_hidden(name["salt"], name["name"], name["hash"], f"the name {name['name']}")
    for entry in entries:
        hashed = entry["leaf"]["name"]
        require(hashed is None or hashed in known, "an entry was sealed under another name")
    last = entries[-1]["leaf"]["name"] if entries else None
    return known[last]["name"] if last else None


def check_account(head, one, entries, at):
    """4 and 5, of one account: its sides at the head, or at an earlier instant."""
    account, balance = one["account"], one["balance"]
    sides = check_chain(account, entries)
    if balance is None:
        require(not entries, f"account {account} has entries and no balance")
    else:
        last = entries[-1]["leaf"]["entry"] if entries else None
        stated = {"account": account, "entry": last, "entries": len(entries), **sides}
        require(balance == stated, f"the balance of account {account} is not what its entries say")
    node = balances_root(account, balance, one["path"])
    same = node[:32] == head.balances and sums_of(node) == list(head.totals.values())
    require(same, f"the balance of account {account} is not in the sum that the head states")
    if at is None:
        return sides
    instant = datetime.fromisoformat(at)
    require(instant <= datetime.fromisoformat(head.horizon), "the head does not reach that instant")
    before = [e for e in entries if datetime.fromisoformat(e["leaf"]["recorded_at"]) <= instant]
    return check_chain(account, before)


def check_older(head, older, proof):
    """The log continues the one that an older file or checkpoint sealed."""
    note = json.loads(older)["checkpoint"] if older.lstrip().startswith("{") else older
    old = Head(note)
    restored = f" (the book was restored: epoch {head.epoch})" if old.epoch != head.epoch else ""
    fork = f"FORK: the log does not continue the older one of {old.size} entries{restored}"
    require(old.origin == head.origin, "the older head is of another book")
    require(0 < old.size <= head.size, fork)
    if old.size < head.size:
        require(proof and proof["size"] == old.size, f"the file proves nothing since {old.size}")
    hashes = [unbase64(one) for one in proof["hashes"]] if old.size < head.size else []
    require(is_consistent(old.size, old.root, head.size, head.root, hashes), fork)
    return f"The log begins with all {old.size} entries of the older head, unchanged."


def verify(data, trusted=(), witnesses=(), older=None):
    """The sentences that a file proves; raises RefusedError."""
    told = check_whole(data)
    head, said = check_head(told["checkpoint"], trusted, told["keys"], witnesses)
    check_log(head, told)
    total, count, names = dict.fromkeys(SIDES, 0), 0, []
    for one in told["accounts"]:
        entries = [e for e in told["entries"] if e["leaf"]["account"] == one["account"]]
        sides = check_account(head, one, entries, told["at"])
        names.append(check_names(one, entries))
        total = {side: total[side] + sides[side] for side in SIDES}
        count += len(entries)
    require(count == len(told["entries"]), "there are entries of other accounts")
    require(not count or told["id"] in (None, *names), "the account has another name in the log")
    numbers = ", ".join(str(one["account"]) for one in told["accounts"])
    balance = total["free"] + total["held"] - total["debt"]
    sides = ", ".join(f"{value} {side}" for side, value in total.items())
    instant = told["at"] or f"entry {head.size} of the log ({head.horizon})"
    totals = ", ".join(f"{value} {name}" for name, value in head.totals.items())
    said += [
        f"All {count} entries of account {numbers} ({told['id'] or 'its name is withheld'}) are in "
        "the log, unchanged, in order, none left out.",
        f"Its balance at {instant} is {balance} ({sides}), and follows from them.",
        f"It is part of the book's totals: {totals}.",
    ]
    if older is not None:
        said.append(check_older(head, older, told["since"]))
    return said


def main():
    parser = argparse.ArgumentParser(description="Check an evidence file of a Tallybook ledger.")
    parser.add_argument("file")
    parser.add_argument("--older", help="an older evidence file or checkpoint")
    parser.add_argument("--key", action="append", default=[], help="a public key of the book")
    parser.add_argument("--witness", action="append", default=[], help="a witness's public key")
    asked = parser.parse_args()
    try:
        data = pathlib.Path(asked.file).read_bytes()
        older = pathlib.Path(asked.older).read_text("utf-8") if asked.older else None
        print("\n".join(verify(data, asked.key, asked.witness, older)))
    except (ValueError, LookupError, TypeError, AttributeError, OSError) as error:
        said = error if isinstance(error, RefusedError) else f"{type(error).__name__}: {error}"
        print(f"REFUSED: {said}.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
