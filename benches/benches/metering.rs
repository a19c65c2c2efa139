//! What exact gas costs: every guest with its gates and with the gates left out, and how large
//! native code is beside the guest's.
//!
//! `cargo bench -p rivet-benches --bench metering -- [ROUNDS] [GUEST…]`. Rounds are interleaved
//! and each time is the best of its rounds, so only the ratios mean much on a busy machine.
//! Translation is not counted. Both forms must give the guest's native value.

use rivet_benches::figure::{Figure, geomean};
use rivet_benches::gates::{APART, Rig};
use rivet_benches::guests::guests;

fn main() {
    let args = std::env::args().skip(1).filter(|arg| !arg.starts_with('-'));
    let (numbers, wanted): (Vec<_>, Vec<_>) = args.partition(|arg| arg.parse::<u32>().is_ok());
    let rounds = numbers.first().and_then(|arg| arg.parse().ok());
    let rounds = rounds.unwrap_or(7);
    let rig = Rig::new();
    println!(
        "{:<12} {:>9} {:>9} {:>7} {:>7}",
        "guest", "exact ms", "none ms", "ratio", "bytes"
    );
    let (mut ratios, mut native, mut bytes) = (Vec::new(), 0, 0);
    let all = guests(&wanted).into_iter();
    for guest in all.filter(|guest| !APART.contains(&guest.name.as_str())) {
        let both = rig.measure(&guest, rounds);
        let [exact, none] = [both.exact, both.none].map(|time| time.as_secs_f64() * 1e3);
        let size = both.totals.native_bytes as f64 / both.totals.guest_bytes as f64;
        println!(
            "{:<12} {exact:>9.2} {none:>9.2} {:>7.3} {size:>7.2}",
            guest.name,
            both.ratio()
        );
        ratios.push(both.ratio());
        native += both.totals.native_bytes;
        bytes += both.totals.guest_bytes;
    }
    let name = format!("time with exact gas over time without, {}", ratios.len());
    println!("{}", Figure::new(name, "geomean", geomean(&ratios), 1.03));
    let size = native as f64 / bytes.max(1) as f64;
    println!(
        "{}",
        Figure::new("native bytes for one of the guests", "", size, 3.0)
    );
}
