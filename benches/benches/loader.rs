//! The linker and the wire form of images, in bytes per second of what they read.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rivet_image::{Image, NoImages};
use rivet_loader::{LinkOptions, link};
use std::path::Path;

fn linking(c: &mut Criterion) {
    let mut group = c.benchmark_group("loader");
    for name in ["fib", "alloc", "print", "words"] {
        let path = format!("../guests/prebuilt/{name}.elf");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        let elf = std::fs::read(path).expect("prebuilt guests are there");
        group.throughput(Throughput::Bytes(elf.len() as u64));
        group.bench_function(format!("link/{name}"), |b| {
            b.iter(|| link(&elf, &LinkOptions::default()));
        });
        let linked = link(&elf, &LinkOptions::default());
        let image = linked.expect("prebuilt guests link").image;
        let bytes = image.encode().expect("images have a wire form");
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(format!("encode/{name}"), |b| b.iter(|| image.encode()));
        group.bench_function(format!("decode/{name}"), |b| {
            b.iter(|| Image::decode(&bytes, &NoImages));
        });
        group.bench_function(format!("decode and hash/{name}"), |b| {
            b.iter(|| Image::decode(&bytes, &NoImages).map(|image| image.address()));
        });
    }
    group.finish();
}

criterion_group!(benches, linking);
criterion_main!(benches);
