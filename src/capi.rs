//! Face 2: the C ABI (in the making).
