//! logboom-disk.
