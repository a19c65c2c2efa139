//! The tree as text, and Rust source split into code, literals and comments.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// Something in the tree that breaks a rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Finding {
    pub(crate) path: String,
    /// Counted from 1; 0 stands for the whole file.
    pub(crate) line: usize,
    pub(crate) what: String,
}

impl Finding {
    pub(crate) fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            what: what.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// All files below the root by relative path with `/`; files that are not UTF-8 are empty.
#[derive(Clone, Default, Debug)]
pub(crate) struct Tree(pub(crate) BTreeMap<String, String>);

impl Tree {
    /// Reads the tree below `root` without build output and hidden folders other than `.ci`.
    pub(crate) fn read(root: &Path) -> Self {
        let mut tree = Self::default();
        tree.read_folder(root, "");
        tree
    }

    fn read_folder(&mut self, folder: &Path, prefix: &str) {
        let entries = std::fs::read_dir(folder).expect("the tree is readable");
        for entry in entries {
            let entry = entry.expect("the tree is readable");
            let name = entry.file_name().into_string().expect("names are UTF-8");
            let path = format!("{prefix}{name}");
            let kind = entry.file_type().expect("the tree is readable");
            if kind.is_dir() {
                if name != "target" && (!name.starts_with('.') || name == ".ci") {
                    self.read_folder(&entry.path(), &format!("{path}/"));
                }
            } else if kind.is_file() && path != ".git" {
                let bytes = std::fs::read(entry.path()).expect("the tree is readable");
                self.0
                    .insert(path, String::from_utf8(bytes).unwrap_or_default());
            }
        }
    }

    /// A tree of these files, for the tests of the rules.
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let files = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
        Self(files.collect())
    }

    pub(crate) fn get(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }

    pub(crate) fn contains(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The Rust files of the host, split.
    pub(crate) fn rust(&self) -> impl Iterator<Item = (&str, Rust)> {
        let rust = self
            .files()
            .filter(|(path, _)| path.ends_with(".rs") && !is_guest(path));
        rust.map(|(path, text)| (path, Rust::split(text)))
    }
}

/// Whether a file belongs to a program that runs inside the machine. Such programs are not part of
/// the workspace and reach the outside by custom instructions, so the host's rules on crates and
/// `unsafe` do not apply to them.
pub(crate) fn is_guest(path: &str) -> bool {
    path.starts_with("guests/")
}

/// Views of one Rust file, each as long as the file and with its line breaks; what does not
/// belong to a view is blank.
#[derive(Clone, Debug)]
pub(crate) struct Rust {
    /// Without comments and without the content of literals.
    pub(crate) code: String,
    /// Without comments.
    pub(crate) uncommented: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Code,
    Literal,
    Comment,
}

impl Rust {
    pub(crate) fn split(text: &str) -> Self {
        let chars: Vec<char> = text.chars().collect();
        let mut classes = vec![Class::Code; chars.len()];
        let mut at = 0;
        while at < chars.len() {
            let (class, end) = token(&chars, at);
            classes[at..end].fill(class);
            at = end;
        }
        let view = |keep: &dyn Fn(Class) -> bool| -> String {
            let pairs = chars.iter().zip(&classes);
            pairs
                .map(
                    |(c, class)| {
                        if keep(*class) || *c == '\n' { *c } else { ' ' }
                    },
                )
                .collect()
        };
        Self {
            code: view(&|class| class == Class::Code),
            uncommented: view(&|class| class != Class::Comment),
        }
    }

    /// Lines that hold more than blanks and comments.
    pub(crate) fn code_lines(&self) -> usize {
        let lines = self.uncommented.lines();
        lines.filter(|line| !line.trim().is_empty()).count()
    }
}

/// The class of what begins at `at`, and where it ends.
fn token(chars: &[char], at: usize) -> (Class, usize) {
    let starts = |text: &str| {
        text.chars()
            .enumerate()
            .all(|(i, c)| chars.get(at + i) == Some(&c))
    };
    let after_word = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    if starts("//") {
        return (Class::Comment, line_end(chars, at));
    }
    if starts("/*") {
        return (Class::Comment, block_comment_end(chars, at));
    }
    if !after_word {
        for prefix in ["r", "br", "cr"] {
            let hashes_at = at + prefix.len();
            if !starts(prefix) || hashes_at > chars.len() {
                continue;
            }
            let hashes = chars[hashes_at..].iter().take_while(|c| **c == '#').count();
            if chars.get(hashes_at + hashes) == Some(&'"') {
                return (
                    Class::Literal,
                    raw_end(chars, hashes_at + hashes + 1, hashes),
                );
            }
        }
    }
    match chars[at] {
        '"' => (Class::Literal, quoted_end(chars, at + 1, '"')),
        // 'x' and '\n' are literals, 'x without a closing quote is a lifetime.
        '\'' if chars.get(at + 1) == Some(&'\\') || chars.get(at + 2) == Some(&'\'') => {
            (Class::Literal, quoted_end(chars, at + 1, '\''))
        }
        _ => (Class::Code, at + 1),
    }
}

fn line_end(chars: &[char], at: usize) -> usize {
    let rest = chars[at..].iter().position(|c| *c == '\n');
    rest.map_or(chars.len(), |length| at + length)
}

fn block_comment_end(chars: &[char], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0_usize);
    while at + 1 < chars.len() {
        match (chars[at], chars[at + 1]) {
            ('/', '*') => (at, depth) = (at + 2, depth + 1),
            ('*', '/') => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    chars.len()
}

fn quoted_end(chars: &[char], start: usize, quote: char) -> usize {
    let mut at = start;
    while at < chars.len() && chars[at] != quote {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

fn raw_end(chars: &[char], start: usize, hashes: usize) -> usize {
    let closes = |at: usize| {
        let tail = &chars[at + 1..];
        chars[at] == '"' && tail.len() >= hashes && tail[..hashes].iter().all(|c| *c == '#')
    };
    let close = (start..chars.len()).find(|at| closes(*at));
    close.map_or(chars.len(), |at| at + 1 + hashes)
}

/// Where `word` stands in `text` as a whole word: byte offsets.
pub(crate) fn words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |at| {
            let (before, after) = (&text[..*at], &text[at + word.len()..]);
            !part(before.chars().next_back()) && !part(after.chars().next())
        })
}

/// The line, counted from 1, of a byte offset.
pub(crate) fn line_of(text: &str, at: usize) -> usize {
    1 + text[..at].matches('\n').count()
}

/// A function with a body: its name, the line of `fn`, the number of lines to its closing brace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    pub(crate) lines: usize,
}

/// The functions of a file, found in its code view by counting brackets.
pub(crate) fn functions(code: &str) -> Vec<Function> {
    words(code, "fn")
        .filter_map(|at| function_at(code, at))
        .collect()
}

fn function_at(code: &str, at: usize) -> Option<Function> {
    let rest = &code[at + "fn".len()..];
    let named = rest.trim_start();
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '$' || c == '#';
    let name: String = named.chars().take_while(|c| is_part(*c)).collect();
    if name.is_empty() {
        return None; // the type of a function pointer
    }
    let body = body_start(rest)?;
    let mut depth = 0_usize;
    for (offset, c) in rest[body..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            let line = line_of(code, at);
            let last = line_of(code, at + "fn".len() + body + offset);
            return Some(Function {
                name,
                line,
                lines: last - line + 1,
            });
        }
    }
    None
}

/// The opening brace of the body; `None` if the signature ends without one.
fn body_start(signature: &str) -> Option<usize> {
    let mut depth = 0_isize;
    for (at, c) in signature.char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            // Closes what surrounds a signature, as in a macro's pattern.
            '}' => return None,
            '{' if depth == 0 => return Some(at),
            ';' if depth == 0 => return None,
            _ => {}
        }
        if depth < 0 {
            return None;
        }
    }
    None
}
