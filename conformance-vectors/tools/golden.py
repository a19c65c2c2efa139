"""The golden tables of the specifications (`golden.txt`) as vectors.

The model must give the tables' figures; where it does not, nothing is written.
"""

import re
from pathlib import Path

from isa import DATA_BASE, M64, BY_NAME, decode_at, encode
from machine import Answer
from vec import File

TRAP = encode("trap")
# A mapping for each footprint tier (gas §3).
TIER_PAGES = {25: 1, 50: 2049, 75: 8193, 100: 65537}
# Registers of the tables' loads and stores point into the first page.
POINTERS = {r: DATA_BASE + 256 * r for r in range(1, 16)}


def sections():
    out, rows = {}, None
    for line in Path(__file__).with_name("golden.txt").read_text().splitlines():
        if line.startswith("["):
            rows = out.setdefault(line[1:line.index("]")], [])
        elif line and not line.startswith("#"):
            rows.append(line.split("\t"))
    return out


def numbers(text):
    return [int(n, 0) for n in re.findall(r"(?<![x\w.])[-+]?(?:0x[0-9a-fA-F]+|\d+)", text)]


def decode(folder, rows):
    file = File("decode", "ISA §17.1; what follows from it: tools/machine.py")
    for encoding, meaning in rows:
        length = (len(encoding) - 2) // 2
        code = int(encoding, 16).to_bytes(length, "little")
        inst = decode_at(code, 0)
        text, _, remark = meaning.partition(" — ")
        text = text.split(", delivered")[0]
        if text.startswith(("reserved", "fatal")):
            assert inst.name == "reserved", (encoding, str(inst))
        elif inst.name != "fence":
            got = (inst.name, re.findall(r"x\d+", str(inst)), numbers(str(inst)))
            want = (text.split()[0], re.findall(r"\bx\d+", text), numbers(text))
            if inst.name == "lui":
                want = (*want[:2], [want[2][0] & 0xFFFFF])
            assert got == want, (encoding, got, want)
        file.add(f"decode-{encoding[2:].lower()}", code + TRAP, note=meaning, blocks=True,
                 regs=POINTERS, gas=2000, maps=[(DATA_BASE, 4096, "cow")],
                 content={DATA_BASE + 256 * r: bytes(range(r, r + 16)) for r in (2, 10, 11)})
    return file.write(folder)


def semantics(file, rows):
    for name, operands, result in rows:
        values = dict(re.findall(r"(rs1|rs2|pc|imm20|amount|immediate)(?: = | )(-?\w+)", operands))
        values = {key: int(value, 0) for key, value in values.items()}
        form = BY_NAME[name][0]
        imm = values.get("imm20", values.get("amount", values.get("immediate", 0)))
        pc = values.get("pc", 0)
        code = bytes.fromhex("0b400000") * (pc // 4)
        code += encode(name, 10, 0 if form == "U" else 11, 12, imm) + TRAP
        regs = {11: values.get("rs1", 0) & M64, 12: values.get("rs2", 0) & M64}
        machine = file.add(f"semantics-{name}", code, note=f"{name} {operands}", pc=pc, regs=regs)
        assert machine.regs[10] == int(result, 16), (name, operands)


def costs(file, rows):
    for name, code, mem, cost, reserve in rows:
        code, mem, need = bytes.fromhex(code), int(mem), int(cost) + int(reserve)
        maps = [(DATA_BASE, TIER_PAGES[mem] * 4096, "cow")]
        machine = file.add(f"cost-{name}", code, note=f"gas §17 {name}", blocks=True, maps=maps,
                           regs=POINTERS, gas=need - 1, resumes=[need])
        assert machine.blocks()[0][2:] == (int(cost), int(reserve)), (name, machine.blocks())


def partition(file, rows):
    for name, code, starts, end in rows:
        code = bytes.fromhex(code.strip("-"))
        machine = file.add(f"partition-{name}", code, note=f"ISA §17.2 {name}", blocks=True,
                           resumes=[None, None] if name == "P14" else [])
        want = {int(s) for s in starts.split(",") if s != "-"}
        assert (machine.starts, machine.end) == (want, int(end)), name


def ledgers(file):
    """Gas §17.2 and §18, figure by figure."""
    words = [0x00100513, 0x00700713, 0x0000100B, 0x00150513, 0x0050200B, 0xFFF0200B, 0x0000000B]
    code = b"".join(w.to_bytes(4, "little") for w in words)
    answers = [Answer(c, "continue") for c in ("kernel", 5, 0xFFFF_FFFF)]
    for gas, expect in [(303, ("trap", 24, 0)), (302, ("out-of-gas", 24, 0)),
                        (100, ("out-of-gas", 8, 99)), (0, ("out-of-gas", 0, 0))]:
        file.add(f"program-{gas}", code, note="gas §17.2", blocks=True, gas=gas, answers=answers,
                 expect=expect)
    code = bytes.fromhex("13051500 0000 93851500 0b000000")
    file.add("program-reserved", code, note="gas §17.2", blocks=True, gas=5,
             expect=("panic", 4, 4))
    g11 = bytes.fromhex("2330a100 2324b600 0b400000")
    base, cow = DATA_BASE, [(DATA_BASE, 0x8000, "cow")]
    mixed = [(base, 0x2000, "cow"), (base + 0x2000, 0x1000, "ro"), (base + 0x8000, 0x1000, "cow")]
    rows = [("short", 1045, cow, base, base, ("out-of-gas", 0, 1045)),
            ("one-page", 1046, cow, base, base, ("panic", 12, 768)),
            ("four-pages", 1046, cow, base + 0xFFC, base + 0x2FF6, ("panic", 12, 0)),
            ("second-faults", 2000, mixed, base, 0, ("page-fault", 4, 1722)),
            ("straddle-bad", 2000, mixed, base + 0x8FFC, base, ("page-fault", 0, 1978)),
            ("pinned", 2000, mixed, base + 0x2000, base, ("page-fault", 0, 1978))]
    for name, gas, maps, x2, x12, expect in rows:
        file.add(f"ledger-{name}", g11, note="gas §18.1", gas=gas, maps=maps,
                 regs={2: x2, 10: M64, 11: 0xABCD, 12: x12}, expect=expect)
    g20 = bytes.fromhex("83b60500 2330d500 93858500 13058500 e368c5fe 67800000")
    for gas, expect in [(909, ("trap", 24, 909 - 416 - 1)), (908, ("out-of-gas", 0, 558))]:
        file.add(f"loop-{gas}", g20 + TRAP, note="gas §18.2", maps=cow,
                 content={base + 0x4000: bytes(range(1, 25))}, gas=gas,
                 regs={1: 0x400018, 10: base, 11: base + 0x4000, 12: base + 24})
    depths = [1 + d // 8 for d in range(21)]
    maps = [(base, 16 * 4096, "cow"), (0x2000_0000, 4096 * 4096, "ephemeral")]
    code = encode("sd", rs1=10, rs2=11) + encode("sd", rs1=12, rs2=11) + TRAP
    for gas in (2069, 2070):
        file.add(f"depth-{gas}", code, note="gas §18.6", blocks=True, maps=maps, multiplier=depths,
                 gas=gas, regs={10: base, 11: 7, 12: 0x2000_0000})
    code = encode("sd", rs1=10, rs2=11) + bytes.fromhex("0b209000") + TRAP
    write = [(base + 0xFF0, b"\1" * 0x1100)]
    # Cost 22 and one page for the store, which makes the second of the three pages private.
    for gas, expect in ((621, ("out-of-gas", 4, 621)), (622, ("out-of-gas", 8, 0)),
                        (623, ("trap", 8, 0))):
        file.add(f"kernel-write-{gas}", code, note="gas §18.5, after a store", maps=cow,
                 regs={10: base + 0x1000, 11: 1}, gas=gas + 22 + 256, expect=expect,
                 answers=[Answer(9, "continue", extra=10, writes=write)])


def write(folder):
    tables = sections()
    total = decode(folder, tables["decode"])
    file = File("golden", "ISA §17.2, §17.3 and gas §17, §18; the rest of each state: tools/machine.py")
    semantics(file, tables["semantics"])
    partition(file, tables["partition"])
    costs(file, tables["costs"])
    ledgers(file)
    return total + file.write(folder)
