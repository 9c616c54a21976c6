//! logboom-query.
