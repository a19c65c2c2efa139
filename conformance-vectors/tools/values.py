"""Operands that find mistakes, drawn from a seeded generator."""

import random

from isa import M64

EDGES = [0, 1, 2, 3, 7, 31, 32, 33, 63, 64, 127, 128, 255, 256, 0x7FF, 0x800, 0xFFF, 0x7FFF, 0x8000,
         0xFFFF, 0x7FFF_FFFE, 0x7FFF_FFFF, 0x8000_0000, 0x8000_0001, 0xFFFF_FFFE, 0xFFFF_FFFF,
         0x1_0000_0000, 0x1_0000_0001, 0x1_7FFF_FFFF, 0x1_8000_0000, 0x5_0000_0000,
         0x7FFF_FFFF_FFFF_FFFF, 0x8000_0000_0000_0000, 0x8000_0000_0000_0001,
         0xFFFF_FFFF_0000_0000, 0xFFFF_FFFF_7FFF_FFFF, 0xFFFF_FFFF_8000_0000,
         0xFFFF_FFFF_FFFF_FF80, 0xFFFF_FFFF_FFFF_FFFE, 0xFFFF_FFFF_FFFF_FFFF,
         0x0123_4567_89AB_CDEF, 0xFEDC_BA98_7654_3210, 0xAAAA_AAAA_5555_5555]
IMM12 = [0, 1, -1, 2, -2, 31, 32, 63, 64, -32, 255, 1023, 2046, 2047, -2047, -2048]


class Draw(random.Random):
    """Random choices with a bias towards edges."""

    def value(self):
        kind = self.randrange(8)
        if kind < 4:
            return self.choice(EDGES)
        if kind == 4:
            return 1 << self.randrange(64)
        if kind == 5:
            return (1 << self.randrange(64)) - 1 ^ (M64 if self.randrange(2) else 0)
        if kind == 6:  # a small number under a dirty upper half
            return self.getrandbits(32) << 32 | self.randrange(70)
        return self.getrandbits(64)

    def imm12(self):
        return self.choice(IMM12) if self.randrange(3) else self.randrange(-2048, 2048)

    def regs(self, low=1):
        """(rd, rs1, rs2) with the ways in which they coincide equally likely."""
        a, b, c = self.sample(range(low, 16), 3)
        return self.choice([(a, b, c), (a, a, c), (a, b, a), (a, b, b), (a, a, a), (0, b, c),
                            (a, 0, c), (a, b, 0), (a, b, c), (3, 4, c), (a, 3, 4)])

    def all_regs(self):
        """Values for x1..x15, x0 first."""
        return [0] + [self.value() for _ in range(15)]
