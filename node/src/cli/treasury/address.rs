//! `guild treasury address`: where to pay in, as text, BIP21 link or QR code.

use crate::api::dto::treasury::Address as Answer;
use crate::cli::say::Say;
use crate::client::Client;
use crate::error::{Failure, Outcome};
use crate::home::{self, Home};
use clap::Args;
use qrcode::QrCode;
use qrcode::render::{svg, unicode};
use std::path::PathBuf;

/// The side of the SVG, in its own units: large enough to print.
const SVG_SIDE: u32 = 512;
/// Satoshis that there can ever be.
const ALL_SAT: u64 = 2_100_000_000_000_000;

/// Where to pay in: each contributor has an own address.
#[derive(Debug, Args)]
pub(crate) struct Address {
    /// The address of this member, by name or key. Default: yours.
    #[arg(long, value_name = "NAME", conflicts_with = "mining")]
    member: Option<String>,
    /// The address that mining pays to.
    #[arg(long)]
    mining: bool,
    /// Print a payment link (BIP21).
    #[arg(long)]
    uri: bool,
    /// Ask for this many satoshis in the link.
    #[arg(long, value_name = "SAT")]
    amount: Option<u64>,
    /// Say in the link what it is for.
    #[arg(long, value_name = "TEXT")]
    message: Option<String>,
    /// Draw the link as a QR code.
    #[arg(long)]
    qr: bool,
    /// Write the QR code to this file.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

impl Address {
    pub(super) fn run(self, home: &Home, say: Say) -> Outcome<()> {
        if self.amount.is_some_and(|sat| sat == 0 || sat > ALL_SAT) {
            return Err(Failure::usage(format!("--amount: 1 to {ALL_SAT} satoshis")));
        }
        let answer: Answer = Client::of(home)?.get(&format!("treasury/address{}", self.query()))?;
        let uri = link(&answer.address, self.amount, self.message.as_deref());
        let code =
            QrCode::new(uri.as_bytes()).map_err(|error| Failure::usage(format!("the QR code: {error}")));
        if let Some(file) = &self.svg {
            let code = code.as_ref().map_err(Clone::clone)?;
            let drawn = code.render::<svg::Color<'_>>().min_dimensions(SVG_SIDE, SVG_SIDE).build();
            home::write_new(file, drawn.as_bytes())?;
        }
        let drawn = self.qr.then_some(code).transpose()?.map(|code| drawn(&code));
        let data = serde_json::json!({
            "v": answer.v, "address": answer.address, "network": answer.network, "index": answer.index,
            "member": answer.member, "descriptor": answer.descriptor, "uri": uri,
        });
        say.data(&data, || {
            let first = match self.uri || self.qr {
                true => uri.clone(),
                false => format!("{} ({})", answer.address, answer.network),
            };
            drawn.map_or_else(|| first.clone(), |drawn| format!("{drawn}\n{first}"))
        });
        Ok(())
    }

    fn query(&self) -> String {
        match (&self.member, self.mining) {
            (Some(member), _) => format!("?member={}", escaped(member)),
            (None, true) => "?mining=true".to_owned(),
            (None, false) => String::new(),
        }
    }
}

/// Dark on light, with the quiet margin that scanners want.
fn drawn(code: &QrCode) -> String {
    code.render::<unicode::Dense1x2>()
        .dark_color(unicode::Dense1x2::Light)
        .light_color(unicode::Dense1x2::Dark)
        .build()
}

/// A payment link (BIP21).
fn link(address: &str, amount: Option<u64>, message: Option<&str>) -> String {
    let amount = amount.map(|sat| format!("amount={}", bitcoin(sat)));
    let message = message.map(|text| format!("message={}", escaped(text)));
    let parameters: Vec<String> = amount.into_iter().chain(message).collect();
    if parameters.is_empty() {
        return format!("bitcoin:{address}");
    }
    format!("bitcoin:{address}?{}", parameters.join("&"))
}

/// Satoshis as a decimal number of bitcoin, without floats.
fn bitcoin(sat: u64) -> String {
    let (whole, rest) = (sat / 100_000_000, sat % 100_000_000);
    let text = format!("{whole}.{rest:08}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// What may stand in a query as it is stands, everything else is escaped (RFC 3986).
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let parts = text.bytes().map(|byte| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_those_of_bip21() {
        for (amount, message, expected) in [
            (None, None, "bitcoin:bcrt1pxy"),
            (Some(1), None, "bitcoin:bcrt1pxy?amount=0.00000001"),
            (Some(150_000_000), None, "bitcoin:bcrt1pxy?amount=1.5"),
            (
                Some(2_000_000_000),
                Some("rent & power"),
                "bitcoin:bcrt1pxy?amount=20&message=rent%20%26%20power",
            ),
            (None, Some("Zürich"), "bitcoin:bcrt1pxy?message=Z%C3%BCrich"),
        ] {
            assert_eq!(link("bcrt1pxy", amount, message), expected);
        }
    }

    #[test]
    fn a_code_is_drawn_in_the_terminal_and_as_svg() {
        let code = QrCode::new(b"bitcoin:bcrt1pxy").unwrap();
        let lines: Vec<String> = drawn(&code).lines().map(str::to_owned).collect();
        assert!(
            lines.len() > 10 && lines.iter().all(|line| line.chars().count() == lines[0].chars().count())
        );
        let svg = code.render::<svg::Color<'_>>().min_dimensions(SVG_SIDE, SVG_SIDE).build();
        assert!(svg.contains("<svg") && svg.trim_end().ends_with("</svg>"));
    }
}
