//! logboom-event.
