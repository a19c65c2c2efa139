"""Long straight code: blocks of 130 bytes and more, and what lies across every 64 bytes of them.

An engine may look for block starts in lines of 64 or 128 bytes. Whether an offset is an
instruction then depends on what the line before has left over: half a word, the end of a block.
"""

from isa import encode, walk
from values import Draw
from vec import File

ORIGIN = "tools/machine.py, from ISA §5, §9 and gas §4 to §6"
TRAP = encode("trap")
LINE = 64

# c.addi x10, 1: no word. Words whose upper half looks like the beginning of a word, or does not.
SHORT = bytes.fromhex("0505")
LOOKALIKE = [encode("addi", rd, 6, imm=3) for rd in (5, 6, 7)] + [encode("add", 8, 15, 9)]
PLAIN = [encode("addi", 9, 9, imm=1), encode("xor", 11, 8, 9)]

# What lies across an edge: it ends a block, is one of its own, is reserved, or does none of it.
ACROSS = {
    "branch": encode("bne", rs1=0, rs2=0, imm=8), "jal": encode("jal", 1, imm=4),
    "jalr": encode("jalr", 0, 0), "fallthrough": encode("fallthrough"), "trap": TRAP,
    "ecalli": encode("ecalli", imm=7), "kernel": encode("ecall.jar"),
    "reserved-word": bytes.fromhex("ffffffff"), "reserved-half": bytes.fromhex("0000"),
    "c-beqz": bytes.fromhex("01c1"), "c-j": bytes.fromhex("09a0"), "c-jr": bytes.fromhex("8280"),
    "c-jalr": bytes.fromhex("8292"), "fence": encode("fence"), "word": LOOKALIKE[0],
    "half": SHORT, "ebreak": bytes.fromhex("0290"),
}


def filler(draw, size, kind):
    """Straight code of exactly `size` bytes, which is even."""
    out = b""
    if kind == "odd-words":
        out = SHORT
    while len(out) < size:
        wide = kind in ("words", "odd-words") or kind == "mixed" and draw.randrange(2)
        if wide and size - len(out) >= 4:
            out += draw.choice(LOOKALIKE + PLAIN)
        else:
            out += SHORT
    return out[:size]


KINDS = ("shorts", "words", "odd-words", "mixed")


def add(file, name, code, regs, **more):
    file.add(name, code, regs=regs, blocks=True, listing=False, trim=True, **more)


def registers(draw):
    return {r: draw.value() for r in range(1, 16)}


def across(file, draw):
    """Each thing at each distance in front of each edge, between long stretches of each kind."""
    for name, what in ACROSS.items():
        for edge in (1, 2, 3, 4):
            for before in (0, 2, 4):
                kind = draw.choice(KINDS)
                behind = draw.choice([2, 8, 62, 64, 66, 140])
                code = (filler(draw, edge * LINE - before, kind) + what
                        + filler(draw, behind, draw.choice(KINDS)) + TRAP)
                starts = sorted(walk(code)[1])
                add(file, f"{name}-at-{edge * LINE - before}", code, registers(draw),
                    pc=draw.choice([0, 0, starts[-1]]))


def together(file, draw):
    """Several of them in a row over an edge, so that one line leaves half of one to the next."""
    names = sorted(ACROSS)
    for edge in (1, 2, 3, 4, 8):
        for _ in range(16):
            row = b"".join(ACROSS[draw.choice(names)] for _ in range(draw.randrange(2, 7)))
            before = draw.randrange(0, len(row) + 1, 2)
            code = (filler(draw, edge * LINE - before, draw.choice(KINDS)) + row
                    + filler(draw, draw.randrange(0, 150, 2), draw.choice(KINDS)) + TRAP)
            starts = sorted(walk(code)[1])
            add(file, f"row-over-{edge * LINE}", code, registers(draw),
                pc=draw.choice([0, *starts]))


def cuts(file, draw):
    """Code that ends at each byte around an edge, with and without half an instruction there."""
    for edge in (1, 2, 4):
        for kind in KINDS:
            for end in range(edge * LINE - 3, edge * LINE + 5):
                whole = filler(draw, edge * LINE + 8, kind)
                add(file, f"cut-at-{end}", whole[:end], registers(draw))


def straight(file, draw):
    """One block each: the walk passes whole lines without a start, its cost grows past them."""
    for size in (126, 128, 130, 132, 190, 192, 194, 254, 256, 258, 260, 384, 512, 514, 1026, 4098):
        for kind in KINDS:
            code = filler(draw, size, kind) + TRAP
            add(file, f"straight-{size}", code, registers(draw),
                gas=draw.choice([None, None, size // 8]))
            # The trap is no start behind straight code, and one behind a terminator.
            jump = encode("jal", 0, imm=size + 4) + filler(draw, size, kind)
            add(file, f"no-start-behind-{size}", jump + TRAP, registers(draw))
            jump = encode("jal", 0, imm=size + 8) + filler(draw, size, kind)
            add(file, f"start-behind-{size}", jump + ACROSS["fallthrough"] + TRAP, registers(draw))


def resynchronised(file, draw):
    """Entries in front of, inside and behind a word that lies across an edge."""
    for edge in (1, 2, 3):
        for what in (LOOKALIKE[0], ACROSS["branch"], ACROSS["ecalli"], ACROSS["reserved-word"]):
            code = filler(draw, edge * LINE - 2, "mixed") + what + filler(draw, 70, "words") + TRAP
            for pc in (edge * LINE - 2, edge * LINE, edge * LINE + 2, edge * LINE + 4):
                add(file, f"entry-at-{pc}", code, registers(draw), pc=pc)


def write(folder):
    draw = Draw(20265)
    file = File("lines", ORIGIN)
    for family in (across, together, cuts, straight, resynchronised):
        family(file, draw)
    return file.write(folder)
