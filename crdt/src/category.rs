//! What money is for, as the books of the guild name it (§11).
//!
//! A decision to pay may carry one; members give incoming coins one by a label, `category:…`. It decides
//! nothing: no rule of votes or payments looks at it.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What a label begins with that names a category.
pub const LABEL_PREFIX: &str = "category:";

/// What a coin came in for, or went out for. New ones are appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Category {
    /// A member paid in.
    Contribution,
    /// A block that the guild mined.
    BlockReward,
    /// A pool paid for work.
    PoolPayout,
    /// Space, cooling and care for machines.
    Hosting,
    /// Electricity.
    Power,
    /// Machines and parts.
    Hardware,
    /// Mending machines.
    Repair,
    /// Hash rate rented, out or in.
    RentedHashRate,
    /// Coins sold or bought.
    Sale,
    /// Paid out to members.
    Distribution,
    /// What miners of Bitcoin took.
    NetworkFee,
    /// Setting an earlier mistake right.
    Correction,
}

/// A word that names no category.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is no category: contribution, block-reward, pool-payout, hosting, power, hardware, repair, rented-hash-rate, sale, distribution, network-fee, correction"
)]
pub struct NotACategory(String);

/// All categories, and what they are called.
pub const CATEGORIES: [(Category, &str); 12] = [
    (Category::Contribution, "contribution"),
    (Category::BlockReward, "block-reward"),
    (Category::PoolPayout, "pool-payout"),
    (Category::Hosting, "hosting"),
    (Category::Power, "power"),
    (Category::Hardware, "hardware"),
    (Category::Repair, "repair"),
    (Category::RentedHashRate, "rented-hash-rate"),
    (Category::Sale, "sale"),
    (Category::Distribution, "distribution"),
    (Category::NetworkFee, "network-fee"),
    (Category::Correction, "correction"),
];

impl Category {
    /// The category that a label names: its first word that begins with [`LABEL_PREFIX`].
    #[must_use]
    pub fn of_label(label: &str) -> Option<Self> {
        label.split_whitespace().find_map(|word| word.strip_prefix(LABEL_PREFIX)?.parse().ok())
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = CATEGORIES.iter().find(|(category, _)| category == self).map_or("", |(_, name)| name);
        f.pad(name)
    }
}

impl FromStr for Category {
    type Err = NotACategory;
    fn from_str(word: &str) -> Result<Self, NotACategory> {
        let found = CATEGORIES.iter().find(|(_, name)| *name == word);
        found.map(|(category, _)| *category).ok_or_else(|| NotACategory(word.chars().take(80).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_category_is_called_what_its_json_says() {
        for (category, name) in CATEGORIES {
            assert_eq!(category.to_string(), name);
            assert_eq!(name.parse(), Ok(category));
            let encoded = postcard::to_stdvec(&category).unwrap();
            assert_eq!(postcard::from_bytes::<Category>(&encoded).unwrap(), category);
        }
        assert!("rent".parse::<Category>().is_err());
    }

    #[test]
    fn a_label_names_a_category_among_other_words() {
        assert_eq!(Category::of_label("Ocean #12 category:pool-payout"), Some(Category::PoolPayout));
        assert_eq!(Category::of_label("category:nothing category:sale"), Some(Category::Sale));
        assert_eq!(Category::of_label("hosting"), None);
    }
}
