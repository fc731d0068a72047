//! Every block of the IANA special-purpose registries: its ends, its middle and its neighbours.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use egress::is_public;
use ipnet::IpNet;

/// The registries' blocks (2026), multicast, reserved space and Azure's wire server.
const BLOCKS: &[&str] = &[
    "0.0.0.0/8",
    "0.0.0.0/32",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "168.63.129.16/32",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.0.0/29",
    "192.0.0.8/32",
    "192.0.0.9/32",
    "192.0.0.10/32",
    "192.0.0.170/32",
    "192.0.0.171/32",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "192.175.48.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "255.255.255.255/32",
    "::/3",
    "::1/128",
    "::/128",
    "::ffff:0:0/96",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "100:0:0:1::/64",
    "2001::/23",
    "2001::/32",
    "2001:1::1/128",
    "2001:1::2/128",
    "2001:1::3/128",
    "2001:2::/48",
    "2001:3::/32",
    "2001:4:112::/48",
    "2001:10::/28",
    "2001:20::/28",
    "2001:30::/28",
    "2001:db8::/32",
    "2002::/16",
    "2620:4f:8000::/48",
    "3fff::/20",
    "4000::/2",
    "5f00::/16",
    "8000::/1",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
];

#[test]
fn no_address_of_a_special_block_is_public_and_every_neighbour_is() {
    let blocks: Vec<IpNet> = BLOCKS.iter().map(|text| text.parse().expect(text)).collect();
    let mut checked = 0;
    let mut wrong = Vec::new();
    for block in &blocks {
        for address in probes(*block) {
            let is_special = blocks.iter().any(|other| other.contains(&address));
            if is_public(address) == is_special {
                wrong.push(format!("{address} (probe of {block}) is special: {is_special}"));
            }
            checked += 1;
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(checked >= 250, "only {checked} addresses");
}

#[test]
fn well_known_public_addresses_are_public() {
    for text in ["1.1.1.1", "8.8.8.8", "140.82.121.4", "172.32.0.1", "2606:4700::1111", "2a00:1450::1", "2620:4f::1"] {
        assert!(is_public(text.parse().expect(text)), "{text}");
    }
}

/// First, middle and last address of a block, and the addresses before and after it.
fn probes(block: IpNet) -> Vec<IpAddr> {
    match block {
        IpNet::V4(block) => {
            let (first, last) = (block.network().to_bits(), block.broadcast().to_bits());
            let middle = first + (last - first) / 2;
            let inside = [first, middle, last].into_iter();
            let around = [first.checked_sub(1), last.checked_add(1)].into_iter().flatten();
            inside.chain(around).map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits))).collect()
        }
        IpNet::V6(block) => {
            let (first, last) = (block.network().to_bits(), block.broadcast().to_bits());
            let middle = first + (last - first) / 2;
            let inside = [first, middle, last].into_iter();
            let around = [first.checked_sub(1), last.checked_add(1)].into_iter().flatten();
            inside.chain(around).map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits))).collect()
        }
    }
}
