//! Lists and maps from the wire, refused at the first item too many: small items take many times more
//! memory than bytes, so to read all and then count would be too late (D3).

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

/// A list of at most `MAX` items.
#[derive(Debug)]
pub(crate) struct AtMost<T, const MAX: usize>(pub(crate) Vec<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for AtMost<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        list::<T, D, MAX>(deserializer).map(Self)
    }
}

/// Read a list of at most `MAX` items.
pub(crate) fn list<'de, T: Deserialize<'de>, D: Deserializer<'de>, const MAX: usize>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    deserializer.deserialize_seq(Items::<Vec<T>, MAX>(PhantomData))
}

/// Read a map of at most `MAX` items.
pub(crate) fn map<'de, K, V, D, const MAX: usize>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
where
    K: Deserialize<'de> + Ord,
    V: Deserialize<'de>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_map(Items::<BTreeMap<K, V>, MAX>(PhantomData))
}

struct Items<C, const MAX: usize>(PhantomData<C>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Items<Vec<T>, MAX> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {MAX} items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
        let mut read = Vec::new();
        while let Some(item) = items.next_element()? {
            if read.len() == MAX {
                return Err(A::Error::invalid_length(MAX + 1, &self));
            }
            read.push(item);
        }
        Ok(read)
    }
}

impl<'de, K: Deserialize<'de> + Ord, V: Deserialize<'de>, const MAX: usize> Visitor<'de>
    for Items<BTreeMap<K, V>, MAX>
{
    type Value = BTreeMap<K, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {MAX} items")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<BTreeMap<K, V>, A::Error> {
        let mut read = BTreeMap::new();
        while let Some((key, value)) = items.next_entry()? {
            if read.len() == MAX {
                return Err(A::Error::invalid_length(MAX + 1, &self));
            }
            read.insert(key, value);
        }
        Ok(read)
    }
}
