//! logboom-client.
