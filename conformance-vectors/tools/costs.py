"""Costs: blocks of every class of instruction, every tier, budgets around each gate."""

from isa import BRANCHES, DATA_BASE, LOADS, STORES, TABLE, decode_half, encode
from standard import immediate
from values import Draw
from vec import File

TRAP = encode("trap")
TIER_PAGES = [0, 1, 2048, 2049, 8192, 8193, 65536, 65537]
ORIGIN = "tools/gas.py, from gas §3 to §8"
NAMES = [name for name, _, _, _ in TABLE if name not in ("trap", "ecall.jar", "ecalli",
                                                         "fallthrough", "jal", "jalr", *BRANCHES)]


def anything(draw, names=None):
    """An instruction that is no terminator."""
    if draw.randrange(6) == 0 and not names:
        half = draw.getrandbits(16)
        if half & 3 != 3 and not decode_half(half).terminator():
            return half.to_bytes(2, "little")
    name = draw.choice(names or NAMES)
    rd, rs1, rs2 = draw.choice([draw.regs(), draw.regs(), (3, 4, 5), (5, 3, 3), (4, 4, 4)])
    return encode(name, rd, rs1, rs2, immediate(draw, name))


def last(draw):
    rd, rs1, rs2 = draw.regs()
    return draw.choice([TRAP, encode("fallthrough"), encode("jal", rd, imm=4), b"",
                        encode("jalr", rd, rs1), bytes.fromhex("0000"), bytes.fromhex("73000000"),
                        encode(draw.choice(sorted(BRANCHES)), rs1=rs1, rs2=rs2, imm=4),
                        encode("ecalli", imm=1)])


def mapping(pages):
    return [(DATA_BASE, pages * 4096, "ephemeral")] if pages else []


def write(folder):
    draw = Draw(20265)
    file = File("gas", ORIGIN)
    for name in NAMES:
        for _ in range(3):
            code = b"".join(anything(draw, [name]) for _ in range(draw.choice([1, 3, 6])))
            pages = draw.choice(TIER_PAGES)
            file.add(f"class-{name}", code + last(draw), maps=mapping(pages), blocks=True, run=False)
    for i in range(420):
        few = draw.sample(NAMES, 4) + draw.choice([[], sorted(LOADS), sorted(STORES)])
        code = b"".join(anything(draw, few if i % 2 else None)
                        for _ in range(draw.choice([1, 2, 4, 5, 9, 17, 30])))
        pages = draw.choice(TIER_PAGES)
        kind = draw.choice(["ro", "cow", "ephemeral"])
        multiplier = draw.choice([None, None, None, [1 + d for d in range(21)], [1] * 20 + [1 << 20]])
        file.add("mixed", code + last(draw), multiplier=multiplier, blocks=True, run=False,
                 maps=[(DATA_BASE, pages * 4096, kind)] if pages else [], listing=False)
    gates(file, draw)
    return file.write(folder)


def gates(file, draw):
    """The gate one below, at and above what it asks for."""
    for i in range(60):
        names = ["add", "mul", "div", "sltu", "lui", "ld", "sd", "sb"]
        code = b"".join(anything(draw, names) for _ in range(draw.randrange(1, 8))) + TRAP
        maps = [(DATA_BASE, draw.choice([1, 2049]) * 4096, "cow")]
        regs = {r: DATA_BASE + 2048 + 8 * r for r in range(1, 16)}
        machine = file.add(f"gate-{i}", code, regs=regs, maps=maps, blocks=True, run=False,
                           listing=False)
        _, _, cost, reserve = machine.blocks()[0]
        for delta in (-1, 0, 1):
            file.add(f"gate-{i}-at", code, regs=regs, maps=maps, gas=cost + reserve + delta,
                     trim=True)
    for n in (127, 128, 129, 4194303 // 1024, 5000):
        store = encode("sb", rs1=10, rs2=11)
        words = [f"{store.hex()}*{n}", TRAP.hex()]
        need = 1024 * n // 2 + (n + 3) // 4 + 30
        for gas in (512 * n, need):
            file.add(f"stores-{n}", store * n + TRAP, code_words=words, listing=False, blocks=True,
                     maps=mapping(1), regs={10: DATA_BASE, 11: 5}, gas=gas)
