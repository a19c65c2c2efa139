//! What a linker would do for an object of clang's BPF target: LLVM has none for it.
//!
//! ```text
//!   code   one section, function addresses are BYTECODE + offset
//!   data   read-only and writable data, then zeros, in one writable region at INPUT
//! ```

use object::elf::{R_BPF_64_32, R_BPF_64_64};
use object::read::elf::{ElfFile64, ElfSection64};
use object::{
    Object, ObjectSection, ObjectSymbol, RelocationFlags, RelocationTarget, SectionIndex,
    SectionKind, SymbolIndex,
};
use peers::Failure;
use solana_sbpf::ebpf::{self, INSN_SIZE, MM_BYTECODE_START, MM_INPUT_START};
use std::collections::HashMap;

/// The relocation of a pointer in data; the `object` crate has no name for it.
const R_BPF_64_ABS64: u32 = 2;

/// Code and data in their places.
pub(crate) struct Linked {
    pub(crate) code: Vec<u8>,
    pub(crate) data: Vec<u8>,
    /// The instruction where the guest begins.
    pub(crate) main: usize,
}

type File<'a> = ElfFile64<'a>;

struct Link<'a> {
    file: File<'a>,
    linked: Linked,
    text: SectionIndex,
    /// Where in the data each other section is.
    places: HashMap<SectionIndex, usize>,
}

/// Links one object whose calls are to itself or to functions of the host.
pub(crate) fn link(object: &[u8]) -> Result<Linked, Failure> {
    let file = File::parse(object)?;
    let text = file.section_by_name(".text").ok_or("no section .text")?;
    let (index, code) = (text.index(), text.data()?.to_vec());
    let symbol = file.symbol_by_name(peers::MAIN).ok_or("no guest_main")?;
    let main = symbol.address() as usize / INSN_SIZE;
    let mut link = Link {
        text: index,
        places: HashMap::new(),
        linked: Linked {
            code,
            data: Vec::new(),
            main,
        },
        file,
    };
    link.place()?;
    link.relocate()?;
    Ok(link.linked)
}

impl Link<'_> {
    /// Gives every section of data its place.
    fn place(&mut self) -> Result<(), Failure> {
        for section in self.file.sections() {
            let data = &mut self.linked.data;
            let kind = section.kind();
            let zeros = kind == SectionKind::UninitializedData;
            let content = matches!(
                kind,
                SectionKind::Data | SectionKind::ReadOnlyData | SectionKind::ReadOnlyString
            );
            if !zeros && !content {
                continue;
            }
            let align = section.align().clamp(8, 4096) as usize;
            let start = data.len().next_multiple_of(align);
            data.resize(start, 0);
            if content {
                data.extend_from_slice(section.data()?);
            }
            data.resize(start + section.size() as usize, 0);
            self.places.insert(section.index(), start);
        }
        Ok(())
    }

    fn relocate(&mut self) -> Result<(), Failure> {
        let mut patches = Vec::new();
        for section in self.file.sections() {
            let known = section.index() == self.text || self.places.contains_key(&section.index());
            if known {
                self.section(&section, &mut patches)?;
            }
        }
        for (in_code, at, bytes) in patches {
            let image = if in_code {
                &mut self.linked.code
            } else {
                &mut self.linked.data
            };
            let end = at + bytes.len();
            image
                .get_mut(at..end)
                .ok_or("a relocation outside")?
                .copy_from_slice(&bytes);
        }
        Ok(())
    }

    fn section(
        &self,
        section: &ElfSection64<'_, '_>,
        patches: &mut Vec<(bool, usize, Vec<u8>)>,
    ) -> Result<(), Failure> {
        let in_code = section.index() == self.text;
        let base = self.places.get(&section.index()).copied().unwrap_or(0);
        for (offset, relocation) in section.relocations() {
            let at = base + offset as usize;
            let RelocationTarget::Symbol(symbol) = relocation.target() else {
                return Err("a relocation without a symbol".into());
            };
            let RelocationFlags::Elf { r_type, .. } = relocation.flags() else {
                return Err("a relocation of another format".into());
            };
            match (r_type, in_code) {
                (R_BPF_64_32, true) => {
                    let (src, imm) = self.call(symbol, at)?;
                    let dst = self.byte(at + 1)? & 15;
                    patches.push((true, at + 1, vec![dst | src << 4]));
                    patches.push((true, at + 4, imm.to_le_bytes().to_vec()));
                }
                (R_BPF_64_64, true) => {
                    let value = self.address(symbol)? + u64::from(self.word(at + 4)?);
                    let bytes = value.to_le_bytes();
                    patches.push((true, at + 4, bytes[..4].to_vec()));
                    patches.push((true, at + 12, bytes[4..].to_vec()));
                }
                (R_BPF_64_ABS64, false) => {
                    let bytes = self.linked.data.get(at..at + 8);
                    let bytes: [u8; 8] = bytes.ok_or("a relocation outside")?.try_into()?;
                    let value = self.address(symbol)? + u64::from_le_bytes(bytes);
                    patches.push((false, at, value.to_le_bytes().to_vec()));
                }
                _ => return Err(format!("relocation {r_type} is not known").into()),
            }
        }
        Ok(())
    }

    fn byte(&self, at: usize) -> Result<u8, Failure> {
        let byte = self.linked.code.get(at).copied();
        Ok(byte.ok_or("a relocation outside")?)
    }

    fn word(&self, at: usize) -> Result<u32, Failure> {
        let bytes = self.linked.code.get(at..at + 4);
        let bytes = bytes.ok_or("a relocation outside")?;
        Ok(u32::from_le_bytes(bytes.try_into()?))
    }

    /// Source register and immediate of a call: 1 and a distance in instructions inside the
    /// program, 0 and the hash of the name for a function of the host.
    fn call(&self, symbol: SymbolIndex, at: usize) -> Result<(u8, i32), Failure> {
        let found = self.file.symbol_by_index(symbol)?;
        if found.is_undefined() {
            let name = found.name()?;
            if !crate::HOST_FUNCTIONS.contains(&name) {
                return Err(format!("`{name}` is not there: the C library is not built").into());
            }
            return Ok((0, ebpf::hash_symbol_name(name.as_bytes()) as i32));
        }
        // The immediate counts instructions from the symbol, less one.
        let ahead = i64::from(self.word(at + 4)? as i32) + 1;
        let target = (found.address() / INSN_SIZE as u64) as i64 + ahead;
        let next = (at / INSN_SIZE + 1) as i64;
        Ok((1, i32::try_from(target - next)?))
    }

    fn address(&self, symbol: SymbolIndex) -> Result<u64, Failure> {
        let symbol = self.file.symbol_by_index(symbol)?;
        let section = symbol.section_index();
        if section == Some(self.text) {
            return Ok(MM_BYTECODE_START + symbol.address());
        }
        let place = section.and_then(|section| self.places.get(&section));
        let missing = || format!("`{}` is not there", symbol.name().unwrap_or("a symbol"));
        Ok(MM_INPUT_START + *place.ok_or_else(missing)? as u64 + symbol.address())
    }
}
