//! How an address is split over two instructions.

/// The part of a value that `lui` or `auipc` holds, as the decoder gives it.
pub(crate) fn high_part(value: u64) -> i32 {
    (value.wrapping_add(0x800) as u32 & 0xFFFF_F000) as i32
}

/// The signed low part that goes with [`high_part`].
pub(crate) fn low_part(value: u64) -> i32 {
    ((value as u32) << 20) as i32 >> 20
}

/// Whether a distance can be split into high and low part.
pub(crate) fn fits_pair(distance: u64) -> bool {
    let rounded = (distance as i64).wrapping_add(0x800);
    i32::try_from(rounded).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up_to_the_value() {
        for value in [
            0u64,
            0x7FF,
            0x800,
            0xFFF,
            0x1000,
            0x40_0FFF,
            0x7FFF_F7FF,
            (-1i64) as u64,
        ] {
            let sum = i64::from(high_part(value)) + i64::from(low_part(value));
            assert_eq!(sum as u64, value, "{value:#x}");
            assert!(fits_pair(value));
        }
    }

    #[test]
    fn a_pair_reaches_two_gibibytes_minus_half_a_page_part() {
        assert!(fits_pair(0x7FFF_F7FF));
        assert!(!fits_pair(0x7FFF_F800));
        assert!(fits_pair((-0x8000_0800i64) as u64));
        assert!(!fits_pair((-0x8000_0801i64) as u64));
    }
}
