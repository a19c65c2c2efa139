#!/usr/bin/env python3
"""Writes the golden snapshot files from the documented layout, without the library.

engine/src/snapshot/wire.rs, bits.rs and parcel.rs have the layout. Run it in its folder; the files
it writes are committed, and a change of one is a change of the format.
"""

import hashlib
import struct


def gamma(value):
    digits = bin(value)[2:]
    return "0" * (len(digits) - 1) + digits


def page_set(pages):
    runs = []
    for page in pages:
        if runs and runs[-1][1] == page:
            runs[-1][1] += 1
        else:
            runs.append([page, page + 1])
    out, end = gamma(len(runs) + 1), 0
    for index, (start, stop) in enumerate(runs):
        out += gamma(start - end + (index == 0)) + gamma(stop - start)
        end = stop
    return out


def table(*sets):
    bits = "".join(map(page_set, sets))
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))


def blake(data):
    return hashlib.blake2b(data, digest_size=32).digest()


def content(seed):
    return bytes((seed + 7 * at) % 251 for at in range(4096))


def state(kind, pending, selector, pc, gas, sets, contents, link=b""):
    bits = table(*sets)
    head = b"\x89RVSNAP\n" + struct.pack("<HHBBH", 1, 2, kind, pending, 0)
    head += bytes(range(0x20, 0x40)) + bytes(range(0x60, 0x80))
    head += struct.pack("<QQ", pc, gas)
    head += struct.pack("<15Q", *(0x0101010101010101 * slot for slot in range(15)))
    head += struct.pack("<II", selector, len(bits))
    return head + link + bits + b"".join(contents)


def parcel(image, body):
    head = b"\x89RVPARC\n" + struct.pack("<HHQQ", 1, 0, len(image), len(body))
    head += blake(image) + blake(body)
    return head + blake(head) + image + body


# A base page, three private ones; behind an ecalli -3 that is paid.
base = state(0, 2, 0xFFFFFFFD, 0x1234, 2**63 - 1,
             [[0x10000], [0x10002, 0x10003, 0xFFFFF]], [content(n) for n in (1, 2, 3, 4)])
# The base page is private now, one page is unchanged again, one is new; no call.
after_sets = [[], [0x10000, 0x10003, 0xFFFFE, 0xFFFFF]]
after = state(0, 0, 0, 0x1238, 5, after_sets, [content(n) for n in (9, 3, 8, 4)])
delta = state(1, 0, 0, 0x1238, 5, [[0x10002], [], [0x10000, 0xFFFFE]],
              [content(9), content(8)], blake(base) + blake(after))

for name, data in [("base.snapshot", base), ("after.snapshot", after), ("base-to-after.delta", delta),
                   ("base.parcel", parcel(b"", base))]:
    with open(name, "wb") as out:
        out.write(data)
