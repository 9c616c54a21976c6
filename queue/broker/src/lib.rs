//! logboom-broker.
