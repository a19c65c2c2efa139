//! Every vector of `conformance-vectors/` on every backend, and the reader and writer of the
//! format. `build.rs` writes one test per file and backend.

#[path = "../jit/tests/common/maps.rs"]
mod maps;

use rivet::engine::{
    Backend, Call, CallContext, Config, Engine, Exit, Flow, Host, Quote, Raw, Start, View,
    native_available,
};
use rivet::image::RegionKind;
use rivet::isa::{Gas, GuestAddr, Pc, Reg};
use rivet::vectors::{
    Engines, Listener, Map, Mismatch, Origin, Problem, RegSet, Vector, VectorFile, check,
    check_moving, collect, parse, read, record, write,
};
use std::path::Path;

include!(concat!(env!("OUT_DIR"), "/vectors.rs"));

/// Most vectors of a file that a failure names.
const NAMED: usize = 20;

/// Fails with every difference of every vector in a file.
#[track_caller]
fn holds(path: &str, backend: Backend) {
    maps::watch();
    if backend != Backend::Interp && native_available().is_err() {
        println!("skipped: the recompiler cannot run here");
        return;
    }
    let file = read(Path::new(path)).unwrap_or_else(|error| panic!("{error}"));
    assert!(
        matches!(file.origin, Origin::Independent(_)),
        "{path}: what an engine recorded is no expectation for engines"
    );
    let engines = Engines::new(backend).expect("the backend runs here");
    all_hold(path, &file, |vector| check(&engines, vector));
}

/// Fails with every difference that a check finds in a file.
#[track_caller]
fn all_hold(path: &str, file: &VectorFile, check: impl Fn(&Vector) -> Vec<Mismatch>) {
    let mut failures = Vec::new();
    for vector in &file.vectors {
        let found = check(vector);
        if !found.is_empty() {
            let lines: Vec<String> = found.iter().map(|m| format!("  {m}")).collect();
            let (name, line) = (&vector.name, vector.line);
            failures.push(format!("{path}:{line}: {name}\n{}", lines.join("\n")));
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {} vectors fail\n{}",
        failures.len(),
        file.vectors.len(),
        failures[..failures.len().min(NAMED)].join("\n")
    );
}

fn one(lines: &str) -> Result<VectorFile, rivet::vectors::ParseError> {
    let text = format!("pvm2-vectors 1\norigin independent by hand\n{lines}");
    parse("x.vec", text.as_bytes())
}

/// By hand from gas §4 and §9: 1000 − 1 (the `addi`) − 107 − 256 (a page) for the first call, then
/// 100 for the second, after which the host sets 500.
const CALLS: &str = "\
vector calls
note a call answered, one suspended, one nobody answers
code 13051500 0b205000 0b206000 0b207000 # addi, then three calls
map 0x10000000 0x2000 cow
bytes 0x10000ffe 01*4
regs x10=41 x3=0xffffffffffffffff
start pc=0 gas=1000
call 5 continue extra=7 x11=9 write=0x10000000:abcd
call 6 suspend gas=500
exit host-call pc=12 gas=500 selector=6 paid
regs x10=42 x11=9
bytes 0x10000000 abcd
private 0x10000000
resume gas=300
exit host-call pc=16 gas=300 selector=7 unpaid
";

#[test]
fn a_vector_that_holds_is_found_to_hold_and_each_changed_field_is_reported() {
    let engines = Engines::new(Backend::Interp).expect("the interpreter runs everywhere");
    let vector = one(CALLS).expect("well formed").vectors.remove(0);
    assert_eq!(check(&engines, &vector), []);
    let changes = [
        ("x10=42", "x10=43", "exit 1: x10: expected 0x2b, got 0x2a"),
        ("pc=12", "pc=8", "exit 1: pc: expected 0x8, got 0xc"),
        (
            "pc=12 gas=500",
            "pc=12 gas=501",
            "exit 1: gas: expected 501, got 500",
        ),
        (
            "selector=6 paid",
            "selector=6 unpaid",
            "exit 1: exit: expected host-call selector=6 unpaid, got host-call selector=6 paid",
        ),
        ("pc=16", "pc=12", "exit 2: pc: expected 0xc, got 0x10"),
        (
            "bytes 0x10000000 abcd\n",
            "",
            "exit 1: byte 0x10000000: expected 0x00, got 0xab",
        ),
        (
            "private 0x10000000\n",
            "private 0x10000000..0x10002000\n",
            "exit 1: private: expected 0x10000000 0x10001000, got 0x10000000",
        ),
        (
            "private 0x10000000\n",
            "",
            "exit 1: private: expected none, got 0x10000000",
        ),
        (
            "private 0x10000000\n",
            "private 0x10000000\nregs x3=0\n",
            "exit 1: x3: expected 0x0, got 0xffffffffffffffff",
        ),
    ];
    for (from, to, message) in changes {
        let text = CALLS.replacen(from, to, 1);
        let vector = one(&text).expect("well formed").vectors.remove(0);
        let found = check(&engines, &vector);
        let first = found.first().map(ToString::to_string);
        assert_eq!(first.as_deref(), Some(message), "{from} -> {to}");
    }
}

/// By hand from gas §4 and §10: 22 for the block, 256 for each page that a run writes.
const AGAIN: &str = "\
vector again
code 2330a100 2324b600 0b400000 # sd a0, 0(sp); sw a1, 8(a2); fallthrough
map 0x10000000 0x2000 ephemeral
bytes 0x10000100 07
regs x2=0x10000010 x10=1 x11=2 x12=0x10000020
start gas=2000
exit panic pc=12 gas=1722
bytes 0x10000010 01
bytes 0x10000028 02
private 0x10000000
again gas=1500 x2=0x10001010
exit panic pc=12 gas=966
bytes 0x10001010 01
bytes 0x10000028 02
private 0x10000000..0x10002000
";

#[test]
fn a_machine_that_begins_again_is_expected_to_have_forgotten_the_run_before() {
    let mut backends = vec![Backend::Interp];
    if native_available().is_ok() {
        backends.extend([Backend::Jit, Backend::Checked]);
    }
    let changes = [
        ("", "", ""),
        (
            "again gas=1500 x2=0x10001010",
            "again x2=0x10001010",
            "exit 2: gas: expected 966, got 1466",
        ),
        (
            "again gas=1500 x2=0x10001010",
            "again gas=1500",
            "exit 2: gas: expected 966, got 1222",
        ),
        (
            "gas=966\n",
            "gas=966\nbytes 0x10000010 01\n",
            "exit 2: byte 0x10000010: expected 0x01, got 0x00",
        ),
        (
            "gas=966\n",
            "gas=966\nbytes 0x10000100 00\n",
            "exit 2: byte 0x10000100: expected 0x00, got 0x07",
        ),
        (
            "private 0x10000000..0x10002000\n",
            "",
            "exit 2: private: expected none, got 0x10000000 0x10001000",
        ),
    ];
    for backend in backends {
        let engines = Engines::new(backend).expect("the backend runs here");
        for (from, to, message) in changes {
            let vector = one(&AGAIN.replacen(from, to, 1)).expect("well formed");
            let found = check(&engines, &vector.vectors[0]);
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            let told = match message {
                "" => found.is_empty(),
                _ => found.iter().any(|mismatch| mismatch == message),
            };
            assert!(told, "{backend}: {from} -> {to}: {found:?}");
        }
    }
}

#[test]
fn a_call_that_is_left_is_answered_by_the_line_behind_it() {
    // 500 less 100 for the call and 1 for the trap.
    let text = "vector left\ncode 0b205000 0b000000\ncall 5 leave\ncall 5 continue x10=1\n\
        start gas=500\nexit host-call pc=4 gas=500 selector=5 unpaid\nresume\n\
        exit trap pc=4 gas=399\nregs x10=1\nagain\nexit host-call pc=4 gas=500 selector=5 unpaid\n";
    let engines = Engines::new(Backend::Interp).expect("the interpreter runs everywhere");
    let file = one(text).expect("well formed");
    assert_eq!(check(&engines, &file.vectors[0]), []);
}

#[test]
fn stated_blocks_are_compared_completely() {
    // P12 of ISA §17.2 with the costs of gas §6: jal 15, less the credit of 3; a lone addi 1.
    let good = "vector p12\ncode 6f002000 0100\n\
        block 0..4 cost=12\nblock 4..6 cost=1\nend 6\n";
    let engines = Engines::new(Backend::Interp).expect("the interpreter runs everywhere");
    let found = |text: &str| {
        let vector = one(text).expect("well formed").vectors.remove(0);
        let found = check(&engines, &vector);
        found.first().map(ToString::to_string).unwrap_or_default()
    };
    assert_eq!(found(good), "");
    assert_eq!(
        found(&good.replace("cost=12", "cost=13")),
        "block 0..4 cost: expected 13, got 12"
    );
    assert_eq!(
        found(&good.replace("block 4..6 cost=1\n", "")),
        "blocks: expected no more blocks, got one at 0x4"
    );
    assert_eq!(
        found(&good.replace("end 6", "end 4")),
        "end: expected 0x4, got 0x6"
    );
}

#[test]
fn written_vectors_read_back_the_same() {
    let file = one(&format!(
        "{CALLS}\nvector ends\ncode 00*40 0b000000 6f\nmultiplier 1*20 9\nblock 0..2 cost=1\nend 3\n\
         call kernel halt\nexit page-fault pc=0x10 gas=0x7fffffffffffffff page=0xfffff000\n\
         private none\ncall 7 leave\nagain pc=2 gas=9 x3=4 x15=1\nexit trap pc=2 gas=0\n\
         again\nexit ecall pc=4 gas=0 unpaid\nresume\nexit trap pc=4 gas=0\n{AGAIN}"
    ))
    .expect("well formed");
    let text = write(&file);
    let mut again = parse("again.vec", text.as_bytes()).expect("what is written can be read");
    let mut file = file;
    for vector in file.vectors.iter_mut().chain(&mut again.vectors) {
        vector.line = 0;
    }
    assert_eq!(again, file, "{text}");
}

#[test]
fn every_vector_that_pauses_goes_on_as_a_snapshot_on_the_other_backend() {
    if native_available().is_err() {
        println!("skipped: the recompiler cannot run here");
        return;
    }
    let of = |backend| Engines::new(backend).expect("the backend runs here");
    let (jit, interp) = (of(Backend::Jit), of(Backend::Interp));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance-vectors");
    let mut moves = 0;
    for path in collect(&folder).expect("the vectors are there") {
        let mut file = read(&path).unwrap_or_else(|error| panic!("{error}"));
        file.vectors.retain(|vector| vector.stages.len() > 1);
        moves += file
            .vectors
            .iter()
            .map(|v| v.stages.len() - 1)
            .sum::<usize>();
        let path = path.display().to_string();
        all_hold(&path, &file, |vector| check_moving([&jit, &interp], vector));
        all_hold(&path, &file, |vector| check_moving([&interp, &jit], vector));
    }
    assert!(moves > 100, "{moves} moves show little");
}

/// Malformed lines after the head of a file, and what is said about them.
const MALFORMED: &[(&str, &str)] = &[
    (
        "vector a\ncode 1305150 # odd\n",
        "x.vec:4: field `code`: `1305150` is not an even number of hexadecimal digits, optionally followed by *COUNT",
    ),
    (
        "code 00\n",
        "x.vec:3: field `code`: the field belongs to a vector, and no `vector NAME` line precedes it",
    ),
    (
        "vector a\n\nexit trap pc=0\n",
        "x.vec:5: field `exit`: `gas=` is missing",
    ),
    (
        "vector a\nexit trap gas=0 pc=-1\n",
        "x.vec:4: field `exit`: `-1` is not an unsigned 64-bit number, decimal or with 0x",
    ),
    (
        "vector a\nregs x16=0\n",
        "x.vec:4: field `regs`: `x16` is none of x1 … x15",
    ),
    (
        "vector a\nregs x0=0\n",
        "x.vec:4: field `regs`: `x0` is none of x1 … x15",
    ),
    (
        "vector a\nstart gas=0x8000000000000000\n",
        "x.vec:4: field `start`: `0x8000000000000000` is out of range: gas is below 2^63",
    ),
    (
        "vector a\nmap 0 0x1000 rw\n",
        "x.vec:4: field `map`: `rw` is none of ro, cow, ephemeral",
    ),
    (
        "vector a\ncode 00*99999999999\n",
        "x.vec:4: field `code`: the file lists more than 64 MiB of code and memory",
    ),
    (
        "vector a\nprivate 0x1000\n",
        "x.vec:4: field `private`: the field must stand after `exit`",
    ),
    (
        "vector a\nexit trap pc=0 gas=0\nresume\n",
        "x.vec:5: field `resume`: the field must stand after an exit that is not final",
    ),
    (
        "vector a\nagain\n",
        "x.vec:4: field `again`: the field must stand after `exit`",
    ),
    (
        "vector a\nexit trap pc=0 gas=0\nagain\nvector b\n",
        "x.vec:6: field `vector`: `exit` after `again` is missing",
    ),
    (
        "vector a\nexit trap pc=0 gas=0\nagain gas=1 gas=2\n",
        "x.vec:5: field `again`: the field may be given once only",
    ),
    (
        "vector a\nexit trap pc=0 gas=0\nagain x16=2\n",
        "x.vec:5: field `again`: `x16=2` has no meaning here",
    ),
    (
        "vector a\ncall 5 leave extra=1\n",
        "x.vec:4: field `call`: `extra=1` has no meaning here",
    ),
    (
        "vector a\nexit trap pc=0 gas=0\ncode 00\n",
        "x.vec:5: field `code`: the field must stand before the first `exit`",
    ),
    (
        "vector a\nexit trap pc=0 gas=0\nvector a\n",
        "x.vec:5: field `vector`: a vector of the name `a` precedes in this file",
    ),
    (
        "vector a\nfoo\n",
        "x.vec:4: field `foo`: there is no such field; see the README of conformance-vectors",
    ),
    (
        "vector a\nstart\nstart\n",
        "x.vec:5: field `start`: the field may be given once only",
    ),
    (
        "vector a\nmultiplier 1*20\n",
        "x.vec:4: field `multiplier`: a factor for each depth, 21 in all, is missing",
    ),
    (
        "vector a\ncode 13\n",
        "x.vec:4: field `code`: the vector `a` states nothing: it needs `exit` or `end`",
    ),
    (
        "vector a\nbytes 0xffffffff 0000\nend 0\n",
        "x.vec:4: field `bytes`: `0xffffffff` is out of range: the bytes must end at 2^32 or before",
    ),
];

#[test]
fn errors_name_file_line_and_field() {
    for (text, message) in MALFORMED {
        let error = one(text).expect_err(text);
        assert_eq!(error.to_string(), *message);
    }
    let whole = [
        (&b""[..], Problem::Magic),
        (b"pvm2-vectors 2\n", Problem::Version(2)),
        (b"pvm2-vectors 1\nvector a\n", Problem::Origin),
        (b"pvm2-vectors 1\n# \xFF", Problem::NotText),
    ];
    for (bytes, problem) in whole {
        assert_eq!(parse("x", bytes).expect_err("malformed").problem, problem);
    }
}

#[test]
fn no_damage_makes_the_reader_panic() {
    let text = format!("pvm2-vectors 1\norigin independent x\n{CALLS}");
    let bytes = text.as_bytes();
    let mut read = 0;
    for at in 0..bytes.len() {
        read += usize::from(parse("cut", &bytes[..at]).is_ok());
        for byte in [0, b' ', b'\n', b'*', b'0', b'=', 0xFF] {
            let mut damaged = bytes.to_vec();
            damaged[at] = byte;
            read += usize::from(parse("changed", &damaged).is_ok());
        }
    }
    assert!(read > 0, "some damage only changes numbers");
}

#[test]
fn a_recorded_vector_holds_and_says_that_an_engine_made_it() {
    let engines = Engines::new(Backend::Interp).expect("the interpreter runs everywhere");
    let mut regs = rivet::isa::Regs::default();
    regs.set(Reg::A0, 1);
    let start = Vector {
        name: "recorded".into(),
        code: [0x0015_0513_u32, 0x0000_000B]
            .map(u32::to_le_bytes)
            .concat(),
        gas: rivet::isa::Gas::new(10).expect("small"),
        regs,
        ..Vector::default()
    };
    let recorded = record(&engines, &start, &[]).expect("it runs");
    let expect = &recorded.stages[0].expect;
    assert_eq!((expect.exit, expect.pc), (Exit::Trap, Pc::new(4)));
    assert_eq!(expect.regs, RegSet(vec![(Reg::A0, 2)]));
    assert_eq!(check(&engines, &recorded), []);
    let file = VectorFile {
        origin: Origin::Engine("rivet".into()),
        vectors: vec![recorded],
    };
    assert!(write(&file).contains("\norigin engine rivet\n"));
}

/// Answers the first two calls, the first one with all that an answer can hold.
struct Generous(u32);

impl Host for Generous {
    fn quote(&self, _: Call, _: &View<'_>) -> Quote {
        match self.0 {
            0 => Quote::extra(7).writing(GuestAddr::wrapping(0x1000_0FFE), 4),
            1 => Quote::floor(),
            _ => Quote::unanswered(),
        }
    }

    fn perform(&mut self, _: Call, context: &mut CallContext<'_>) -> Flow {
        self.0 += 1;
        if self.0 == 1 {
            let written = context.write(GuestAddr::wrapping(0x1000_0FFE), &[1, 2, 3, 4]);
            assert_eq!(written, Ok(()));
            context.set_reg(Reg::A1, 5);
            context.set_gas(Gas::new(9000).expect("small"));
        }
        Flow::Continue
    }
}

#[test]
fn answers_that_were_listened_to_stand_in_for_their_host() {
    let text = "ecalli 3\n add a1, a1, a1\n ecalli -2\n lui a2, 0x10001\n lw a2, 0(a2)\n ecalli 9";
    let start = Vector {
        name: "answered".into(),
        code: rivet::isa::asm::assemble(text).expect("it is code"),
        maps: vec![Map {
            start: 0x1000_0000,
            size: 0x2000,
            kind: RegionKind::CopyOnWrite,
        }],
        gas: Gas::new(100_000).expect("small"),
        ..Vector::default()
    };
    let interp = Engines::new(Backend::Interp).expect("the interpreter runs everywhere");
    let raw = Raw::new(start.code.clone());
    let raw = raw.region(0x1000_0000, 0x2000, RegionKind::CopyOnWrite, Vec::new());
    let engine = Engine::new(Config {
        backend: Backend::Interp,
        ..Config::default()
    });
    let program = engine.map(|engine| engine.load_raw(raw).expect("it loads"));
    let program = program.expect("the interpreter runs everywhere");
    let mut machine = program
        .machine(Start::at(0).with_gas(start.gas))
        .expect("no endpoint is named");
    let mut host = Generous(0);
    let mut listener = Listener::new(&mut host);
    let exit = machine.run(&mut listener).expect("the host is well");
    let vector = Vector {
        answers: listener.into_answers(),
        ..start
    };
    assert_eq!(vector.answers.len(), 2);
    let recorded = record(&interp, &vector, &[]).expect("it runs");
    let expect = &recorded.stages[0].expect;
    assert_eq!((expect.exit, expect.gas), (exit, machine.gas()));
    assert_eq!(expect.regs, RegSet(vec![(Reg::A1, 10), (Reg::A2, 0x0403)]));
    let backends = [Backend::Interp, Backend::Checked];
    for backend in backends
        .into_iter()
        .take(1 + usize::from(native_available().is_ok()))
    {
        let engines = Engines::new(backend).expect("the backend runs here");
        assert_eq!(check(&engines, &recorded), [], "{backend}");
        let mut poorer = recorded.clone();
        poorer.answers.pop();
        assert_ne!(check(&engines, &poorer), [], "{backend}");
    }
}

#[test]
fn there_are_at_least_five_thousand_vectors() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance-vectors");
    let files = collect(&folder).expect("there are files");
    let count = |path| read(path).expect("well formed").vectors.len();
    let total: usize = files.iter().map(|path| count(path)).sum();
    assert!(total >= 5_000, "{total} in {} files", files.len());
}

#[test]
fn folders_are_searched_and_a_folder_without_vectors_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let error = collect(folder.path()).expect_err("it is empty").to_string();
    assert!(error.contains("holds no vector files"), "{error}");
    let inner = folder.path().join("inner");
    std::fs::create_dir(&inner).expect("a folder");
    std::fs::write(inner.join("a.vec"), "pvm2-vectors 1\norigin engine x\n").expect("written");
    std::fs::write(inner.join("b.txt"), "").expect("written");
    let found = collect(folder.path()).expect("there is one");
    assert_eq!(found, [inner.join("a.vec")]);
    assert_eq!(read(&found[0]).expect("well formed").vectors, []);
}
