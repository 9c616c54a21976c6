//! Any text parses or is refused, and what parses reads back as the same query. The same body runs
//! as a property test in `tests/properties.rs`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use logboom_query::parse;

fuzz_target!(|text: &str| {
    if let Ok(query) = parse(text) {
        let shown = query.to_string();
        let again = parse(&shown).expect("what is shown parses");
        assert_eq!(again, query);
    }
});
