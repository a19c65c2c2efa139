"""The gas model in Python, transcribed from the gas text alone (sections cited)."""

from isa import BRANCHES, LOADS, STORES

HOST_CALL_FLOOR = 100
MGMT_OP_COST = 100
COW_COST = 256
FLAT = [1] * 21


def mem_cycles(footprint):
    """§3"""
    for limit, factor in ((2048, 1), (8192, 2), (65536, 3)):
        if footprint <= limit:
            return 25 * factor
    return 100


def depth(pages):
    """§10: ceil(log2(pages)), 0 up to one page."""
    return 0 if pages <= 1 else (pages - 1).bit_length()


# §6: names, cycles ("M" is mem_cycles), slots without overlap, overlap rule, tracked operands.
# Slots with overlap are one fewer.
COSTS = {}
for names, cycles, slots, rule, tracked in (
    ("reserved trap fallthrough", 2, 1, None, ""),
    ("jalr", 22, 1, None, "rs1"),
    ("jal", 15, 1, None, "rd"),
    (" ".join(BRANCHES), 20, 1, None, "rs1 rs2"),
    ("fence fence.i", 1, 1, None, ""),
    (" ".join(LOADS), "M", 1, None, "rs1 rd"),
    (" ".join(STORES), "M", 1, None, "rs1 rs2"),
    ("lui auipc", 1, 2, None, "rd"),
    ("addi andi ori xori slti sltiu slli srli srai", 1, 2, "rs1", "rs1 rd"),
    ("addiw slliw srliw sraiw", 2, 3, "rs1", "rs1 rd"),
    ("add sub and or xor", 1, 2, "any", "rs1 rs2 rd"),
    ("sll srl sra", 1, 3, "rs1", "rs1 rs2 rd"),
    ("slt sltu", 3, 3, None, "rs1 rs2 rd"),
    ("addw subw", 2, 3, "any", "rs1 rs2 rd"),
    ("sllw srlw sraw", 2, 4, "rs1", "rs1 rs2 rd"),
    ("mul", 3, 2, "any", "rs1 rs2 rd"),
    ("mulw", 4, 3, "any", "rs1 rs2 rd"),
    ("mulh mulhu", 4, 4, None, "rs1 rs2 rd"),
    ("mulhsu", 6, 4, None, "rs1 rs2 rd"),
    ("div divu rem remu divw divuw remw remuw", 60, 4, None, "rs1 rs2 rd"),
    ("clz clzw cpop cpopw sext.b sext.h zext.h rev8 orc.b", 1, 1, None, "rs1 rd"),
    ("ctz ctzw", 2, 1, None, "rs1 rd"),
    ("min minu max maxu", 3, 3, "any", "rs1 rs2 rd"),
    ("andn orn", 2, 3, None, "rs1 rs2 rd"),
    ("xnor", 2, 3, "any", "rs1 rs2 rd"),
    ("rol ror", 1, 3, "rs1", "rs1 rs2 rd"),
    ("rori", 1, 2, "rs1", "rs1 rd"),
    ("rolw rorw", 2, 4, "rs1", "rs1 rs2 rd"),
    ("roriw", 2, 3, "rs1", "rs1 rd"),
    ("sh1add sh2add sh3add sh1add.uw sh2add.uw sh3add.uw add.uw", 1, 2, "any", "rs1 rs2 rd"),
    ("slli.uw", 1, 2, "rs1", "rs1 rd"),
    ("bclr bset binv bext", 1, 2, "any", "rs1 rs2 rd"),
    ("bclri bseti binvi bexti", 1, 2, "rs1", "rs1 rd"),
    ("czero.eqz czero.nez", 2, 2, None, "rs1 rs2 rd"),
):
    for name in names.split():
        COSTS[name] = (cycles, slots, rule, tracked.split())


def instruction(inst, mem):
    """(slots, cycles, source registers, destination register or None), §6 and §7."""
    cycles, slots, rule, tracked = COSTS[inst.name]
    cycles = mem if cycles == "M" else cycles
    overlap = inst.rd == inst.rs1 or (rule == "any" and inst.rd == inst.rs2)
    if rule and inst.rd and overlap:
        slots -= 1
    named = [getattr(inst, field) for field in tracked]
    spilled = sum(1 for reg in named if reg in (3, 4))
    cycles = min(255, cycles + spilled * mem)
    sources = [getattr(inst, f) for f in tracked if f != "rd" and getattr(inst, f)]
    destination = inst.rd if "rd" in tracked and inst.rd else None
    return slots, cycles, sources, destination


def block_cost(insts, mem):
    """§5"""
    ready, now, used, last = {}, 0, 0, 0
    for inst in insts:
        slots, cycles, sources, destination = instruction(inst, mem)
        if used >= 4:
            now, used = now + 1, slots
        else:
            used += slots
        finish = max([now] + [ready.get(r, 0) for r in sources]) + cycles
        if destination is not None:
            ready[destination] = finish
        last = max(last, finish)
    return max(last, 4) - 3


class Frame:
    """What costs depend on: the mappings and the depth multiplier (§3, §8, §10)."""

    def __init__(self, maps, multiplier=None):
        self.multiplier = multiplier or FLAT
        pages = [size // 4096 for _, size, _ in maps]
        self.mem = mem_cycles(sum(pages))
        writable = [size // 4096 for _, size, kind in maps if kind != "ro"]
        self.cow_max = max([self.cow_cost(0)] + [self.cow_cost(depth(p)) for p in writable])

    def cow_cost(self, d):
        return COW_COST * self.multiplier[d]

    def block(self, insts):
        """Cost and reserve of a block; none for a call (§4.5)."""
        if insts[0].call():
            return 0, 0
        stores = sum(1 for inst in insts if inst.name in STORES)
        return block_cost(insts, self.mem), stores * 2 * self.cow_max
