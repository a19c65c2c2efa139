//! Gas against time for each class of instruction, waiting for each other and not.

use super::probe::{Loop, Probe, Rate, assembled};
use crate::failure::Failure;

/// Instructions in a loop's body.
const BODY: usize = 48;

/// Registers that independent instructions write in turn.
const TURN: [&str; 8] = ["a1", "a2", "a3", "a4", "a5", "t0", "t1", "t2"];

/// Instructions of one kind.
struct Class {
    name: &'static str,
    /// What runs before the loop.
    before: &'static str,
    /// Waits for the one before it; may be empty.
    chain: &'static str,
    /// Waits for nothing, with `{}` for its destination; may be empty.
    free: &'static str,
}

const fn class(name: &'static str, chain: &'static str, free: &'static str) -> Class {
    Class {
        name,
        before: "",
        chain,
        free,
    }
}

const CLASSES: [Class; 29] = [
    class("add, xor", "add a1, a1, a2", "xor {}, s0, s1"),
    class("addi", "addi a1, a1, 1", "addi {}, s0, 1"),
    class("addw", "addw a1, a1, a2", "addw {}, s0, s1"),
    class("addiw", "addiw a1, a1, 1", "addiw {}, s0, 1"),
    class("lui", "", "lui {}, 74565"),
    class("sll", "sll a1, a1, a2", "sll {}, s0, s1"),
    class("slli", "slli a1, a1, 1", "slli {}, s0, 1"),
    class("sllw", "sllw a1, a1, a2", "sllw {}, s0, s1"),
    class("ror", "ror a1, a1, a2", "ror {}, s0, s1"),
    class("slt", "sltu a1, a1, a2", "slt {}, s0, s1"),
    class("sh3add", "sh3add a1, a1, a2", "sh3add {}, s0, s1"),
    class("bext", "bset a1, a1, a2", "bext {}, s0, s1"),
    class("mul", "mul a1, a1, a2", "mul {}, s0, s1"),
    class("mulw", "mulw a1, a1, a2", "mulw {}, s0, s1"),
    class("mulhu", "mulhu a1, a1, a2", "mulhu {}, s0, s1"),
    class("mulhsu", "mulhsu a1, a1, a2", "mulhsu {}, s0, s1"),
    class("div", "div a1, a2, a1", "div {}, a0, s1"),
    class("remuw", "remuw a1, a2, a1", "remuw {}, a0, s1"),
    class("clz, cpop", "cpop a1, a1", "clz {}, s0"),
    class("orc.b, rev8", "rev8 a1, a1", "orc.b {}, s0"),
    class("ctz", "ctz a1, a1", "ctz {}, s0"),
    class("min, max", "max a1, a1, a2", "minu {}, s0, s1"),
    class("andn, xnor", "xnor a1, a1, a2", "andn {}, s0, s1"),
    class("czero", "czero.eqz a1, a1, a2", "czero.nez {}, s0, s1"),
    class("x3, x4", "add gp, gp, tp", ""),
    Class {
        name: "load",
        before: "sd s0, 0(s0)",
        chain: "ld s0, 0(s0)",
        free: "ld {}, 8(s0)",
    },
    class("store", "", "sd {}, 16(s0)"),
    class("store and load", "sd a1, 8(s0)\nld a1, 8(s0)", ""),
    class("jump, branch", "j 4", "bne x0, x0, 8\nfallthrough"),
];

/// One line of the table of classes.
pub(crate) struct Line {
    pub(crate) name: String,
    /// For one instruction, or pair of them.
    pub(crate) rate: Rate,
}

/// Measures all classes.
pub(crate) fn measure(
    probe: &Probe,
    tries: usize,
    mut progress: impl FnMut(),
) -> Result<Vec<Line>, Failure> {
    let mut lines = Vec::new();
    for class in &CLASSES {
        for (kind, text) in [("chained", class.chain), ("free", class.free)] {
            progress();
            if text.is_empty() {
                continue;
            }
            let (before, body) = (assembled(class.before)?, assembled(&body(text))?);
            let code = Loop {
                before: &before,
                body: &body,
                data: 0,
            };
            let Some(rate) = probe.rate(&code, tries)? else {
                return Err(Failure::message(format!(
                    "`{text}` did not come to its end"
                )));
            };
            let count = BODY as f64;
            lines.push(Line {
                name: format!("{}, {kind}", class.name),
                rate: Rate {
                    time: rate.time / count,
                    gas: rate.gas / count,
                },
            });
        }
    }
    lines.sort_by(|a, b| b.rate.per_gas().total_cmp(&a.rate.per_gas()));
    Ok(lines)
}

/// Loop bodies of all classes that need nothing before their loop.
pub(crate) fn bodies() -> Result<Vec<Vec<u8>>, Failure> {
    let plain = CLASSES.iter().filter(|class| class.before.is_empty());
    let texts = plain.flat_map(|class| [class.chain, class.free]);
    let texts = texts.filter(|text| !text.is_empty());
    texts.map(|text| assembled(&body(text))).collect()
}

/// Assembly of a loop's body.
fn body(text: &str) -> String {
    let register = |index: usize| TURN[index % TURN.len()];
    let lines: Vec<String> = (0..BODY).map(|i| text.replace("{}", register(i))).collect();
    lines.join("\n")
}

/// Loads from all over a region, each address made of the value before: nanoseconds and gas of one
/// step, the arithmetic included.
pub(crate) fn scattered(probe: &Probe, bytes: u64, tries: usize) -> Result<Option<Rate>, Failure> {
    let pages = bytes >> 12;
    let mask = bytes - 8;
    // First every page is written, so that each has memory of its own.
    let before = format!(
        "li a4, {pages}\nmv a5, s1\nlui t0, 1\nfallthrough\n\
         sd zero, 0(a5)\nadd a5, a5, t0\naddi a4, a4, -1\nbnez a4, -12\n\
         li a3, {mask}\nori t1, t1, 1\n"
    );
    let step = "mul a1, a1, t1\naddi a1, a1, 11\nsrli a2, a1, 20\nand a2, a2, a3\n\
                add a2, a2, s1\nld a2, 0(a2)\nadd a1, a1, a2\n";
    let (before, body) = (assembled(&before)?, assembled(&step.repeat(8))?);
    let code = Loop {
        before: &before,
        body: &body,
        data: bytes,
    };
    let rate = probe.rate(&code, tries)?;
    Ok(rate.map(|rate| Rate {
        time: rate.time / 8.0,
        gas: rate.gas / 8.0,
    }))
}
