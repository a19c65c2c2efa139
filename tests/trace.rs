//! Tracing shows a run and does not change it; recordings can be compared with.

#[path = "support/mod.rs"]
mod support;

use rivet_engine::diff::{Script, raw};
use rivet_engine::{Backend, Config, Engine, Machine, Start, Traced, Tracer};
use rivet_isa::generate::{self, Damage};
use rivet_isa::{Gas, Inst, Pc, Slot};
use support::{json, path, rivet, stderr};

/// Counts, and looks at everything it may.
#[derive(Default)]
struct Curious {
    blocks: u64,
    instructions: u64,
    seen: u64,
}

impl Tracer for Curious {
    fn block(&mut self, start: Pc, view: Traced<'_>) {
        self.blocks += 1;
        self.seen ^= start.value() ^ view.gas();
    }

    fn instruction(&mut self, pc: Pc, inst: Inst, view: Traced<'_>) {
        self.instructions += 1;
        self.seen ^= pc.value() ^ view.reg(inst.rs1());
    }
}

fn everything(machine: &Machine) -> impl PartialEq + std::fmt::Debug {
    (
        *machine.regs(),
        machine.pc(),
        machine.gas(),
        machine.private_pages(),
        machine.memory_hash(),
    )
}

#[test]
fn tracing_never_changes_the_result() {
    let backends = [Backend::Interp, Backend::Auto];
    let engines = backends.map(|backend| {
        let config = Config {
            backend,
            ..Config::default()
        };
        Engine::new(config).expect("these run everywhere")
    });
    let mut instructions = 0;
    for seed in 0..300 {
        let case = match seed % 3 {
            0 => generate::hostile(Damage::ALL[(seed / 3 % 6) as usize], seed),
            _ => generate::program(seed ^ 0x7AACE),
        };
        let run = &case.runs[0];
        let gas = Gas::new(run.gas.min(100_000)).expect("below 2^63");
        let start = Start::at(run.entry).with_gas(gas);
        let slots = Slot::all().zip(run.slots);
        let start = slots.fold(start, |start, (slot, value)| start.with_slot(slot, value));
        for engine in &engines {
            let program = engine.load_raw(raw(&case)).expect("it loads");
            let mut plain = program.machine(start.clone()).expect("it starts");
            let mut traced = program.machine(start.clone()).expect("it starts");
            let mut host = Script { answers: true };
            let expected = plain.run(&mut host).expect("the host is well");
            let mut tracer = Curious::default();
            let exit = loop {
                let step = traced.trace(&mut host, &mut tracer);
                if let Some(exit) = step.expect("the host is well") {
                    break exit;
                }
            };
            assert_eq!(exit, expected, "seed {seed}");
            assert_eq!(
                format!("{:?}", everything(&traced)),
                format!("{:?}", everything(&plain)),
                "seed {seed}"
            );
            assert!(tracer.instructions >= tracer.blocks, "seed {seed}");
            instructions += tracer.instructions;
        }
    }
    assert!(instructions > 10_000, "{instructions} instructions");
}

fn fib() -> String {
    path("guests/prebuilt/fib.elf")
        .to_string_lossy()
        .into_owned()
}

#[test]
fn the_trace_of_a_program_ends_as_its_run_does() {
    let run = json(&rivet(&[
        "run",
        "--json",
        "--arg",
        "5",
        "--gas",
        "100000",
        &fib(),
    ]));
    let output = rivet(&[
        "trace",
        "--instructions",
        "--arg",
        "5",
        "--gas",
        "100000",
        &fib(),
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let last = text.lines().last().expect("a line");
    let (pc, gas) = (&run["pc"], &run["gas_left"]);
    let pc = pc.as_u64().expect("a number");
    let expected = format!("exit  halt at pc {pc:#x} gas {gas}");
    assert!(last.starts_with(&expected), "{last} is not {expected}");
    assert!(text.lines().any(|line| line.contains("block _start")));
}

#[test]
fn filters_leave_out_lines_and_not_work() {
    let whole = rivet(&["trace", "--instructions", "--arg", "5", &fib()]);
    let some = rivet(&[
        "trace",
        "--instructions",
        "--arg",
        "5",
        "--symbol",
        "_start",
        &fib(),
    ]);
    let none = rivet(&["trace", "--arg", "5", "--gas-window", "0:1", &fib()]);
    let lines = |output: &std::process::Output| {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let (whole, some, none) = (lines(&whole), lines(&some), lines(&none));
    assert!(some.len() < whole.len() && some.len() > 1);
    assert_eq!(none.len(), 1, "{none:?}");
    let unknown = rivet(&["trace", "--symbol", "nowhere", &fib()]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(stderr(&unknown).contains("nowhere"));
}

#[test]
fn a_recording_agrees_with_its_program_and_a_changed_one_does_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (trace, bad) = (file("fib.trace"), file("bad.trace"));
    let made = rivet(&["trace", "--binary", &trace, "--arg", "9", &fib()]);
    assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
    let same = rivet(&["diff", &fib(), "--trace", &trace, "--a", "auto", "--json"]);
    assert_eq!(same.status.code(), Some(0), "{}", stderr(&same));
    assert_eq!(json(&same)["differs"], false);
    assert_eq!(json(&same)["whole"], true);

    let recording = std::fs::read(&trace).expect("it was written");
    let piped = rivet(&["trace", "--binary", "-", "--arg", "9", &fib()]);
    assert_eq!(piped.stdout, recording, "- is standard output");
    std::fs::write(&bad, &recording[..recording.len() / 2]).expect("a file");
    let part = rivet(&["diff", &fib(), "--trace", &bad, "--json"]);
    assert_eq!(part.status.code(), Some(0), "{}", stderr(&part));
    assert_eq!(json(&part)["whole"], false);
    assert!(stderr(&part).contains("breaks off"), "{}", stderr(&part));
    let mut recording = rivet_engine::trace::Recording::decode(&recording).expect("it is one");
    let at = recording.records.len() / 2;
    let mut state = recording.header.start;
    if let rivet_engine::trace::Record::Step(there, _) = &mut recording.records[at] {
        there.regs.set(rivet_isa::Reg::A3, 0x1234_5678);
        state = *there;
    }
    let out = std::fs::File::create(&bad).expect("a file");
    let mut writer = rivet_engine::trace::Writer::new(out, &recording.header).expect("it is taken");
    for record in &recording.records {
        writer.record(record).expect("it is taken");
    }
    writer.finish().expect("it is taken");
    let findings = file("findings");
    let args = [
        "diff",
        &fib(),
        "--trace",
        &bad,
        "--a",
        "interp",
        "--json",
        "--findings",
        &findings,
    ];
    let differs = rivet(&args);
    assert_eq!(differs.status.code(), Some(1), "{}", stderr(&differs));
    let object = json(&differs);
    assert_eq!(object["field"], "slot 10 (a3)");
    assert_eq!(object["block_b"]["pc"], state.pc.value());
    let reproducer = object["reproducer"].as_str().expect("a path");
    assert!(std::path::Path::new(reproducer).exists());
}

#[test]
fn what_is_no_recording_of_this_program_is_refused_with_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (trace, none) = (file("a.trace"), file("none.trace"));
    rivet(&["trace", "--binary", &trace, "--arg", "3", &fib()]);
    let other = path("guests/prebuilt/hello.elf")
        .to_string_lossy()
        .into_owned();
    let refused = rivet(&["diff", &other, "--trace", &trace]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        stderr(&refused).contains("other code"),
        "{}",
        stderr(&refused)
    );

    std::fs::write(&none, b"rvtrace\0\x07").expect("a file");
    let refused = rivet(&["diff", &fib(), "--trace", &none]);
    assert_eq!(refused.status.code(), Some(2));
    let message = stderr(&refused);
    for part in ["none.trace", "offset 8", "version"] {
        assert!(message.contains(part), "{message}");
    }

    rivet(&[
        "trace",
        "--instructions",
        "--binary",
        &trace,
        "--arg",
        "3",
        &fib(),
    ]);
    let refused = rivet(&["diff", &fib(), "--trace", &trace]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        stderr(&refused).contains("instructions"),
        "{}",
        stderr(&refused)
    );
}

#[test]
fn a_recording_that_differs_leads_to_the_instruction_that_wrote_last() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let (code, trace) = (file("code.bin"), file("code.trace"));
    let text = "addi a0, a0, 1\n addi a3, a3, 2\n addi a4, a3, 1\n fallthrough\n trap";
    let bytes = rivet_isa::asm::assemble(text).expect("it is code");
    std::fs::write(&code, bytes).expect("a file");
    let made = rivet(&["trace", "--binary", &trace, "--raw", &code]);
    assert_eq!(made.status.code(), Some(1), "{}", stderr(&made));
    let bytes = std::fs::read(&trace).expect("it was written");
    let mut recording = rivet_engine::trace::Recording::decode(&bytes).expect("it is one");
    let step = recording.records.first_mut();
    let Some(rivet_engine::trace::Record::Step(there, _)) = step else {
        panic!("the first block is a step");
    };
    there.regs.set(rivet_isa::Reg::A3, 3);
    there.regs.set(rivet_isa::Reg::A4, 4);
    let out = std::fs::File::create(&trace).expect("a file");
    let mut writer = rivet_engine::trace::Writer::new(out, &recording.header).expect("it is taken");
    for record in &recording.records {
        writer.record(record).expect("it is taken");
    }
    writer.finish().expect("it is taken");
    let findings = file("findings");
    let args = ["diff", &code, "--raw", "--trace", &trace, "--a", "interp"];
    let differs = rivet(&[&args[..], &["--json", "--findings", &findings]].concat());
    assert_eq!(differs.status.code(), Some(1), "{}", stderr(&differs));
    let found = &json(&differs)["instruction"];
    assert_eq!((&found["pc"], &found["shown"]), (&4.into(), &false.into()));
    assert_eq!(json(&differs)["reproducer_is"], "claim");
    // The vector states what the recording says: a3 = 3, a4 = 4.
    let claim = json(&differs)["reproducer"].as_str().map(str::to_owned);
    let claim = claim.expect("a path");
    let checked = rivet(&["vectors", "run", "--engine", "interp", &claim]);
    assert_eq!(checked.status.code(), Some(1), "{}", stderr(&checked));
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    for line in ["x13: expected 0x3, got 0x2", "x14: expected 0x4, got 0x3"] {
        assert!(said.contains(line), "{said}");
    }
    let shown = rivet(&[&args[..], &["--findings", &findings]].concat());
    let text = String::from_utf8_lossy(&shown.stdout);
    assert!(
        text.contains("was last written, or decided, at 0x4: addi a3, a3, 2"),
        "{text}"
    );
    assert!(
        text.contains("the engine that made the recording can"),
        "{text}"
    );
}
