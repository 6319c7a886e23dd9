//! setkey(8) text.
