//! Any text parses or is refused, and what parses reads back as the same query. The same body runs
//! as a property test in `tests/properties.rs`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use logboom_query::{SPANS, parse_in};

fuzz_target!(|text: &str| {
    for index in [None, Some(SPANS)] {
        if let Ok(query) = parse_in(text, index) {
            let shown = query.to_string();
            let again = parse_in(&shown, index).expect("what is shown parses");
            assert_eq!(again, query);
        }
    }
});
