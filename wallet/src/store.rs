//! Where a treasury's change sets lie: rows of JSON in a sled tree, numbered in the order they were said.
//!
//! sled is no safe place (protocol §12), and need not be one here: all of it comes back from Bitcoin. A
//! store that cannot be read is cleared, and the treasury walks the chain again.

use crate::treasury::ChangeSet;

/// The tree's name in the database.
pub const TREE: &str = "treasury";
/// That of what a second chain source told: see [`crate::chain::Cross`].
pub const CHECK_TREE: &str = "treasury-check";

/// A treasury's change sets on disk.
#[derive(Debug, Clone)]
pub struct Store {
    tree: sled::Tree,
    next: u64,
}

/// Why a store cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database failed.
    #[error("the treasury's database failed")]
    Database(#[from] sled::Error),
    /// A row is not what was written: clear the store and walk the chain again.
    #[error("row {row:?} of the treasury's store cannot be read")]
    Row {
        /// The row's key.
        row: Vec<u8>,
        /// What is wrong with its content, if its key is right.
        #[source]
        source: Option<serde_json::Error>,
    },
}

impl Store {
    /// The store in this database, empty at first.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub fn open(database: &sled::Db) -> Result<Self, StoreError> {
        Ok(Self { tree: database.open_tree(TREE)?, next: 0 })
    }

    /// The store of what a second chain source told.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub fn open_check(database: &sled::Db) -> Result<Self, StoreError> {
        Ok(Self { tree: database.open_tree(CHECK_TREE)?, next: 0 })
    }

    /// Read all rows and merge them, on disk too. None if there are none. Call it before
    /// [`Store::append`].
    ///
    /// # Errors
    ///
    /// [`StoreError::Row`] for content that nobody here wrote.
    pub fn load(&mut self) -> Result<Option<ChangeSet>, StoreError> {
        let mut merged = ChangeSet::default();
        let mut keys = Vec::new();
        for row in self.tree.iter() {
            let (key, value) = row?;
            let unreadable = |source| StoreError::Row { row: key.to_vec(), source };
            let number = <[u8; 8]>::try_from(key.as_ref()).map_err(|_| unreadable(None))?;
            let change = serde_json::from_slice::<ChangeSet>(&value);
            merged.merge(change.map_err(|source| unreadable(Some(source)))?);
            self.next = u64::from_be_bytes(number).saturating_add(1);
            keys.push(key);
        }
        if keys.len() > 1 {
            self.compact(&keys, &merged)?;
        }
        Ok((!keys.is_empty()).then_some(merged))
    }

    /// Put one row in the place of all, in one step.
    fn compact(&mut self, keys: &[sled::IVec], merged: &ChangeSet) -> Result<(), StoreError> {
        let mut batch = sled::Batch::default();
        for key in keys {
            batch.remove(key);
        }
        batch.insert(&self.next.to_be_bytes(), encode(merged));
        self.tree.apply_batch(batch)?;
        self.next += 1;
        Ok(())
    }

    /// Write what [`crate::Treasury::take_staged`] gave.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub fn append(&mut self, change: &ChangeSet) -> Result<(), StoreError> {
        if !change.is_empty() {
            self.tree.insert(self.next.to_be_bytes(), encode(change))?;
            self.next += 1;
        }
        Ok(())
    }

    /// Hand everything to the system. A power failure may still take it: see above.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub fn flush(&self) -> Result<(), StoreError> {
        self.tree.flush()?;
        Ok(())
    }

    /// Forget everything: the treasury walks the chain again.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub fn clear(&mut self) -> Result<(), StoreError> {
        self.tree.clear()?;
        self.next = 0;
        Ok(())
    }
}

fn encode(change: &ChangeSet) -> Vec<u8> {
    serde_json::to_vec(change).expect("the keys of all maps of a change set are strings or numbers")
}

#[cfg(test)]
mod tests;
