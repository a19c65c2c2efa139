"""Control flow: branches, jumps, links, failed transfers, ends of code, blocks."""

from isa import BRANCHES, CODE_BASE, M64, decode_at, encode
from values import Draw
from vec import File

TRAP = encode("trap")
FALL = encode("fallthrough")
ORIGIN = "tools/machine.py, from ISA §8, §9, §11 and gas §4 to §6"


def li(rd, value):
    return encode("addi", rd, 0, imm=value)


# 0: the jump (4 bytes); 4: a block; 12: a block; 20: two halfwords and a block's end; then END.
REST = li(5, 1) + TRAP + li(5, 2) + TRAP + bytes.fromhex("0100 0100") + TRAP
TARGETS = [12, 12, 20, 4, 8, 10, 14, 22, 24, 28, 30, 2, -2, -4, 0x7FE, -0x1000]


def operands(draw):
    a = draw.value()
    return a, draw.choice([a, (a + 1) & M64, (a - 1) & M64, a ^ 1 << 63, a ^ 1 << 31,
                           a & 0xFFFF_FFFF, draw.value()])


def branches(file, draw):
    for name in sorted(BRANCHES):
        for i in range(40):
            rs1, rs2 = draw.choice([(10, 11), (11, 10), (3, 4), (10, 10), (0, 10), (10, 0),
                                    (1, 15), (2, 13), (0, 0), (12, 9)])
            a, b = operands(draw)
            to = draw.choice(TARGETS) if i % 4 else 0
            code = encode(name, rs1=rs1, rs2=rs2, imm=to) + REST
            regs = {rs1: a, rs2: b} if rs1 != rs2 else {rs1: a}
            file.add(name, code, regs={r: v for r, v in regs.items() if r},
                     gas=draw.choice([100, 200, 45, 20, 19, 1000]) if to == 0 else None)
    for name, base in (("c-beqz", 0xC001), ("c-bnez", 0xE001)):
        for i in range(16):
            half = base | (i % 8) << 7 | [0b00110, 0b00010, 0b01000, 0b11110][i % 4] << 2
            half |= (i // 8) << 12
            code = half.to_bytes(2, "little") + bytes.fromhex("0100") * 3 + FALL + REST
            value = draw.choice([0, 0, 1 << 63, 1 << 32, 1])
            file.add(name, code, regs={8 + i % 8: value}, gas=90)


def jumps(file, draw):
    for i in range(60):
        rd = draw.choice([0, 1, 3, 4, 5, 15])
        code = encode("jal", rd, imm=draw.choice(TARGETS + [0xFFFFE, -0x100000])) + REST
        file.add("jal", code, regs={rd: M64} if rd else {}, gas=draw.choice([None, 500, 40, 12, 11]))
    at = FALL * 3 + encode("jal", 1, imm=-8) + TRAP
    file.add("jal-backwards", at, pc=12, gas=1000)
    for i in range(260):
        rd, rs1 = draw.choice([(0, 1), (1, 1), (5, 5), (1, 5), (3, 4), (3, 3), (0, 10), (15, 14)])
        to = draw.choice(TARGETS)
        imm = draw.choice([0, 0, 4, -4, 2047, -2048, 1, -1])
        base = CODE_BASE + to - imm
        high = draw.choice([0, 0, 0, 1, 0xFFFF_FFFF, 0x8000_0000, 0x1234_5678]) << 32
        value = draw.choice([base + high, base + high, base + high + 1, base + high - 1, to,
                             draw.value(), 0xFFFF_FFFF, CODE_BASE - 4, CODE_BASE + (1 << 31)])
        code = encode("jalr", rd, rs1, imm=imm) + REST
        file.add("jalr", code, regs={rs1: value & M64}, gas=draw.choice([None, 500, 19, 18]))
    file.add("jalr-x0", encode("jalr", 1, 0, imm=12) + REST, note="an address below CODE_BASE")
    for i in range(30):
        rs1 = draw.choice([1, 1, 5, 10, 3, 15])
        half = (0x8002 if i % 2 else 0x9002) | rs1 << 7
        code = half.to_bytes(2, "little") + bytes.fromhex("0100") + li(6, 3) + TRAP
        to = draw.choice([0, 2, 2, 2, 4, 8, 12])
        file.add("c-jalr" if half & 0x1000 else "c-jr", code,
                 regs={rs1: CODE_BASE + to + draw.choice([0, 0, 1, 1 << 32])}, gas=300)


def c_j(offset):
    s = offset & 0xFFF
    bit = lambda i: s >> i & 1
    half = (0xA001 | bit(11) << 12 | bit(4) << 11 | bit(9) << 10 | bit(8) << 9 | bit(10) << 8
            | bit(6) << 7 | bit(7) << 6 | bit(3) << 5 | bit(2) << 4 | bit(1) << 3 | bit(5) << 2)
    return half.to_bytes(2, "little")


def far(file):
    """Targets that need every bit of a displacement, and code of more than a page."""
    for distance in (2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2046):
        pad = bytes.fromhex("0100") * (distance // 2 - 1)
        code = c_j(distance) + pad[:-2] + (c_j(2) if pad else b"") + TRAP
        words = [c_j(distance).hex()]
        words += [f"0100*{len(pad) // 2 - 1}"] if len(pad) > 2 else []
        words += ([c_j(2).hex()] if pad else []) + [TRAP.hex()]
        file.add(f"c-j-{distance}", code, code_words=words, listing=False)
    for power in range(2, 20):
        distance = 1 << power
        body = distance - 4
        pad = bytes.fromhex("0100") * max(0, (body - 4) // 2)
        code = encode("jal", 1, imm=distance) + pad + (FALL if body >= 4 else b"") + TRAP
        words = [encode("jal", 1, imm=distance).hex()] + ([f"0100*{len(pad) // 2}"] if pad else [])
        words += [FALL.hex()] * (body >= 4) + [TRAP.hex()]
        file.add(f"jal-{distance}", code, code_words=words, listing=False)
        back = FALL + pad + FALL * (body >= 4) + encode("jal", 0, imm=-(4 + len(pad) + body % 4
                                                        + 4 * (body >= 4)))
        if power < 12:
            file.add(f"jal-back-{distance}", back, pc=len(back) - 4, listing=False, gas=2000)
            forward = encode("beq", imm=distance) + pad + FALL * (body >= 4) + TRAP
            words[0] = encode("beq", imm=distance).hex()
            file.add(f"beq-{distance}", forward, code_words=words, listing=False)


def entries(file, draw):
    """Start pcs (ISA §8.7), and code that ends without a terminator or in a partial tail."""
    code = li(5, 1) + li(6, 1) + FALL + bytes.fromhex("0100") + TRAP
    for pc in (0, 2, 4, 8, 12, 14, 16, 18, 20, 1 << 31, 1 << 32, CODE_BASE, 1 << 63, M64, M64 - 3,
               (1 << 32) + 12):
        file.add(f"entry-{pc:x}", code, pc=pc, gas=50)
    for tail in ("", "13", "1300", "130000", "0b", "ff", "ffff", "01", "9f00"):
        for body in (b"", li(7, 7), bytes.fromhex("0100"), FALL, encode("beq", rs1=0, rs2=1, imm=4),
                     bytes.fromhex("0b205000"), encode("jal", 1, imm=4)):
            file.add("tail", body + bytes.fromhex(tail), regs={1: 1}, blocks=True,
                     answers=[], gas=100)
    for n in (1, 255, 256, 257, 4096, 65536, 70001):
        words = [f"13051500*{n}", TRAP.hex()]
        code = li(0, 0)[:0] + bytes.fromhex("13051500") * n + TRAP
        for gas in (n // 1 + 10, (n + 3) // 4):
            file.add(f"long-{n}", code, code_words=words, listing=False, blocks=True, gas=gas)
    # More than some engines translate as one block.
    short, n = bytes.fromhex("0505"), 600_000
    for gas in (n, n // 8):
        file.add("too-long-to-translate", short * n + TRAP, code_words=[f"0505*{n}", TRAP.hex()],
                 listing=False, blocks=True, gas=gas)


def programs(file, draw, count):
    """Small programs of several blocks that call, loop and branch."""
    for i in range(count):
        n = draw.randrange(3, 7)
        parts = []
        for b in range(n):
            body = b"".join(encode(draw.choice(["add", "xor", "sub", "addw", "sltu", "mul"]),
                                   *draw.regs()) for _ in range(draw.randrange(0, 4)))
            parts.append(body)
        offsets, at = [], 0
        for body in parts:
            offsets.append(at)
            at += len(body) + 4
        code = b""
        for b, body in enumerate(parts):
            own = offsets[b] + len(body)
            to = draw.choice(offsets + [own + 4])
            kind = draw.randrange(8)
            end = (encode(draw.choice(sorted(BRANCHES)), rs1=draw.randrange(16),
                          rs2=draw.randrange(16), imm=to - own) if kind < 4 else
                   encode("jal", draw.choice([0, 1, 5]), imm=to - own) if kind < 5 else
                   encode("jalr", 0, 1) if kind < 6 else FALL if kind < 7 else TRAP)
            code += body + end
        regs = {r: draw.value() for r in range(2, 16)}
        regs[1] = CODE_BASE + draw.choice(offsets)
        file.add("program", code, regs=regs, gas=draw.choice([30, 100, 400, 1000]), blocks=True,
                 trim=True)


def hostile(file, draw, count):
    """Random bytes: reserved encodings, middles of instructions, partial tails."""
    for i in range(count):
        code = b""
        while len(code) < draw.randrange(2, 60):
            pick = draw.randrange(5)
            half = draw.getrandbits(16)
            word = draw.getrandbits(32) | 3
            opcode = draw.choice([0x03, 0x13, 0x1B, 0x23, 0x33, 0x3B, 0x63, 0x67, 0x6F, 0x0B, 0x0F,
                                  0x17, 0x37, 0x73])
            code += (half.to_bytes(2, "little") if pick < 2 else word.to_bytes(4, "little")
                     if pick == 2 else (word & ~0x7F | opcode).to_bytes(4, "little"))
        code = code[:len(code) - draw.randrange(4)]
        starts = [0]
        inst = decode_at(code, 0)
        if inst and draw.randrange(3) == 0:
            starts.append(inst.length)
        regs = {r: draw.value() for r in range(1, 16)}
        regs[draw.randrange(1, 16)] = CODE_BASE + draw.randrange(0, 40)
        file.add("bytes", code, regs=regs, pc=draw.choice(starts), gas=500, blocks=True, trim=True)


def zeros(file):
    """Comparisons with x0 on either side and both."""
    for name in sorted(BRANCHES):
        for value in (0, 1, M64, 1 << 63, (1 << 63) - 1, 1 << 32):
            for rs1, rs2 in ((0, 10), (10, 0), (0, 3), (3, 0)):
                code = encode(name, rs1=rs1, rs2=rs2, imm=12) + REST
                file.add(f"{name}-x0", code, regs={rs1 + rs2: value})


def returns(file):
    """Calls whose return address changes on the way: lost, swapped, doubled, raised."""
    ret, mv = encode("jalr", 0, 1), lambda rd, rs: encode("addi", rd, rs)
    # 0: call 16; 4: note; 8: trap; 12: trap; 16: the callee.
    head = encode("jal", 1, imm=16) + encode("addi", 8, 8, imm=1) + TRAP + TRAP
    bodies = {"plain": ret, "further": encode("addi", 1, 1, imm=8) + ret,
              "nowhere": encode("addi", 1, 1, imm=4) + ret,
              "twice": encode("addi", 9, 9, imm=1) + ret + ret,
              "odd": encode("addi", 1, 1, imm=1) + ret,
              "far": encode("lui", 1, imm=0x400) + encode("addi", 1, 1, imm=12) + ret,
              "other": mv(5, 1) + encode("jalr", 0, 5),
              "inner": (mv(5, 1) + encode("jal", 1, imm=12) + mv(1, 5) + ret
                        + encode("addi", 9, 9, imm=2) + ret),
              "skips": (mv(5, 1) + encode("jal", 1, imm=12) + mv(1, 5) + ret + mv(1, 5) + ret),
              "swapped": (mv(5, 1) + encode("jal", 1, imm=12) + TRAP + FALL
                          + encode("addi", 1, 5, imm=8) + ret)}
    for name, body in bodies.items():
        for high in (0, 1 << 32):
            prefix = encode("addi", 7, 7, imm=1) + FALL
            file.add(f"return-{name}", prefix + head + body, gas=600, blocks=True)
            if high:
                raised = encode("add", 1, 1, 6)
                file.add(f"return-{name}-raised", prefix + head + raised + body, gas=600,
                         regs={6: high})


def write(folder):
    draw = Draw(20262)
    file = File("control-flow", ORIGIN)
    branches(file, draw)
    jumps(file, draw)
    far(file)
    entries(file, draw)
    zeros(file)
    returns(file)
    total = file.write(folder)
    file = File("blocks", ORIGIN)
    programs(file, draw, 200)
    hostile(file, draw, 300)
    return total + file.write(folder)
