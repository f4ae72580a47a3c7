//! Private messages and requests between occupants.
