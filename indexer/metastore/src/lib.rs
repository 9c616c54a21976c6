//! logboom-metastore.
