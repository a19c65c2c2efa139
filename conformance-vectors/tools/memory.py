"""Memory: every width at every kind of place, faults, first writes, prices."""

from isa import CODE_BASE, DATA_BASE, LOADS, M32, M64, STORES, encode
from values import Draw
from vec import File

TRAP = encode("trap")
FALL = encode("fallthrough")
ORIGIN = "tools/machine.py, from ISA §4, §10 and gas §8, §10"

# ro and cow side by side, a gap, ephemeral, a gap, the last page of the address space.
MAPS = [(DATA_BASE, 0x2000, "ro"), (DATA_BASE + 0x2000, 0x3000, "cow"),
        (DATA_BASE + 0x6000, 0x2000, "ephemeral"), (0xFFFF_E000, 0x2000, "cow")]
EDGES = [0, CODE_BASE - 4096, CODE_BASE, CODE_BASE + 0x1000, DATA_BASE, DATA_BASE + 0x1000,
         DATA_BASE + 0x2000, DATA_BASE + 0x3000, DATA_BASE + 0x4000, DATA_BASE + 0x5000,
         DATA_BASE + 0x6000, DATA_BASE + 0x7000, DATA_BASE + 0x8000, 0xFFFF_E000, 0xFFFF_F000,
         1 << 32]
CONTENT = {start + at: bytes((17 * i + at // 7) & 0xFF | 0x80 for i in range(24))
           for start, at in ((DATA_BASE, 0), (DATA_BASE, 0x1FF0), (DATA_BASE + 0x2000, 0x0FF4),
                             (DATA_BASE + 0x2000, 0x1FF4), (DATA_BASE + 0x2000, 0x2FE8),
                             (0xFFFF_E000, 0xFF4), (0xFFFF_E000, 0x1FE8))}


def near(draw, size):
    """An address at, across or beside an edge of the memory map, as 64 bits."""
    edge = draw.choice(EDGES)
    address = edge + draw.choice([0, 0, -1, -size, 1 - size, -size // 2, 1, 8, -8, 4, 0x7F8,
                                  draw.randrange(-16, 16)])
    high = draw.choice([0, 0, 0, 1, 0xFFFF_FFFF, 0x8000_0000])
    return (address & M32) | high << 32


def based(draw, address):
    """(register value, displacement) for an address."""
    imm = draw.choice([0, 0, 1, -1, 2047, -2048, draw.randrange(-2048, 2048)])
    return (address - imm) & M64, imm


def add(file, name, code, regs, places, **more):
    """A vector with the content that lies near the addresses it is about."""
    here = {at: data for at, data in CONTENT.items()
            if any(-16 <= (p & M32) - at < 40 for p in places)}
    file.add(name, code, regs=regs, maps=MAPS, content=here, **more)


def accesses(file, draw):
    for name, (size, _) in sorted(LOADS.items()):
        for _ in range(45):
            rd, base = draw.choice([(5, 10), (10, 10), (0, 10), (3, 4), (15, 1), (4, 4), (9, 3)])
            place = near(draw, size)
            value, imm = based(draw, place)
            add(file, name, encode(name, rd, base, imm=imm) + TRAP, {base: value, 5: 1 << 63},
                [place])
    for name, size in sorted(STORES.items()):
        for _ in range(60):
            base, source = draw.choice([(10, 11), (10, 10), (10, 0), (3, 4), (4, 3), (1, 15)])
            place = near(draw, size)
            value, imm = based(draw, place)
            regs = {source: draw.value() | 0x81, base: value} if source else {base: value}
            add(file, name, encode(name, rs1=base, rs2=source, imm=imm) + TRAP, regs, [place])
    for name in ("lb", "ld", "sd"):
        code = encode(name, 5, 0, 0, imm=-8) + TRAP
        add(file, f"{name}-x0-base", code, {}, [M64 - 7], note="address 2^64 - 8 through x0")


def compressed(file, draw):
    """Stack and register forms at their largest displacements."""
    for half, base in [(0x4108, 10), (0x6588, 11), (0xC10C, 10), (0xE50C, 10), (0x4522, 2),
                       (0x6082, 2), (0xC02A, 2), (0xE42A, 2), (0x5D7C, 10), (0x7DFC, 11),
                       (0xDD7C, 10), (0xFDFC, 11), (0x557E, 2), (0x757E, 2), (0xDFAE, 2),
                       (0xFFAE, 2)]:
        for _ in range(5):
            value = near(draw, 8)
            regs = {11: 0x1122_3344_5566_7788, 10: 0x99AA_BBCC_DDEE_FF00, 15: M64 - 5, base: value}
            add(file, "compressed", half.to_bytes(2, "little") + TRAP, regs, [value])


def faults(file, draw):
    """What came before a fault in its block stays; the fault itself changes nothing."""
    for i in range(150):
        good = draw.choice([DATA_BASE + 0x2010, DATA_BASE + 0x2FFE, DATA_BASE + 0x6008,
                            0xFFFF_EFFC])
        size_name = draw.choice(sorted(STORES))
        bad_name = draw.choice(sorted(STORES) + sorted(LOADS))
        size = STORES.get(bad_name) or LOADS[bad_name][0]
        edge = draw.choice([DATA_BASE, DATA_BASE + 0x5000, DATA_BASE + 0x6000, DATA_BASE + 0x8000,
                            1 << 32, DATA_BASE + 0x2000, CODE_BASE, 0x1000])
        bad = (edge - draw.randrange(0, size + 1)) & M64
        code = encode("addi", 5, 5, imm=1) + encode(size_name, rs1=10, rs2=11)
        code += bytes.fromhex("0505") if i % 2 else b""
        code += (encode(bad_name, rs1=12, rs2=11) if bad_name in STORES
                 else encode(bad_name, 12, 12))
        code += encode("addi", 5, 5, imm=1) + encode(size_name, rs1=10, rs2=5, imm=64) + TRAP
        add(file, "after-a-store", code, {10: good, 11: draw.value() | 1, 12: bad, 5: 7},
            [good, bad], gas=draw.choice([None, 5000]))


def first_writes(file, draw):
    for i in range(120):
        pages = draw.choice([1, 2, 3, 16])
        kind = draw.choice(["cow", "ephemeral"])
        maps = [(DATA_BASE, pages * 4096, kind), (DATA_BASE + pages * 4096, 4096, "ephemeral"),
                (0x2000_0000, 4096 * draw.choice([1, 2, 513]), "cow")]
        code, regs = b"", {11: draw.value() | 1}
        for reg in (10, 12, 13, 14):
            at = draw.choice([DATA_BASE, 0x2000_0000]) + draw.choice(
                [0, 8, 4092, 4095, 4088, pages * 4096 - 4, pages * 4096 + 8])
            regs[reg] = at & M64
            name = draw.choice(sorted(STORES))
            pick = draw.randrange(4)
            code += encode("ld", 5, reg) if pick == 0 else b""
            code += encode(name, rs1=reg, rs2=11)
            code += FALL if pick == 1 else b""
        multiplier = draw.choice([None, None, [1 + d // 2 for d in range(21)],
                                  [1] * 9 + [3] * 12, [1 << 20] * 21])
        gas = 1 << 40 if multiplier and multiplier[0] > 1 else draw.choice([None, 5000, 3000])
        file.add("first-writes", code + TRAP, regs=regs, maps=maps, gas=gas, blocks=i % 4 == 0,
                 multiplier=multiplier, content={DATA_BASE: b"\xEE" * 8} if kind == "cow" else None)


def loops(file):
    """A store in a loop: each page once, also when it is written again."""
    for stride, count in ((1024, 20), (4096, 5), (4092, 9), (2048, 9), (8, 40)):
        code = (encode("sd", rs1=10, rs2=12) + encode("add", 10, 10, 11)
                + encode("addi", 12, 12, imm=-1) + encode("bne", rs1=12, rs2=0, imm=-12) + TRAP)
        for gas in (None, 5000, 2500, 900):
            file.add(f"stride-{stride}", code, maps=[(DATA_BASE, 0x8000, "cow")], gas=gas,
                     regs={10: DATA_BASE + 4, 11: stride, 12: count},
                     content={DATA_BASE + 4096: b"\x55" * 64}, resumes=[30000] if gas else [])
    sizes = [(DATA_BASE, 2048 * 4096), (DATA_BASE, 8192 * 4096), (DATA_BASE, 65536 * 4096),
             (DATA_BASE, 0xF000_0000)]
    for start, size in sizes:
        for extra in (0, 1):
            if start + size + extra * 4096 > 1 << 32:
                continue
            end = start + size + extra * 4096 - 8
            code = encode("ld", 5, 10) + encode("sd", rs1=10, rs2=11) + TRAP
            file.add("footprint", code, maps=[(start, size + extra * 4096, "ephemeral")],
                     regs={10: end, 11: 9}, blocks=True, note="gas §3: the tiers' limits")


def sums(file, draw):
    """A sum and an access through it in the same register: at a fault the sum is there."""
    for name in sorted(LOADS):
        size = LOADS[name][0]
        for add_name, shift in (("add", 0), ("sh1add", 1), ("sh2add", 2), ("sh3add", 3)):
            for rd, index, base in ((10, 11, 12), (10, 10, 12), (12, 11, 12), (3, 11, 12)):
                place = near(draw, size)
                value = draw.choice([0, 1, 8, 511])
                regs = {rd: 7, 12: (place - 16 - (value << shift)) & M64, index: value}
                if index == rd == 10:
                    regs[10] = value
                code = encode(add_name, rd, index, base) + encode(name, rd, rd, imm=16) + TRAP
                add(file, "sum", code, regs, [place])


def write(folder):
    draw = Draw(20263)
    file = File("faults", ORIGIN)
    accesses(file, draw)
    compressed(file, draw)
    faults(file, draw)
    sums(file, Draw(2))
    total = file.write(folder)
    file = File("paging", ORIGIN)
    first_writes(file, draw)
    loops(file)
    return total + file.write(folder)
