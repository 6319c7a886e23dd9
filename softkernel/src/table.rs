//! The map that packets look into.

use std::collections::HashMap;

/// A hash table whose seed is drawn for it alone. Its hash is no cryptographic one: what a stranger
/// may choose freely does not belong in as a key.
pub(crate) type Table<K, V> = HashMap<K, V, foldhash::fast::RandomState>;
