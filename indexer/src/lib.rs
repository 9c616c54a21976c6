//! logboom-indexer.
