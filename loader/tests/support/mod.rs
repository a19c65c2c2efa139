//! A small writer of ELF executables, so that tests need no compiler.
//!
//! Every part can be set to what no toolchain would write.

#![allow(dead_code, reason = "each test file uses a part of it")]

pub(crate) mod machine;

/// Section flags.
pub(crate) const WRITE: u64 = 1;
pub(crate) const ALLOC: u64 = 2;
pub(crate) const EXEC: u64 = 4;

/// Section types.
pub(crate) const PROGBITS: u32 = 1;
pub(crate) const NOBITS: u32 = 8;

/// Symbol types and bindings, as `st_info`.
pub(crate) const LABEL: u8 = 0;
pub(crate) const OBJECT: u8 = 1;
pub(crate) const FUNCTION: u8 = 2;
pub(crate) const GLOBAL: u8 = 0x10;
pub(crate) const WEAK: u8 = 0x20;

/// `st_shndx` of symbols without a section.
pub(crate) const UNDEFINED: u16 = 0;
pub(crate) const ABSOLUTE: u16 = 0xFFF1;

/// Relocation types.
pub(crate) const R_32: u32 = 1;
pub(crate) const R_64: u32 = 2;
pub(crate) const BRANCH: u32 = 16;
pub(crate) const JAL: u32 = 17;
pub(crate) const CALL_PLT: u32 = 19;
pub(crate) const GOT_HI20: u32 = 20;
pub(crate) const PCREL_HI20: u32 = 23;
pub(crate) const PCREL_LO12_I: u32 = 24;
pub(crate) const PCREL_LO12_S: u32 = 25;
pub(crate) const HI20: u32 = 26;
pub(crate) const LO12_I: u32 = 27;
pub(crate) const LO12_S: u32 = 28;
pub(crate) const ADD8: u32 = 33;
pub(crate) const ADD16: u32 = 34;
pub(crate) const ADD32: u32 = 35;
pub(crate) const SUB8: u32 = 37;
pub(crate) const SUB16: u32 = 38;
pub(crate) const SUB32: u32 = 39;
pub(crate) const GPREL_I: u32 = 47;
pub(crate) const ALIGN: u32 = 43;
pub(crate) const RELAX: u32 = 51;
pub(crate) const PCREL32: u32 = 57;

pub(crate) const TEXT: u64 = 0x40_0000;
pub(crate) const DATA: u64 = 0x1000_0000;

#[derive(Clone)]
pub(crate) struct Section {
    pub(crate) name: &'static str,
    pub(crate) kind: u32,
    pub(crate) flags: u64,
    pub(crate) address: u64,
    pub(crate) bytes: Vec<u8>,
    /// Size in memory, for sections without content.
    pub(crate) size: u64,
    pub(crate) align: u64,
}

#[derive(Clone, Copy)]
pub(crate) struct Symbol {
    pub(crate) name: &'static str,
    pub(crate) info: u8,
    pub(crate) section: u16,
    pub(crate) value: u64,
    pub(crate) size: u64,
}

#[derive(Clone, Copy)]
pub(crate) struct Rela {
    pub(crate) address: u64,
    pub(crate) kind: u32,
    /// Index into the symbols, counted from 1; 0 is no symbol.
    pub(crate) symbol: u32,
    pub(crate) addend: i64,
}

/// An executable to be written. Section `n` of the list has index `n + 1` in the file.
#[derive(Clone)]
pub(crate) struct Elf {
    pub(crate) flags: u32,
    pub(crate) entry: u64,
    pub(crate) sections: Vec<Section>,
    pub(crate) symbols: Vec<Symbol>,
    /// Relocations by index of the section they apply to, as in the file.
    pub(crate) relocs: Vec<(u32, Vec<Rela>)>,
    /// Further program headers: type, flags, address, size.
    pub(crate) segments: Vec<(u32, u32, u64, u64)>,
}

impl Elf {
    /// An executable with this code in section 1 and `_start` at its beginning.
    pub(crate) fn new(code: Vec<u8>) -> Self {
        let start = Symbol {
            name: "_start",
            info: GLOBAL | FUNCTION,
            section: 1,
            value: TEXT,
            size: code.len() as u64,
        };
        Self {
            flags: 9,
            entry: TEXT,
            sections: vec![Section {
                name: ".text",
                kind: PROGBITS,
                flags: ALLOC | EXEC,
                address: TEXT,
                bytes: code,
                size: 0,
                align: 4,
            }],
            symbols: vec![start],
            relocs: Vec::new(),
            segments: Vec::new(),
        }
    }

    /// Adds a section and returns its index.
    pub(crate) fn section(
        &mut self,
        name: &'static str,
        flags: u64,
        address: u64,
        bytes: Vec<u8>,
    ) -> u16 {
        let section = Section {
            name,
            kind: PROGBITS,
            flags: flags | ALLOC,
            address,
            bytes,
            size: 0,
            align: 8,
        };
        self.sections.push(section);
        self.sections.len() as u16
    }

    /// Adds a symbol and returns its index.
    pub(crate) fn symbol(&mut self, name: &'static str, info: u8, section: u16, value: u64) -> u32 {
        let symbol = Symbol {
            name,
            info,
            section,
            value,
            size: 0,
        };
        self.symbols.push(symbol);
        self.symbols.len() as u32
    }

    /// Adds a relocation for section `target`.
    pub(crate) fn reloc(&mut self, target: u32, address: u64, kind: u32, symbol: u32, addend: i64) {
        let rela = Rela {
            address,
            kind,
            symbol,
            addend,
        };
        match self
            .relocs
            .iter_mut()
            .find(|(section, _)| *section == target)
        {
            Some((_, relocs)) => relocs.push(rela),
            None => self.relocs.push((target, vec![rela])),
        }
    }

    /// Adds a relaxable relocation of code, with its mark.
    pub(crate) fn code_reloc(&mut self, address: u64, kind: u32, symbol: u32) {
        self.reloc(1, address, kind, symbol, 0);
        self.reloc(1, address, RELAX, 0, 0);
    }

    /// The bytes of the file.
    pub(crate) fn build(&self) -> Vec<u8> {
        Writer::new(self).finish()
    }
}

struct Writer<'e> {
    elf: &'e Elf,
    body: Vec<u8>,
    names: Vec<u8>,
    headers: Vec<[u64; 10]>,
}

const HEADER: usize = 64;

impl<'e> Writer<'e> {
    fn new(elf: &'e Elf) -> Self {
        let segments = elf.sections.len() + elf.segments.len();
        Self {
            elf,
            body: vec![0; HEADER + 56 * segments],
            names: vec![0],
            headers: vec![[0; 10]],
        }
    }

    /// Appends a section: name, type, flags, address, content, size, link, info, align, entry.
    fn append(&mut self, name: &str, fields: [u64; 7], content: &[u8]) -> u64 {
        let [kind, flags, address, size, link, info, entry] = fields;
        while !self.body.len().is_multiple_of(8) {
            self.body.push(0);
        }
        let offset = self.body.len() as u64;
        self.body.extend_from_slice(content);
        let name_at = self.names.len() as u64;
        self.names.extend_from_slice(name.as_bytes());
        self.names.push(0);
        self.headers.push([
            name_at, kind, flags, address, offset, size, link, info, 8, entry,
        ]);
        offset
    }

    fn finish(mut self) -> Vec<u8> {
        let elf = self.elf;
        let mut segments = Vec::new();
        for section in &elf.sections {
            let memory = section.size.max(section.bytes.len() as u64);
            let fields = [
                section.kind.into(),
                section.flags,
                section.address,
                memory,
                0,
                0,
                0,
            ];
            let offset = self.append(section.name, fields, &section.bytes);
            if let Some(header) = self.headers.last_mut() {
                header[8] = section.align;
            }
            if section.flags & ALLOC != 0 {
                let flags = 4
                    | if section.flags & WRITE != 0 { 2 } else { 0 }
                    | u32::from(section.flags & EXEC != 0);
                let file = section.bytes.len() as u64;
                segments.push((1, flags, offset, section.address, file, memory));
            } else {
                segments.push((0, 0, 0, 0, 0, 0));
            }
        }
        for &(kind, flags, address, size) in &elf.segments {
            segments.push((kind, flags, 0, address, 0, size));
        }
        let symbols = elf.sections.len() as u64 + 1;
        self.symbols(symbols + 1);
        for (target, relocs) in &elf.relocs {
            let mut table = Vec::new();
            for rela in relocs {
                table.extend_from_slice(&rela.address.to_le_bytes());
                let info = u64::from(rela.symbol) << 32 | u64::from(rela.kind);
                table.extend_from_slice(&info.to_le_bytes());
                table.extend_from_slice(&rela.addend.to_le_bytes());
            }
            let size = table.len() as u64;
            let fields = [4, 0, 0, size, symbols, (*target).into(), 24];
            self.append(".rela", fields, &table);
        }
        let names_index = self.headers.len() as u16;
        let size = self.names.len() as u64 + ".shstrtab".len() as u64 + 1;
        self.append(".shstrtab", [3, 0, 0, size, 0, 0, 0], &[]);
        let names = std::mem::take(&mut self.names);
        self.body.extend_from_slice(&names);
        self.tables(names_index, &segments)
    }

    fn symbols(&mut self, strings_index: u64) {
        let (mut table, mut strings) = (vec![0; 24], vec![0]);
        for symbol in &self.elf.symbols {
            table.extend_from_slice(&(strings.len() as u32).to_le_bytes());
            table.extend_from_slice(&[symbol.info, 0]);
            table.extend_from_slice(&symbol.section.to_le_bytes());
            table.extend_from_slice(&symbol.value.to_le_bytes());
            table.extend_from_slice(&symbol.size.to_le_bytes());
            strings.extend_from_slice(symbol.name.as_bytes());
            strings.push(0);
        }
        let size = table.len() as u64;
        self.append(".symtab", [2, 0, 0, size, strings_index, 1, 24], &table);
        let size = strings.len() as u64;
        self.append(".strtab", [3, 0, 0, size, 0, 0, 0], &strings);
    }

    fn tables(mut self, names: u16, segments: &[(u32, u32, u64, u64, u64, u64)]) -> Vec<u8> {
        let sections_at = self.body.len() as u64;
        for header in &self.headers {
            for (index, &field) in header.iter().enumerate() {
                match index {
                    0 | 1 | 6 | 7 => self.body.extend_from_slice(&(field as u32).to_le_bytes()),
                    _ => self.body.extend_from_slice(&field.to_le_bytes()),
                }
            }
        }
        let mut head = Vec::new();
        head.extend_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
        head.extend_from_slice(&2u16.to_le_bytes());
        head.extend_from_slice(&243u16.to_le_bytes());
        head.extend_from_slice(&1u32.to_le_bytes());
        head.extend_from_slice(&self.elf.entry.to_le_bytes());
        head.extend_from_slice(&(HEADER as u64).to_le_bytes());
        head.extend_from_slice(&sections_at.to_le_bytes());
        head.extend_from_slice(&self.elf.flags.to_le_bytes());
        let counts = [
            64,
            56,
            segments.len() as u16,
            64,
            self.headers.len() as u16,
            names,
        ];
        for count in counts {
            head.extend_from_slice(&count.to_le_bytes());
        }
        for &(kind, flags, offset, address, file, memory) in segments {
            head.extend_from_slice(&kind.to_le_bytes());
            head.extend_from_slice(&flags.to_le_bytes());
            for field in [offset, address, address, file, memory, 0x1000] {
                head.extend_from_slice(&field.to_le_bytes());
            }
        }
        self.body[..head.len()].copy_from_slice(&head);
        self.body
    }
}

/// Machine code of a text in the assembler of `rivet-isa`.
pub(crate) fn asm(text: &str) -> Vec<u8> {
    rivet_isa::asm::assemble(text).expect("the test assembles")
}

/// A generator of numbers that are the same in every run.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 16) as usize % bound.max(1)
    }
}
