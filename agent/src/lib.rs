//! logboom-agent.
