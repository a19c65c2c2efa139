//! Every budget from nothing to enough, for small programs, against the loop of ISA §11.4.

mod common;

use common::compare::Case;
use common::{COSTS, assemble};
use rivet_isa::gas::FrameCosts;

const DATA: u32 = 0x1000_0000;

fn case(text: &str) -> Case {
    let mut x = [0; 16];
    // Upper halves are dirty wherever the program does not depend on them.
    for (n, value) in x.iter_mut().enumerate().skip(1) {
        *value = 0xDEAD_BEEF_0000_0000 | n as u64;
    }
    x[2] = 0x1000_4000;
    x[8] = 0xFFFF_FFFF_1000_0000;
    x[9] = 0x1000_0FFC;
    Case {
        code: assemble(text),
        costs: COSTS,
        x,
        mappings: vec![
            (DATA, 2, Some(256), (0..=255).cycle().take(5000).collect()),
            (0x1000_3000, 1, Some(256), vec![]),
            (0x1000_6000, 1, None, vec![7; 4096]),
        ],
    }
}

/// Runs with every budget up to what the whole takes, and a little more.
fn sweep(text: &str) {
    let case = case(text);
    let ample = 1 << 20;
    let whole = case.expected(0, ample);
    let used = ample - whole.exits.last().unwrap().2;
    // The reserve of the last blocks is needed but not used.
    assert!(used < 20_000, "{text} uses {used}");
    case.check(0, 0..=used + 2100);
}

#[test]
fn straight_line_programs() {
    sweep("");
    sweep("nop");
    sweep("addi a0, zero, 7\n trap");
    sweep("li a0, 0x123456789abcdef0\n not a1, a0\n trap");
    sweep("fallthrough\n fallthrough\n .half 0");
    sweep("c.li a0, 5\n c.mv a1, a0\n c.add a1, a2\n c.nop\n .byte 0x13");
    sweep("div a0, a1, a2\n remu a3, a1, zero\n mulh a4, a1, a1\n .word 0x73");
    sweep("auipc a0, 0xfffff\n auipc a1, 0x7ffff\n auipc zero, 1\n trap");
    sweep("fence\n fence.i\n add gp, gp, tp\n add tp, gp, gp\n trap");
}

#[test]
fn loops_and_branches() {
    sweep("li a0, 5\n fallthrough\n l: addi a0, a0, -1\n bnez a0, l\n trap");
    sweep("li a0, 3\n j l\n l: addi a0, a0, -1\n beqz a0, o\n j l\n o: ecalli 0");
    sweep("beq a0, a0, 4\n trap");
    sweep("beq a0, a0, 8\n trap\n nop\n trap");
    sweep("beq a0, a0, -4");
    sweep("bne a0, a0, -2000\n trap");
    sweep("c.li a0, 0\n c.beqz a0, 2\n c.j 2");
}

#[test]
fn calls_and_returns() {
    sweep("call f\n trap\n f: addi a0, a0, 1\n ret");
    sweep("la t0, f\n c.jalr t0\n trap\n f: addi t0, ra, 1\n jalr t0, 0(t0)");
    sweep("la t0, f\n jalr t0, 1(t0)\n trap\n f: jalr zero, 0(t0)");
    sweep("jal gp, 2");
    sweep("jal ra, -4");
    sweep("jalr ra, 0(zero)");
    sweep("lui t0, 0x400\n addi t0, t0, -2\n jalr tp, 0(t0)");
    sweep("lui t0, 0x80400\n jalr t1, 12(t0)\n trap");
}

#[test]
fn host_and_kernel_calls() {
    sweep("ecalli 0\n ecall.jar\n ecalli -1\n trap");
    sweep("addi a0, a0, 1\n ecalli 5\n addi a0, a0, 1\n ecall.jar");
    sweep("nop\n j l\n l: ecalli 2047\n j m\n m: ecalli -2048\n sd a0, 0(s0)");
}

#[test]
fn stores_and_their_reserve() {
    sweep("sd a0, 0(s0)\n sw a1, 8(s0)\n trap");
    sweep("sd a0, 0(s1)\n sh a1, 0(s1)\n sb a2, 4(s1)\n trap");
    sweep("sd a0, 0(s0)\n fallthrough\n sd a0, 8(s0)\n fallthrough\n sd a0, -8(sp)\n trap");
    sweep("li a0, 40\n j l\n l: sb a0, 0(s1)\n addi s1, s1, 1\n addi a0, a0, -1\n bnez a0, l");
    sweep("c.sdsp a0, 0(sp)");
    sweep("lui t0, 0x10006\n sb a0, 0(s0)\n sb a0, 0(t0)\n trap");
    // Straddles: fresh and read-only, fresh and unmapped, unmapped and fresh.
    sweep("lui t0, 0x10002\n sd a0, -4(t0)\n trap");
    sweep("sd a0, -4(sp)\n trap");
    sweep("lui t0, 0x10003\n sd a0, -4(t0)\n trap");
    sweep("lui t0, 0x400\n sb a0, 0(t0)");
}

#[test]
fn loads() {
    sweep("lb a0, 200(s0)\n lh a1, 255(s0)\n lw a2, 253(s0)\n ld a3, 0(s1)\n trap");
    sweep("lbu gp, 200(s0)\n lhu tp, 255(s0)\n lwu zero, 0(s0)\n trap");
    sweep("lb zero, -8(zero)\n trap");
    sweep("ld zero, -4(sp)\n trap");
    sweep("lui t0, 0x400\n ld a0, 0(t0)\n ld a1, 2047(t0)\n lw a0, 2045(t0)\n trap");
    sweep("lui t0, 0x401\n lb a0, -1(t0)\n lb a0, 0(t0)");
}

#[test]
fn prices_that_differ_by_mapping() {
    let mut case = case("sd a0, -4(s1)\n sd a0, -8(sp)\n sd a0, 0(s1)\n trap");
    case.costs = FrameCosts::new(50, 512);
    case.mappings[1].2 = Some(512);
    case.check(0, 0..4000);
}

#[test]
fn entries_that_are_no_starts_panic_for_free() {
    let case = case("nop\n nop\n beqz zero, 4\n ecalli 0\n trap\n .half 0x13");
    for pc in (0..40).chain([1 << 32, (1 << 32) + 12, u64::MAX, u64::MAX - 1, 1 << 63]) {
        case.check(pc, [0, 1, 1000]);
    }
}
