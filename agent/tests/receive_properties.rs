//! What holds for every body, however odd. The bodies are those of the fuzz targets.

use proptest::prelude::*;

#[path = "../fuzz/bodies.rs"]
mod bodies;

/// Bytes that often are nested messages, so that something is found behind the first field.
fn message(depth: u32) -> BoxedStrategy<Vec<u8>> {
    let noise = proptest::collection::vec(any::<u8>(), 0..24).boxed();
    if depth == 0 {
        return noise;
    }
    let field = (1u8..13, message(depth - 1)).prop_map(|(number, content)| {
        let mut field = vec![number << 3 | 2];
        field.push(content.len().min(127) as u8);
        field.extend(content.into_iter().take(127));
        field
    });
    let fields = proptest::collection::vec(field, 0..4).prop_map(|fields| fields.concat());
    prop_oneof![1 => noise, 6 => fields].boxed()
}

proptest! {
    #[test]
    fn any_body_is_sorted_or_refused(first: u8, body in message(4)) {
        bodies::http(&[&[first][..], &body].concat());
        let length = (body.len() as u32).to_be_bytes();
        bodies::grpc(&[&[first, 0], &length[..], &body].concat());
        bodies::grpc(&[&[first][..], &body].concat());
    }
}
