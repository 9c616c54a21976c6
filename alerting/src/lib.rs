//! logboom-alerting.
