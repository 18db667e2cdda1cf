//! The treasury as people see it: addresses, coins, and how long coins have rested.

use super::Node;
use crate::api::dto::treasury::{
    Address, AddressQuery, CoinDto, Coins, Descriptor, Freeze, TreasuryAnswer, TreasuryCommand,
};
use crate::api::dto::{Answer, V, Wait};
use crate::error::{Code, Failure, Outcome};
use bitcoin::OutPoint;
use crdt::MemberId;
use crdt::workspace::LabelKind;
use std::str::FromStr as _;
use wallet::treasury::{ADDRESSES, MINING};
use wallet::{Coin, Treasury, View, address, recovery};

impl Node {
    pub(super) fn on_treasury(&mut self, command: TreasuryCommand) -> Outcome<Answer> {
        self.open_treasury_when_ready(); // the key may have become usable since the last tick
        let answer = match command {
            TreasuryCommand::Address(query) => TreasuryAnswer::Address(self.deposit_address(&query)?),
            TreasuryCommand::Coins => TreasuryAnswer::Coins(self.coins()?),
            TreasuryCommand::Freeze(freeze) => TreasuryAnswer::Coin(Box::new(self.freeze(&freeze)?)),
            TreasuryCommand::Descriptor => TreasuryAnswer::Descriptor(self.descriptor()?),
        };
        Ok(Answer::Treasury(Box::new(answer)))
    }

    /// The treasury, once its key is usable: before that nobody may see an address (K2).
    fn shown(&self) -> Outcome<&Treasury> {
        let usable = self.state().usable_key().is_some();
        self.treasury.as_ref().filter(|_| usable).ok_or_else(|| {
            let why =
                "no address is shown before all co-signers stored their shares and two test signatures exist";
            Failure::new(Code::TryAgain, why)
        })
    }

    fn deposit_address(&self, query: &AddressQuery) -> Outcome<Address> {
        let treasury = self.shown()?;
        let member = match (&query.member, query.mining) {
            (Some(_), true) => return Err(Failure::usage("a member's address or that of mining, not both")),
            (None, true) => None,
            (None, false) => Some(self.me),
            (Some(name), false) => Some(self.member_called(name)?),
        };
        let index = match &member {
            None => MINING,
            Some(member) => address::of_contributor(&self.charter, member).ok_or_else(|| {
                let detail = format!("{} is no founder: contributions have addresses", self.name(member));
                Failure::not_found(detail)
            })?,
        };
        let address = treasury.address(index).ok_or_else(|| Failure::not_found("no such address"))?;
        Ok(Address {
            v: V,
            address: address.to_string(),
            network: self.charter.network.to_string(),
            index,
            member: member.map(|member| self.name(&member)),
            descriptor: treasury.descriptor(&self.charter),
        })
    }

    fn member_called(&self, name: &str) -> Outcome<MemberId> {
        let members = &self.state().members;
        let found =
            members.iter().find(|(key, member)| member.name.as_str() == name || key.to_string() == name);
        found.map(|(key, _)| *key).ok_or_else(|| Failure::not_found(format!("there is no member '{name}'")))
    }

    fn descriptor(&self) -> Outcome<Descriptor> {
        let descriptor = self.shown()?.descriptor(&self.charter);
        Ok(Descriptor { v: V, descriptor, birth_height: self.charter.birth.height, range: ADDRESSES })
    }

    fn coins(&self) -> Outcome<Coins> {
        let view = self.view()?;
        let mut coins: Vec<&Coin> = view.unspent().collect();
        coins.sort_by_key(|coin| (coin.height.is_none(), coin.height, coin.outpoint));
        let coins = coins.into_iter().map(|coin| self.coin_dto(coin, &view));
        Ok(Coins { v: V, height: view.tip(), coins: coins.collect() })
    }

    fn coin_dto(&self, coin: &Coin, view: &View) -> CoinDto {
        let address = bitcoin::Address::from_script(&coin.output.script_pubkey, self.charter.network);
        let [keychain, index] = coin.path;
        CoinDto {
            outpoint: coin.outpoint.to_string(),
            amount_sat: coin.output.value.to_sat(),
            address: address.map(|address| address.to_string()).unwrap_or_default(),
            keychain,
            index,
            height: coin.height,
            depth: coin.depth,
            immature: !coin.mature(),
            frozen: view.left_alone().contains(&coin.outpoint),
            frozen_by_guild: view.frozen().contains(&coin.outpoint),
            recovery_in: u32::from(self.charter.recovery.delay).saturating_sub(coin.depth),
            label: self.label_of(LabelKind::Output, &coin.outpoint.to_string()),
        }
    }

    /// The unspent coin that people call by `text`.
    pub(super) fn coin_named(&self, text: &str) -> Outcome<OutPoint> {
        let outpoint = OutPoint::from_str(text)
            .map_err(|error| Failure::usage(format!("'{text}' is no TXID:OUTPUT: {error}")))?;
        let none = || Failure::not_found(format!("{outpoint} is no unspent coin of the treasury"));
        let view = self.view()?;
        let unspent = view.coin(&outpoint).filter(|coin| coin.spent.is_none());
        unspent.map(|coin| coin.outpoint).ok_or_else(none)
    }

    fn freeze(&mut self, freeze: &Freeze) -> Outcome<CoinDto> {
        let outpoint = self.coin_named(&freeze.outpoint)?;
        let gone = || Failure::not_found(format!("{outpoint} is no coin of the treasury"));
        let treasury = self.treasury.as_mut().ok_or_else(gone)?;
        treasury.leave_alone(outpoint, freeze.frozen);
        self.keep_wallet();
        self.view.take();
        let view = self.view()?;
        let coin = view.coin(&outpoint).ok_or_else(gone)?;
        Ok(self.coin_dto(coin, &view))
    }

    /// Whether coins approach the delay after which recovery keys can move them.
    pub(super) fn aging_wait(&self) -> Option<Wait> {
        let delay = self.charter.recovery.delay;
        let aging = recovery::aging(&*self.view().ok()?, delay)?;
        let (coins, value, blocks) = (aging.coins, aging.value.to_sat(), aging.blocks);
        let what = if aging.percent < 100 {
            let percent = aging.percent;
            format!(
                "{coins} coins ({value} sat) rested {percent} % of {delay} blocks: recovery keys can move the first in {blocks} blocks"
            )
        } else {
            format!("{coins} coins ({value} sat) rested {delay} blocks: the recovery keys can move them now")
        };
        let todo = "move them by a payment that spends them, or let them be renewed".to_owned();
        Some(Wait { what, missing: vec![], since_s: None, todo })
    }
}
