//! Content that the embedder places while pages are open.
#![cfg(has_windows)]

mod common;

use std::sync::Arc;

use common::*;
use rivet_paging::*;

#[test]
fn content_can_be_placed_on_a_page_that_a_run_left_open() {
    let layout = Layout::new(vec![Region::ephemeral(pages(0x2000_0000, 2000), COST)]).unwrap();
    let mut guest = NativeGuest::new(
        &Arc::new(layout),
        &WindowPool::default(),
        Tracker::Windows,
        1 << 40,
    );
    let at = |page: u32| GuestAddr::new(0x2000_0000 + (page << 12));
    // More runs of open pages than the end of a run closes.
    for n in 0..20 {
        let done = guest.store(at(40 * n + 24), AccessLen::Double, 7);
        assert!(matches!(done, Native::Done { .. }));
    }
    guest.end();
    assert!(guest.space.open_charge() > 0);
    guest.space.place(at(25), &[9; 8]).unwrap();
    assert_eq!(guest.space.load(at(25), AccessLen::Byte), Ok(9));
    assert!(!guest.space.is_private(at(25).page()));
    assert_eq!(guest.space.load(at(24), AccessLen::Double), Ok(7));
    assert_eq!(guest.space.private_count(), 20);
}
