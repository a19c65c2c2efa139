//! The test vectors of kernel ABI §3.8 that concern labels, Data, Key, SlotPath,
//! Image and lineage.

use rivet_image::lineage::{self, KernelLabel};
use rivet_image::{
    Data, Digest, EndpointDef, Image, ImageBuilder, Key, Mapping, NoImages, SlotPath, Source,
    page_root,
};
use rivet_isa::Pc;

const PAGE: u64 = 4096;

/// `ecalli 0`.
const CODE: [u8; 4] = [0x0b, 0x20, 0x00, 0x00];

#[track_caller]
fn assert_hex(found: Digest, expected: &str) {
    assert_eq!(found.to_string(), expected);
}

fn hello(size: u64) -> Data {
    Data::from_bytes(size, b"Hello").unwrap()
}

fn image_a() -> Image {
    ImageBuilder::new(CODE)
        .endpoint(Key::byte(0), EndpointDef::at(Pc::new(0)))
        .build()
        .unwrap()
}

fn image_b() -> Image {
    ImageBuilder::new(CODE)
        .endpoint(
            Key::byte(0),
            EndpointDef {
                arg_registers: 4,
                ..EndpointDef::at(Pc::new(0)).with_stack_top(0x1080_0000)
            },
        )
        .mapping(Mapping {
            start: 0x1000_0000,
            size: 0x1000,
            source: Source::Persistent(Key::byte(5).into()),
        })
        .mapping(Mapping {
            start: 0x1000_1000,
            size: 0x2000,
            source: Source::Ephemeral,
        })
        .pinned(Key::byte(3), hello(PAGE))
        .yield_receiver_slot(Key::byte(9))
        .gas_slot(Key::byte(7))
        .quota_slot(Key::byte(8))
        .build()
        .unwrap()
}

#[test]
fn kernel_labels_hash_to_their_vectors() {
    for (label, expected) in [
        (
            KernelLabel::Gas,
            "50c212eaebbb44fab01af46338988a0257ec41c4495433a2786055cc8b038b9c",
        ),
        (
            KernelLabel::Quota,
            "c026a30ae1af03b7108ec4ef9490781f262ee5d6766677c4e3156ba6868bc88a",
        ),
        (
            KernelLabel::YieldSender,
            "1f9d517097d1d39b318f282fc15d71b7379ef55dfc44251232290a794af3195a",
        ),
        (
            KernelLabel::YieldReceiver,
            "66c107c8e9f83fbe5864f04d8402d60032673846247175a13e967bfebea54297",
        ),
        (
            KernelLabel::GasMeter,
            "27c0e56b0e14fc26e7c245c93c37bceb0719585221f2f53edac1ff99fd21b431",
        ),
        (
            KernelLabel::StorageQuota,
            "cab70df0e7d995fc4860b7f3a140d7633334f84204af69391e60832a9e1ab164",
        ),
        (
            KernelLabel::Bridge,
            "876ccfc226173caee4996a7f3626bb8540dfd64540e5f39cc90d4a4af2751e5c",
        ),
    ] {
        assert_hex(label.image_hash(), expected);
    }
}

#[test]
fn extension_of_two_values_is_blake2b_of_both() {
    let extended = lineage::extend(Digest::new([0x11; 32]), Digest::new([0x22; 32]));
    assert_hex(
        extended,
        "428d37d6b34f605a8ff32b6a04c95d9c7d2aead9ecde193b2f5019b7f13ced23",
    );
}

#[test]
fn data_of_zeros_is_addressed_by_its_size() {
    for (size, expected) in [
        (
            0,
            "6735630c0dd0ae42f505cf2e229851902e57048e0fe30b86144a3d97a5f0f46a",
        ),
        (
            PAGE,
            "bca79a4850d7c13977a98026c2d86dd151e9e1bdd6c3673e307c723a5f30024a",
        ),
        (
            2 * PAGE,
            "fcbf471debe1eb8852caff0450931d4d9765756f4afd5cfbccfcf503a98f44a3",
        ),
    ] {
        assert_hex(Data::zeros(size).unwrap().address(), expected);
    }
}

#[test]
fn data_with_text_is_addressed_by_content_place_and_size() {
    assert_hex(
        page_root(b"Hello"),
        "d18debe85b2b37dba79941b8401018b124b7922a0df2f082f9ff22e9d750e36f",
    );
    assert_hex(
        hello(PAGE).address(),
        "abf2bde79b1ef9bf7ea8f7e21cf29fecda2074d08ff6da6b4766bad57f4a5099",
    );
    assert_hex(
        hello(2 * PAGE).address(),
        "5dba284295b74741dc87cf487750a752de0f8335ff97db5a7c129eb5c7ffebcb",
    );
    let middle = Data::from_pages(3 * PAGE, [(1, b"Hello".as_slice())]).unwrap();
    assert_hex(
        middle.address(),
        "8373bcc5e8714dd1dcc427e212f2f4a1d8f19f108ac794b3be43cf0b6eb6db49",
    );
}

#[test]
fn keys_and_paths_have_their_roots() {
    assert_hex(
        Key::new(&[]).unwrap().root(),
        "fcada1ce97f6629a9b31bd46dc9824a4ee18e91bb76243e16387616176e1d899",
    );
    assert_hex(
        Key::byte(0).root(),
        "ac366d1d6b1305dc95ca405891d3109410c7a55c94cf74f0949853991e688e94",
    );
    let path = SlotPath::new(vec![Key::byte(0), Key::byte(5)]).unwrap();
    assert_hex(
        path.root(),
        "aaca0e3935624405a6f8a408818e8937ed8f08257bd9b2462c1e724f18b98e52",
    );
}

#[test]
fn images_a_and_b_have_their_addresses() {
    assert_hex(
        image_a().address(),
        "18f767717b0bdc64d7c761a89b307bf8ba8252c379e83d5849f2445cfb207de0",
    );
    assert_hex(
        image_b().address(),
        "9eaed1227332e44c88f801498172edc67b156327b0e8f371c4d16de48a43d9fa",
    );
}

#[test]
fn lineage_of_b_derived_from_a_genesis_instance_of_a() {
    // The lineage at genesis is the address of the image (§3.7).
    let genesis = image_a().address();
    assert_hex(
        lineage::extend(genesis, image_b().address()),
        "eeb4b28b07e5cde45a5bdaf5bc164882162f7d4358693b09ecc6a6ad32dd75c3",
    );
}

#[test]
fn addresses_survive_the_wire_form() {
    for image in [image_a(), image_b()] {
        let wire = image.encode().unwrap();
        let read = Image::decode(&wire, &NoImages).unwrap();
        assert_eq!(read, image);
        assert_eq!(read.address(), image.address());
    }
}
