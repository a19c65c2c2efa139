//! A guest in Rust with `alloc`: counts words, sorts, formats, calls through
//! trait objects. Compiled for the machine at hand it is an ordinary program
//! that takes `n` on its command line.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

#[cfg(target_os = "none")]
mod pvm2;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// The generator that the C guests use, so that sizes compare.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

fn mix(sum: u64, value: u64) -> u64 {
    let sum = (sum ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    sum ^ sum >> 29
}

/// Something that looks at every word.
trait Observer {
    fn see(&mut self, word: &str);
    fn report(&self) -> String;
}

#[derive(Default)]
struct Longest(String);

impl Observer for Longest {
    fn see(&mut self, word: &str) {
        if word.len() > self.0.len() {
            self.0 = word.to_string();
        }
    }

    fn report(&self) -> String {
        format!("longest {:?}", self.0)
    }
}

#[derive(Default)]
struct Letters([u32; 26]);

impl Observer for Letters {
    fn see(&mut self, word: &str) {
        for letter in word.bytes().filter(u8::is_ascii_lowercase) {
            self.0[usize::from(letter - b'a')] += 1;
        }
    }

    fn report(&self) -> String {
        let (letter, count) = (b'a'..=b'z')
            .zip(self.0)
            .max_by_key(|&(_, count)| count)
            .expect("there are 26 letters");
        format!("letter {} x {count:>5}", char::from(letter))
    }
}

struct Average {
    words: u32,
    letters: u32,
}

impl Observer for Average {
    fn see(&mut self, word: &str) {
        self.words += 1;
        self.letters += word.len() as u32;
    }

    fn report(&self) -> String {
        format!(
            "average {:.3}",
            f64::from(self.letters) / f64::from(self.words)
        )
    }
}

fn word(random: &mut Random) -> String {
    const SYLLABLES: [&str; 8] = ["ri", "vet", "gas", "pa", "ge", "lo", "tra", "p"];
    let mut bits = random.next() >> 20;
    let mut text = String::new();
    for _ in 0..1 + bits % 4 {
        bits /= 5;
        text.push_str(SYLLABLES[(bits % 8) as usize]);
    }
    text
}

/// Counts `n` words (default 100); returns a checksum and prints a report.
fn run(n: u64, print: &mut dyn FnMut(&str)) -> u64 {
    let n = if n == 0 { 100 } else { n };
    let mut random = Random(5);
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut observers: Vec<Box<dyn Observer>> = Vec::new();
    observers.push(Box::<Longest>::default());
    observers.push(Box::<Letters>::default());
    observers.push(Box::new(Average {
        words: 0,
        letters: 0,
    }));
    for _ in 0..n {
        let word = word(&mut random);
        for observer in &mut observers {
            observer.see(&word);
        }
        *counts.entry(word).or_insert(0) += 1;
        if counts.len() > 300 {
            counts.pop_first();
        }
    }
    let mut sorted: Vec<(&String, u64)> =
        counts.iter().map(|(word, &count)| (word, count)).collect();
    sorted.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.len().cmp(&b.0.len())));
    for (word, count) in sorted.iter().take(3) {
        print(&format!("{word:<12}{count:>6} {:#06x}\n", count * 257));
    }
    let mut sum = 0;
    for observer in &observers {
        let report = observer.report();
        print(&format!("{report}\n"));
        sum = report
            .bytes()
            .fold(sum, |sum, byte| mix(sum, u64::from(byte)));
    }
    sorted.iter().fold(sum, |sum, (word, count)| {
        mix(sum, count + word.len() as u64 * 1000)
    })
}

#[cfg(not(target_os = "none"))]
fn main() {
    let n = std::env::args()
        .nth(1)
        .map_or(0, |n| n.parse().expect("N is a number"));
    let value = run(n, &mut |text| print!("{text}"));
    eprintln!("halt {value:#x}");
}
