//! logboom-ui.
