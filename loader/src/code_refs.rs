//! What instructions refer to.
//!
//! ```text
//!   auipc a0, hi ◀────────────┐ High  (PCREL_HI20, GOT_HI20, CALL; lui with HI20)
//!   …                         │
//!   ld    a1, lo(a0)  ────────┤ Low   one High may serve many, in other blocks
//!   sd    a2, lo(a0)  ────────┘
//!   beq   a0, a1, target        Branch: from the instruction alone
//! ```
//!
//! Branches are found by decoding, because assemblers resolve local ones without a relocation.
//! Address parts are found by relocation only, and each relocation must reproduce the bytes it
//! claims to have made: a relocation that does not is a refusal, so nothing is moved on its word.

use rivet_isa::{Format, Len, Op, Reg};

use crate::bare_calls;
use crate::branches::{Branch, branches};
use crate::elf::reloc::{Action, Reloc};
use crate::elf::symbols::Home;
use crate::error::{LinkError, Site};
use crate::pair::{high_part, low_part};
use crate::program::{Program, Resolved, Target};
use crate::text::Spot;

/// What an address part is counted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Base {
    /// The address of the `auipc`.
    Pc,
    /// Zero.
    Zero,
}

/// How an instruction refers to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fix {
    /// The upper 20 bits.
    High {
        base: Base,
        target: Target,
        missing: bool,
    },
    /// The lower 12 bits of what the `High` at this instruction refers to.
    Low { high: u32 },
    /// The lower 12 bits of an absolute address.
    AbsLow { target: Target },
}

/// Facts about one instruction that the search for folded distances asks for.
pub(crate) mod note {
    /// Has a relocation that relaxable code marks.
    pub(crate) const RELAXABLE: u8 = 1;
    /// Has the mark.
    pub(crate) const RELAX: u8 = 2;
}

/// A slot of the global offset table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GotSlot {
    pub(crate) address: u64,
    pub(crate) content: Resolved,
    /// Index of the symbol it holds.
    pub(crate) symbol: u32,
}

/// All references made by instructions.
pub(crate) struct CodeRefs {
    /// By instruction index.
    pub(crate) fixes: Vec<(u32, Fix)>,
    /// By instruction index.
    pub(crate) branches: Vec<Branch>,
    pub(crate) got: Vec<GotSlot>,
    /// A set of `note` bits for each instruction.
    pub(crate) notes: Vec<u8>,
    /// The jumps of calls without relocation; nothing else may enter there.
    pub(crate) bare_calls: Vec<u32>,
}

impl CodeRefs {
    /// Finds and checks every reference.
    pub(crate) fn find(program: &Program<'_>) -> Result<Self, LinkError> {
        let mut search = Search {
            program,
            fixes: Vec::new(),
            lows: Vec::new(),
            got_highs: Vec::new(),
            direct: Vec::new(),
            notes: vec![0; program.text.insts.len()],
        };
        search.relocations()?;
        let got = search.pair()?;
        let branches = branches(program, &mut search.direct)?;
        let Search {
            mut fixes, notes, ..
        } = search;
        let mut bare = bare_calls::find(program, &fixes);
        let bare_calls = bare.iter().skip(1).step_by(2).map(|&(jump, _)| jump);
        let bare_calls = bare_calls.collect();
        fixes.append(&mut bare);
        fixes.sort_by_key(|&(inst, _)| inst);
        Ok(Self {
            fixes,
            branches,
            got,
            notes,
            bare_calls,
        })
    }

    /// The reference of an instruction.
    pub(crate) fn fix(&self, inst: u32) -> Option<&Fix> {
        find(&self.fixes, inst)
    }

    /// Every target of a High or AbsLow.
    pub(crate) fn targets(&self) -> impl Iterator<Item = Target> {
        self.fixes.iter().filter_map(|(_, fix)| match *fix {
            Fix::High { target, .. } | Fix::AbsLow { target } => Some(target),
            Fix::Low { .. } => None,
        })
    }
}

fn find(fixes: &[(u32, Fix)], inst: u32) -> Option<&Fix> {
    let at = fixes.binary_search_by_key(&inst, |&(inst, _)| inst).ok()?;
    Some(&fixes[at].1)
}

struct Search<'p, 'a> {
    program: &'p Program<'a>,
    fixes: Vec<(u32, Fix)>,
    /// Low parts: instruction, instruction of the high part, relocation.
    lows: Vec<(u32, u32, Reloc)>,
    /// High parts of addresses of GOT slots.
    got_highs: Vec<(u32, Resolved, Reloc)>,
    /// Relocated branches: instruction, value of the relocation.
    direct: Vec<(u32, u64, Reloc)>,
    notes: Vec<u8>,
}

impl Search<'_, '_> {
    fn relocations(&mut self) -> Result<(), LinkError> {
        let program = self.program;
        for (target, relocs) in &program.relocations {
            let Some(ordinal) = program.text.ordinal(*target) else {
                continue;
            };
            for &reloc in relocs {
                match program.text.spot(ordinal, reloc.address) {
                    Spot::Inst(inst) => self.relocation(inst, reloc)?,
                    Spot::Embedded(_) => {}
                    Spot::End(_) | Spot::Inside | Spot::Outside => match reloc.kind.action() {
                        Action::Ignore | Action::Relax => {}
                        _ => {
                            let section = &program.object.sections[*target];
                            let at = section.site(reloc.address.wrapping_sub(section.address));
                            return Err(misplaced(at, &reloc));
                        }
                    },
                }
            }
        }
        Ok(())
    }

    fn relocation(&mut self, inst: u32, reloc: Reloc) -> Result<(), LinkError> {
        let site = || self.program.inst_site(inst);
        let action = reloc.kind.action();
        match action {
            Action::Ignore => {}
            Action::Relax => self.notes[inst as usize] |= note::RELAX,
            Action::Direct => {
                let resolved = self.program.resolve(&reloc, site)?;
                if !resolved.missing {
                    self.direct.push((inst, resolved.value, reloc));
                }
            }
            Action::Call => self.call(inst, reloc)?,
            Action::PcHigh => self.high(inst, Base::Pc, Op::Auipc, reloc)?,
            Action::AbsHigh => self.high(inst, Base::Zero, Op::Lui, reloc)?,
            Action::GotHigh => {
                self.expect_op(inst, Op::Auipc, &reloc)?;
                let resolved = self.program.resolve(&reloc, site)?;
                self.got_highs.push((inst, resolved, reloc));
            }
            Action::PcLow => self.low(inst, reloc)?,
            Action::AbsLow => self.abs_low(inst, reloc)?,
            Action::Tls => {
                return Err(LinkError::Tls {
                    at: Box::new(site()),
                });
            }
            Action::Ifunc => {
                return Err(LinkError::Ifunc {
                    at: Box::new(site()),
                });
            }
            Action::GpRelative => {
                return Err(LinkError::GpRelaxed {
                    at: Box::new(site()),
                });
            }
            Action::Word(_) | Action::Distance(_) | Action::Sum(_) => {
                return Err(misplaced(site(), &reloc));
            }
            Action::Dynamic | Action::Unsupported => {
                let (at, kind) = (Box::new(site()), reloc.kind);
                return Err(LinkError::UnsupportedRelocation { at, kind });
            }
        }
        let relaxable = Action::Call == action
            || matches!(
                action,
                Action::PcHigh | Action::AbsHigh | Action::PcLow | Action::AbsLow
            );
        if relaxable {
            self.notes[inst as usize] |= note::RELAXABLE;
        }
        Ok(())
    }

    fn expect_op(&self, inst: u32, op: Op, reloc: &Reloc) -> Result<(), LinkError> {
        let one = &self.program.text.insts[inst as usize];
        if one.inst.op() == op && one.len == Len::Four {
            return Ok(());
        }
        Err(misplaced(self.program.inst_site(inst), reloc))
    }

    fn high(&mut self, inst: u32, base: Base, op: Op, reloc: Reloc) -> Result<(), LinkError> {
        self.expect_op(inst, op, &reloc)?;
        let resolved = self
            .program
            .resolve(&reloc, || self.program.inst_site(inst))?;
        if !resolved.missing {
            let value = self.relative(inst, base, resolved.value);
            self.check(inst, &reloc, high_part(value))?;
        }
        let Resolved {
            target, missing, ..
        } = resolved;
        self.fixes.push((
            inst,
            Fix::High {
                base,
                target,
                missing,
            },
        ));
        Ok(())
    }

    fn call(&mut self, inst: u32, reloc: Reloc) -> Result<(), LinkError> {
        self.high(inst, Base::Pc, Op::Auipc, reloc)?;
        let insts = &self.program.text.insts;
        let auipc = &insts[inst as usize];
        let jump = insts.get(inst as usize + 1).filter(|jump| {
            jump.inst.op() == Op::Jalr
                && jump.len == Len::Four
                && jump.at == auipc.at + auipc.size()
                && jump.inst.rs1() == auipc.inst.rd()
        });
        if jump.is_none() {
            return Err(misplaced(self.program.inst_site(inst), &reloc));
        }
        if let Some(&(
            _,
            Fix::High {
                target, missing, ..
            },
        )) = self.fixes.last()
            && !missing
            && !matches!(target, Target::Inst(_))
        {
            let at = Box::new(self.program.inst_site(inst));
            let target = self.program.target_name(&reloc);
            return Err(LinkError::TargetNotCode { at, target });
        }
        self.lows.push((inst + 1, inst, reloc));
        Ok(())
    }

    fn low(&mut self, inst: u32, reloc: Reloc) -> Result<(), LinkError> {
        self.expect_low(inst, &reloc)?;
        let text = &self.program.text;
        let symbol = self.program.object.symbols.get(reloc.symbol);
        let label = symbol.map_or(0, |symbol| symbol.value);
        let home = symbol.and_then(|symbol| match symbol.home {
            Home::Section(home) => Some(home as usize),
            _ => None,
        });
        let spot = text
            .section_at(label, home)
            .map(|ordinal| text.spot(ordinal, label));
        match spot {
            Some(Spot::Inst(high)) => {
                self.lows.push((inst, high, reloc));
                Ok(())
            }
            _ => Err(orphan(self.program.inst_site(inst), &reloc, label)),
        }
    }

    fn abs_low(&mut self, inst: u32, reloc: Reloc) -> Result<(), LinkError> {
        self.expect_low(inst, &reloc)?;
        let resolved = self
            .program
            .resolve(&reloc, || self.program.inst_site(inst))?;
        self.check(inst, &reloc, low_part(resolved.value))?;
        self.fixes.push((
            inst,
            Fix::AbsLow {
                target: resolved.target,
            },
        ));
        Ok(())
    }

    /// A low part goes into a four-byte instruction with a 12-bit immediate.
    fn expect_low(&self, inst: u32, reloc: &Reloc) -> Result<(), LinkError> {
        let one = &self.program.text.insts[inst as usize];
        let place = matches!(one.inst.op().format(), Format::I | Format::S);
        if place && one.len == Len::Four {
            return Ok(());
        }
        Err(misplaced(self.program.inst_site(inst), reloc))
    }

    fn relative(&self, inst: u32, base: Base, value: u64) -> u64 {
        match base {
            Base::Pc => value.wrapping_sub(self.program.text.address(inst)),
            Base::Zero => value,
        }
    }

    fn check(&self, inst: u32, reloc: &Reloc, expected: i32) -> Result<(), LinkError> {
        let one = &self.program.text.insts[inst as usize];
        if one.inst.imm() == expected {
            return Ok(());
        }
        let at = Box::new(self.program.inst_site(inst));
        if one.inst.rs1() == Reg::GP && one.inst.op() != Op::Auipc && one.inst.op() != Op::Lui {
            return Err(LinkError::GpRelaxed { at });
        }
        Err(LinkError::RelocationMismatch {
            at,
            kind: reloc.kind,
            target: self.program.target_name(reloc),
            expected: u64::from(expected as u32),
            found: u64::from(one.inst.imm() as u32),
        })
    }

    /// Joins low parts with high parts, and finds the GOT slots.
    fn pair(&mut self) -> Result<Vec<GotSlot>, LinkError> {
        let got = self.got_slots()?;
        self.fixes.sort_unstable_by_key(|&(inst, _)| inst);
        let lows = std::mem::take(&mut self.lows);
        let mut paired = Vec::with_capacity(lows.len());
        for (inst, high, reloc) in lows {
            let text = &self.program.text;
            let Some(&Fix::High {
                base: Base::Pc,
                target,
                missing,
            }) = find(&self.fixes, high)
            else {
                let site = self.program.inst_site(inst);
                return Err(orphan(site, &reloc, text.address(high)));
            };
            if !missing {
                let value = self
                    .program
                    .old_address(target)
                    .wrapping_sub(text.address(high));
                self.check(inst, &reloc, low_part(value))?;
            }
            paired.push((inst, Fix::Low { high }));
        }
        self.fixes.append(&mut paired);
        self.fixes.sort_by_key(|&(inst, _)| inst);
        if let Some(pair) = self.fixes.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            let at = Box::new(self.program.inst_site(pair[1].0));
            return Err(LinkError::RelocatedTwice { at });
        }
        Ok(got)
    }

    /// The address of a GOT slot is only in the instructions: high part plus low part.
    fn got_slots(&mut self) -> Result<Vec<GotSlot>, LinkError> {
        let mut slots = Vec::new();
        if self.got_highs.is_empty() {
            return Ok(slots);
        }
        let mut lows: Vec<(u32, u32)> = self.lows.iter().map(|low| (low.1, low.0)).collect();
        lows.sort_unstable();
        for (inst, content, reloc) in std::mem::take(&mut self.got_highs) {
            let text = &self.program.text;
            let first = lows.partition_point(|&(high, _)| high < inst);
            let Some(&(_, low)) = lows.get(first).filter(|&&(high, _)| high == inst) else {
                let site = self.program.inst_site(inst);
                return Err(orphan(site, &reloc, text.address(inst)));
            };
            let imm = |inst: u32| i64::from(text.insts[inst as usize].inst.imm());
            let address = text.address(inst).wrapping_add_signed(imm(inst) + imm(low));
            let target = Target::Data(address);
            self.fixes.push((
                inst,
                Fix::High {
                    base: Base::Pc,
                    target,
                    missing: false,
                },
            ));
            slots.push(GotSlot {
                address,
                content,
                symbol: reloc.symbol,
            });
        }
        slots.sort_by_key(|slot| slot.address);
        slots.dedup();
        Ok(slots)
    }
}

/// The error for a relocation at a place it cannot apply to.
pub(crate) fn misplaced(at: Site, reloc: &Reloc) -> LinkError {
    LinkError::MisplacedRelocation {
        at: Box::new(at),
        kind: reloc.kind,
    }
}

fn orphan(at: Site, reloc: &Reloc, partner: u64) -> LinkError {
    LinkError::OrphanPart {
        at: Box::new(at),
        kind: reloc.kind,
        partner,
    }
}
