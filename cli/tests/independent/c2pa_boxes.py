"""Reads and checks the C2PA manifest of an MP4 or QuickTime file, sharing no code with the library that wrote it: boxes, JUMBF and CBOR are read
here, hashes are reckoned with hashlib, and the signature (COSE, ES256) is checked by the command openssl.

Usage: c2pa_boxes.py FILE; prints JSON.
"""

import hashlib
import json
import pathlib
import struct
import subprocess
import sys
import tempfile

C2PA = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")


def boxes(data: bytes, start: int = 0):
    """Kind, place and end of each box."""
    at = start
    while at + 8 <= len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        if size == 1:
            (size,) = struct.unpack(">Q", data[at + 8 : at + 16])
        elif size == 0:
            size = len(data) - at
        if size < 8:
            raise ValueError(f"a box of {size} bytes at {at}")
        yield kind.decode("latin1"), at, at + size
        at += size


def cbor(data: bytes, at: int = 0):
    kind, more = data[at] >> 5, data[at] & 31
    at += 1
    if kind == 7:
        return {20: False, 21: True, 22: None, 23: None}[more], at
    if more < 24:
        value = more
    else:
        size = 1 << (more - 24)
        value, at = int.from_bytes(data[at : at + size], "big"), at + size
    if kind == 0:
        return value, at
    if kind == 1:
        return -1 - value, at
    if kind in (2, 3):
        body = data[at : at + value]
        return (body if kind == 2 else body.decode()), at + value
    if kind == 4:
        items = []
        for _ in range(value):
            item, at = cbor(data, at)
            items.append(item)
        return items, at
    if kind == 5:
        found = {}
        for _ in range(value):
            key, at = cbor(data, at)
            found[key], at = cbor(data, at)
        return found, at
    return cbor(data, at)  # A tag: what it is on.


def to_cbor(value) -> bytes:
    """Text, bytes and arrays."""

    def head(kind: int, length: int) -> bytes:
        if length < 24:
            return bytes([kind << 5 | length])
        size = next(size for size in (1, 2, 4, 8) if length < 1 << 8 * size)
        return bytes([kind << 5 | {1: 24, 2: 25, 4: 26, 8: 27}[size]]) + length.to_bytes(size, "big")

    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    return head(4, len(value)) + b"".join(map(to_cbor, value))


class Superbox:
    """A JUMBF superbox: its label, what it holds, and the bytes that its hash is of."""

    def __init__(self, data: bytes):
        self.hashed = data
        self.children, self.content = [], {}
        for kind, start, end in boxes(data):
            body = data[start + 8 : end]
            if kind == "jumd":
                self.label = body[17 : body.index(b"\0", 17)].decode() if body[16] & 2 else ""
            elif kind == "jumb":
                self.children.append(Superbox(body))
            else:
                self.content[kind] = body

    def child(self, label: str) -> "Superbox":
        return next(child for child in self.children if child.label.startswith(label))


def signature_is_good(claim: bytes, signature: bytes) -> tuple[bool, str]:
    """Whether the signature is that of the claim, and the subject of the certificate."""
    protected, unprotected, _, value = cbor(signature)[0]
    header, _ = cbor(protected)
    if header[1] != -7:
        raise ValueError(f"algorithm {header[1]}, not ES256")
    chain = header.get(33) or unprotected.get(33) or unprotected.get("x5chain")
    certificate = chain if isinstance(chain, bytes) else chain[0]
    signed = to_cbor(["Signature1", protected, b"", claim])

    def integer(number: bytes) -> bytes:
        number = number.lstrip(b"\0")
        number = (b"\0" if number[:1] >= b"\x80" else b"") + number
        return b"\x02" + bytes([len(number)]) + number

    pair = integer(value[:32]) + integer(value[32:64])
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder)
        (place / "certificate").write_bytes(certificate)
        (place / "signed").write_bytes(signed)
        (place / "signature").write_bytes(b"\x30" + bytes([len(pair)]) + pair)

        def openssl(*words: str) -> subprocess.CompletedProcess:
            return subprocess.run(["openssl", *words], cwd=place, capture_output=True, text=True, check=False)

        key = openssl("x509", "-inform", "der", "-in", "certificate", "-pubkey", "-noout").stdout
        (place / "key").write_text(key)
        checked = openssl("dgst", "-sha256", "-verify", "key", "-signature", "signature", "signed")
        subject = openssl("x509", "-inform", "der", "-in", "certificate", "-subject", "-noout").stdout
    return checked.returncode == 0, subject.strip()


def content_is_good(data: bytes, wanted: dict) -> bool:
    """Whether the file's own hash (c2pa.hash.bmff) is right: all boxes but those left out, each behind its place."""
    left_out = {entry["xpath"].strip("/") for entry in wanted["exclusions"]}
    digest = hashlib.sha256()
    for kind, start, end in boxes(data):
        ours = kind == "uuid" and data[start + 8 : start + 24] == C2PA
        if ours or (kind in left_out and kind != "uuid"):
            continue
        digest.update(struct.pack(">Q", start))
        digest.update(data[start:end])
    return digest.digest() == wanted["hash"]


def main() -> None:
    data = pathlib.Path(sys.argv[1]).read_bytes()
    found = next((start, end) for kind, start, end in boxes(data) if kind == "uuid" and data[start + 8 : start + 24] == C2PA)
    body = data[found[0] + 24 : found[1]]
    # Version and flags, what it is for, and a place in the file.
    if body[4 : body.index(b"\0", 4)] != b"manifest":
        raise ValueError("the first C2PA box is no manifest")
    (_, start, end), *_ = boxes(body[body.index(b"\0", 4) + 1 + 8 :])
    store = Superbox(body[body.index(b"\0", 4) + 1 + 8 :][start + 8 : end])
    manifest = store.children[-1]
    assertions = manifest.child("c2pa.assertions")
    claim_bytes = manifest.child("c2pa.claim").content["cbor"]
    claim, _ = cbor(claim_bytes)
    listed = claim.get("created_assertions", []) + claim.get("gathered_assertions", []) + claim.get("assertions", [])
    hashes = {}
    for entry in listed:
        label = entry["url"].rsplit("/", 1)[1]
        box = next(child for child in assertions.children if child.label == label)
        hashes[label] = hashlib.sha256(box.hashed).digest() == entry["hash"]

    def read(label: str):
        content = assertions.child(label).content
        return cbor(content["cbor"])[0] if "cbor" in content else json.loads(content["json"])

    good, subject = signature_is_good(claim_bytes, manifest.child("c2pa.signature").content["cbor"])
    actions = [
        {key: action.get(key) for key in ("action", "digitalSourceType", "description")} for action in read("c2pa.actions")["actions"]
    ]
    ingredient = read("c2pa.ingredient")
    print(
        json.dumps(
            {
                "generator": claim["claim_generator_info"],
                "actions": actions,
                "ingredient": [ingredient.get("dc:title"), ingredient["relationship"]],
                "upscale": read("com.github.srfusion.upscale"),
                "assertions": hashes,
                "signature": good,
                "subject": subject,
                "content": content_is_good(data, read("c2pa.hash.bmff")),
            },
            default=lambda value: value.hex() if isinstance(value, bytes) else str(value),
        )
    )


if __name__ == "__main__":
    main()
