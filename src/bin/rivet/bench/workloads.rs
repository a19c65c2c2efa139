//! What is run: the guests of `guests/c` with their sizes, and a program of nothing but code.

use std::fmt::Write;

/// What a workload spends its time on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Class {
    Memory,
    Calls,
    Compute,
    /// Not part of any mean: it measures one axis, or its native form does other work.
    Axis,
}

impl Class {
    /// Word for tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Calls => "calls",
            Self::Compute => "compute",
            Self::Axis => "axis",
        }
    }
}

/// One guest and its argument.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    /// The file in `guests/c`, without its ending.
    pub(crate) source: &'static str,
    pub(crate) class: Class,
    /// Argument for most compiled lanes.
    pub(crate) full: u64,
    /// Argument for interpreted lanes and slow ones.
    pub(crate) small: u64,
}

/// A program that does nothing, from bytes to its result.
pub(crate) const STARTUP: &str = "startup";
/// Calls from the guest to the host; the argument counts them.
pub(crate) const HOST_CALLS: &str = "hostping";
/// First writes of pages; the argument counts them.
pub(crate) const PAGES: &str = "touch";
/// Much code that runs once; made by [`big_code`].
pub(crate) const BIG_CODE: &str = "bigcode";

/// Functions of the program of nothing but code.
const BIG_FUNCTIONS: u64 = 1000;

const fn load(name: &'static str, class: Class, full: u64, small: u64) -> Workload {
    Workload {
        name,
        source: name,
        class,
        full,
        small,
    }
}

/// All workloads, in the order of the rounds and of the tables.
pub(crate) const WORKLOADS: [Workload; 25] = [
    Workload {
        name: STARTUP,
        source: "fib",
        class: Class::Axis,
        full: 1,
        small: 1,
    },
    load(HOST_CALLS, Class::Axis, 300_000, 300_000),
    load(PAGES, Class::Axis, 512, 512),
    load(BIG_CODE, Class::Axis, 1, 1),
    load("alloc", Class::Memory, 60_000, 6000),
    load("chase", Class::Memory, 2_000_000, 200_000),
    load("matmul", Class::Memory, 256, 96),
    load("memops", Class::Memory, 2000, 150),
    load("sieve", Class::Memory, 4_000_000, 400_000),
    load("sort", Class::Memory, 100_000, 8000),
    load("fib", Class::Calls, 35, 27),
    load("queens", Class::Calls, 12, 10),
    load("tak", Class::Calls, 5000, 300),
    load("threaded", Class::Calls, 1_500_000, 100_000),
    load("vcall", Class::Calls, 2_500_000, 200_000),
    load("bcvm", Class::Compute, 10_000, 700),
    load("blake2b", Class::Compute, 15_000, 1000),
    load("crc32", Class::Compute, 12_000, 800),
    load("field25519", Class::Compute, 200_000, 12_000),
    load("fsm", Class::Compute, 4000, 300),
    load("keccak", Class::Compute, 5000, 300),
    load("modmul", Class::Compute, 2000, 120),
    load("sha256", Class::Compute, 8000, 500),
    load("wide", Class::Compute, 300_000, 20_000),
    load("floats", Class::Axis, 20_000, 1500),
];

/// The workload of this name.
pub(crate) fn named(name: &str) -> Option<&'static Workload> {
    WORKLOADS.iter().find(|workload| workload.name == name)
}

/// C of a guest with many functions that each run once: what a program costs before it repeats
/// anything. The text is the same every time.
pub(crate) fn big_code() -> String {
    let mut text = String::from("#include \"guest.h\"\n\nstatic uint64_t table[64];\n\n");
    let mut state = 7u64;
    let mut random = |below: u64| {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(11);
        (state >> 33) % below
    };
    for index in 0..BIG_FUNCTIONS {
        let line = |text: &str, out: &mut String| {
            out.push_str(text);
            out.push('\n');
        };
        line(
            &format!("NOINLINE static uint64_t f{index}(uint64_t a, uint64_t b)\n{{"),
            &mut text,
        );
        line(
            &format!("    uint64_t c = table[(a ^ {}) & 63];", random(64)),
            &mut text,
        );
        for _ in 0..8 {
            let (k, shift) = (random(1 << 30) | 1, 1 + random(62));
            let statement = match random(6) {
                0 => format!("    a = (a ^ b) * {k}u + (c >> {shift});"),
                1 => format!(
                    "    if (a > c)\n        b += a >> {shift};\n    else\n        c ^= {k}u;"
                ),
                2 => format!("    table[(b + {k}u) & 63] = a + c;"),
                3 => format!("    c += table[(a >> {shift}) & 63] ^ (uint32_t)b;"),
                4 => format!(
                    "    for (int i = 0; i < {}; i++)\n        b = b * 3 + (a >> i);",
                    1 + shift % 3
                ),
                _ => format!("    b = (b << {shift} | b >> {}) - {k}u;", 64 - shift),
            };
            line(&statement, &mut text);
        }
        line("    return guest_mix(a, b ^ c);\n}\n", &mut text);
    }
    text.push_str("GUEST_MAIN(n)\n{\n    uint64_t sum = n;\n");
    for index in 0..BIG_FUNCTIONS {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "    sum = f{index}(sum, n + {index});");
    }
    text.push_str("    return sum;\n}\n");
    text
}
