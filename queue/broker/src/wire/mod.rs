//! The Kafka wire protocol up to typed messages: frames, the guard that bounds a request before anything is
//! allocated for it, and the codec. Pure functions of bytes, apart from `frame`, which reads any `AsyncRead`.

pub(crate) mod codec;
pub(crate) mod frame;
pub(crate) mod guard;
pub(crate) mod shape;
#[cfg(test)]
pub(crate) mod tests;
