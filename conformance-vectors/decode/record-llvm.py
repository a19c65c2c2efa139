"""Records what LLVM's disassembler makes of PVM2 encodings: llvm.tsv.gz beside it.

usage: record-llvm.py LLVM-MC OUT.tsv.gz
Rows: hexadecimal halfword (4 digits) or word (8 digits), tab, LLVM's text, `-` where it has none.
"""
import gzip
import random
import re
import subprocess
import sys

USED = (0, 1, 4, 5, 7, 0x10, 0x14, 0x20, 0x24, 0x30, 0x34)
FEATURES = "+e,+m,+c,+zba,+zbb,+zbs,+zicond"


def disassemble(tool, encodings):
    lines = [" ".join(f"0x{b:02x}" for b in data) for data in encodings]
    command = [tool, "--disassemble", "-triple=riscv64", f"-mattr={FEATURES}", "-M", "no-aliases"]
    done = subprocess.run(command, input="\n".join(lines) + "\n", capture_output=True, text=True, check=True)
    bad = {int(m.group(1)) - 1 for m in re.finditer(r"<stdin>:(\d+):\d+: warning: invalid", done.stderr)}
    texts = iter(line.strip().replace("\t", " ") for line in done.stdout.splitlines() if line.strip())
    out = ["-" if i in bad else next(texts) for i in range(len(encodings))]
    assert next(texts, None) is None, "more texts than encodings"
    return out


def words():
    rng = random.Random(2)
    reg = lambda: rng.randrange(16) if rng.random() < 0.95 else rng.randrange(16, 32)
    for opcode in range(32):
        low = opcode << 2 | 3
        if low & 0x1C == 0x1C:
            continue  # LLVM reads these as longer than 32 bits; PVM2 does not (D-12)
        for funct3 in range(8):
            for _ in range(100):
                yield low | reg() << 7 | funct3 << 12 | reg() << 15 | rng.randrange(4096) << 20
            if low not in (0x13, 0x1B, 0x33, 0x3B):
                continue
            for funct7 in range(128):
                for rs2 in [0, 1, 2, 4, 5, 7, 24] + [rng.randrange(32) for _ in range(24 if funct7 in USED else 1)]:
                    yield low | reg() << 7 | funct3 << 12 | reg() << 15 | rs2 << 20 | funct7 << 25


def main():
    tool, path = sys.argv[1:]
    halves = [h for h in range(65536) if h & 3 != 3]
    wide = list(words())
    rows = []
    for text, h in zip(disassemble(tool, [h.to_bytes(2, "little") for h in halves]), halves):
        rows.append(f"{h:04x}\t{text}\n")
    for text, w in zip(disassemble(tool, [w.to_bytes(4, "little") for w in wide]), wide):
        rows.append(f"{w:08x}\t{text}\n")
    with open(path, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as out:
        out.write("".join(rows).encode())


main()
