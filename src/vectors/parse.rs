//! The reader: text to vectors. Total; see `conformance-vectors/README.md` for the format.

use super::error::{ParseError, Problem};
use super::fields::{self, Words, rest};
use super::model::{Begin, Origin, Stage, Vector, VectorFile};
use super::{MAGIC, VERSION, token};
use rivet_engine::Exit;
use rivet_isa::Gas;
use std::collections::HashSet;
use std::mem;

/// Gas a vector starts with unless it says otherwise.
const DEFAULT_GAS: u64 = 1_000_000;

/// The fields of a vector.
const FIELDS: [&str; 14] = [
    "note",
    "code",
    "map",
    "multiplier",
    "start",
    "block",
    "end",
    "call",
    "regs",
    "bytes",
    "exit",
    "private",
    "resume",
    "again",
];

/// Reads the content of a file; `name` is what errors call it.
///
/// # Errors
/// [`ParseError`] with file, line and field of the first mistake.
pub fn parse(name: &str, content: &[u8]) -> Result<VectorFile, ParseError> {
    let error = |line, field: &str, problem| ParseError {
        file: name.to_owned(),
        line,
        field: field.to_owned(),
        problem,
    };
    let text = std::str::from_utf8(content).map_err(|e| {
        let before = &content[..e.valid_up_to()];
        let line = 1 + before.iter().filter(|b| **b == b'\n').count();
        error(line, "", Problem::NotText)
    })?;
    let mut reader = Reader::default();
    let mut last = (1, "");
    for (i, line) in text.lines().enumerate() {
        let line = without_comment(line);
        let mut words = line.split_whitespace();
        let Some(field) = words.next() else {
            continue;
        };
        last = (i + 1, field);
        reader
            .line(i + 1, field, Words(words), line)
            .map_err(|problem| error(i + 1, field, problem))?;
    }
    reader
        .finish()
        .map_err(|problem| error(last.0, last.1, problem))
}

/// A line up to a word that begins with `#`.
fn without_comment(line: &str) -> &str {
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        if c == '#' && before.is_whitespace() {
            return &line[..at];
        }
        before = c;
    }
    line
}

/// What the lines of the current vector describe.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Place {
    /// The state before.
    #[default]
    Setup,
    /// The state at an exit.
    After,
    /// In front of another run.
    Between,
}

#[derive(Default)]
struct Reader {
    magic: bool,
    origin: Option<Origin>,
    vectors: Vec<Vector>,
    names: HashSet<String>,
    place: Place,
    /// Where the run whose exit comes next begins.
    begin: Begin,
    started: bool,
    ended: bool,
    /// Bytes that the file has listed so far, expanded.
    listed: usize,
}

impl Reader {
    fn line(
        &mut self,
        number: usize,
        field: &str,
        mut words: Words<'_>,
        line: &str,
    ) -> Result<(), Problem> {
        if !self.magic {
            if field != MAGIC {
                return Err(Problem::Magic);
            }
            let version = token::number(words.next("the version")?)?;
            if version != VERSION {
                return Err(Problem::Version(version));
            }
            self.magic = true;
            return words.end();
        }
        match field {
            "origin" => self.origin(words, line),
            "vector" => self.vector(number, words),
            _ => self.field(field, words, line),
        }
    }

    fn origin(&mut self, mut words: Words<'_>, line: &str) -> Result<(), Problem> {
        if self.origin.is_some() {
            return Err(Problem::Twice);
        }
        let kind = words.next("`independent` or `engine`")?;
        let text = rest(rest(line, "origin")?, kind)?.to_owned();
        self.origin = Some(match kind {
            "independent" => Origin::Independent(text),
            "engine" => Origin::Engine(text),
            word => {
                let (word, known) = (word.to_owned(), "independent, engine");
                return Err(Problem::Word { word, known });
            }
        });
        Ok(())
    }

    fn vector(&mut self, line: usize, mut words: Words<'_>) -> Result<(), Problem> {
        if self.origin.is_none() {
            return Err(Problem::Origin);
        }
        let name = words.next("the name")?.to_owned();
        words.end()?;
        self.complete()?;
        if !self.names.insert(name.clone()) {
            return Err(Problem::SameName(name));
        }
        self.vectors.push(Vector {
            name,
            line,
            gas: Gas::new(DEFAULT_GAS).unwrap_or_default(),
            ..Vector::default()
        });
        (self.place, self.begin) = (Place::Setup, Begin::Start);
        (self.started, self.ended) = (false, false);
        Ok(())
    }

    /// Checks that the vector read last is complete.
    fn complete(&self) -> Result<(), Problem> {
        let Some(vector) = self.vectors.last() else {
            return Ok(());
        };
        match (self.place, &self.begin) {
            (Place::Between, Begin::Again(_)) => {
                return Err(Problem::Missing("`exit` after `again`"));
            }
            (Place::Between, _) => return Err(Problem::Missing("`exit` after `resume`")),
            _ => {}
        }
        if vector.statics.is_some() && !self.ended {
            return Err(Problem::Missing("`end` beside `block`"));
        }
        if vector.stages.is_empty() && vector.statics.is_none() {
            return Err(Problem::StatesNothing(vector.name.clone()));
        }
        Ok(())
    }

    fn finish(self) -> Result<VectorFile, Problem> {
        if !self.magic {
            return Err(Problem::Magic);
        }
        self.complete()?;
        let origin = self.origin.ok_or(Problem::Origin)?;
        let vectors = self.vectors;
        Ok(VectorFile { origin, vectors })
    }

    fn field(&mut self, field: &str, words: Words<'_>, line: &str) -> Result<(), Problem> {
        if !FIELDS.contains(&field) {
            return Err(Problem::UnknownField);
        }
        let Some(vector) = self.vectors.last_mut() else {
            return Err(Problem::NoVector);
        };
        let in_setup = self.place == Place::Setup;
        match field {
            "call" => vector
                .answers
                .push(fields::answer(words, &mut self.listed)?),
            "regs" | "bytes" | "exit" | "private" | "resume" | "again" => {
                return self.state(field, words);
            }
            _ if !in_setup => return Err(Problem::Place("before the first `exit`")),
            "note" => {
                let text = rest(line, "note")?.to_owned();
                if vector.note.replace(text).is_some() {
                    return Err(Problem::Twice);
                }
            }
            "code" => {
                fields::code(words, &mut vector.code, &mut self.listed)?;
            }
            "map" => fields::map(words, &mut vector.maps)?,
            "multiplier" => {
                if vector
                    .multiplier
                    .replace(fields::multiplier(words)?)
                    .is_some()
                {
                    return Err(Problem::Twice);
                }
            }
            "start" => {
                if mem::replace(&mut self.started, true) {
                    return Err(Problem::Twice);
                }
                fields::start(words, vector)?;
            }
            "block" => {
                let block = fields::block(words)?;
                let statics = vector.statics.get_or_insert_default();
                statics.blocks.push(block);
            }
            _ => {
                if mem::replace(&mut self.ended, true) {
                    return Err(Problem::Twice);
                }
                vector.statics.get_or_insert_default().end = fields::end(words)?;
            }
        }
        Ok(())
    }

    /// Fields whose meaning depends on whether they stand before or after an exit.
    fn state(&mut self, field: &str, words: Words<'_>) -> Result<(), Problem> {
        let after_exit = Problem::Place("after `exit`");
        let vector = self.vectors.last_mut().ok_or(Problem::NoVector)?;
        if field == "exit" {
            if self.place == Place::After {
                return Err(Problem::Place("once, or after `resume` or `again`"));
            }
            let begin = mem::take(&mut self.begin);
            let expect = fields::exit(words)?;
            vector.stages.push(Stage { begin, expect });
            self.place = Place::After;
            return Ok(());
        }
        if matches!(field, "resume" | "again") {
            if self.place != Place::After {
                return Err(after_exit);
            }
            self.place = Place::Between;
            if field == "again" {
                self.begin = Begin::Again(fields::again(words)?);
                return Ok(());
            }
            let last = vector.stages.last().map(|stage| stage.expect.exit);
            if last.is_some_and(Exit::is_final) {
                return Err(Problem::Place("after an exit that is not final"));
            }
            self.begin = Begin::Resume(fields::resume(words)?);
            return Ok(());
        }
        let stage = vector.stages.last_mut();
        let expect = stage.map(|stage| &mut stage.expect);
        match (self.place, field, expect) {
            (Place::Setup, "regs", _) => fields::regs(words)?.apply(&mut vector.regs),
            (Place::After, "regs", Some(expect)) => expect.regs.0.extend(fields::regs(words)?.0),
            (Place::Setup, "bytes", _) => {
                vector.bytes.push(fields::bytes(words, &mut self.listed)?)
            }
            (Place::After, "bytes", Some(expect)) => {
                expect.bytes.push(fields::bytes(words, &mut self.listed)?);
            }
            (Place::After, "private", Some(expect)) => {
                let pages = expect.private.get_or_insert_default();
                fields::private(words, pages)?;
            }
            _ => return Err(after_exit),
        }
        Ok(())
    }
}
