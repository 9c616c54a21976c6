//! Trace and span ids, and what senders get wrong about them.

/// An id that is none. The item is an event all the same; who takes it from a sender may refuse it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdFault {
    #[error("`{0}` is missing")]
    Missing(&'static str),
    #[error("`{0}` is all zero, which says that there is none")]
    Zero(&'static str),
    #[error("`{name}` has {bytes} bytes instead of {expected}")]
    Length {
        name: &'static str,
        bytes: usize,
        expected: usize,
    },
}

/// An id of `N` bytes; all zero is none, says the protocol.
pub(super) fn id<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    let id: [u8; N] = bytes.try_into().ok()?;
    (id != [0; N]).then_some(id)
}

/// What is wrong with bytes that stand for an id.
pub(super) fn id_fault<const N: usize>(
    name: &'static str,
    bytes: &[u8],
    optional: bool,
) -> Option<IdFault> {
    match bytes.len() {
        0 if optional => None,
        0 => Some(IdFault::Missing(name)),
        bytes if bytes != N => Some(IdFault::Length {
            name,
            bytes,
            expected: N,
        }),
        _ if id::<N>(bytes).is_none() => Some(IdFault::Zero(name)),
        _ => None,
    }
}
