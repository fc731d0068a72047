//! Which IP addresses are on the public internet, by the IANA special-purpose address registries.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// IPv4 blocks that are not on the public internet.
///
/// The [IANA IPv4 special-purpose registry](https://www.iana.org/assignments/iana-ipv4-special-registry), multicast and
/// class E, and Azure's wire server, which sits in a publicly routed range.
const SPECIAL_V4: [Ipv4Net; 18] = [
    v4([0, 0, 0, 0], 8),
    v4([10, 0, 0, 0], 8),
    v4([100, 64, 0, 0], 10),
    v4([127, 0, 0, 0], 8),
    v4([168, 63, 129, 16], 32),
    v4([169, 254, 0, 0], 16),
    v4([172, 16, 0, 0], 12),
    v4([192, 0, 0, 0], 24),
    v4([192, 0, 2, 0], 24),
    v4([192, 31, 196, 0], 24),
    v4([192, 52, 193, 0], 24),
    v4([192, 88, 99, 0], 24),
    v4([192, 168, 0, 0], 16),
    v4([192, 175, 48, 0], 24),
    v4([198, 18, 0, 0], 15),
    v4([198, 51, 100, 0], 24),
    v4([203, 0, 113, 0], 24),
    v4([224, 0, 0, 0], 3),
];

/// The only IPv6 block that is routed on the public internet.
const GLOBAL_UNICAST_V6: Ipv6Net = v6([0x2000, 0, 0], 3);

/// Blocks inside [`GLOBAL_UNICAST_V6`] that are not on the public internet, by the
/// [IANA IPv6 special-purpose registry](https://www.iana.org/assignments/iana-ipv6-special-registry).
///
/// Everything outside `2000::/3` falls out by default: loopback, mapped and NAT64 addresses, ULA, site-local.
const SPECIAL_V6: [Ipv6Net; 5] = [
    v6([0x2001, 0, 0], 23),
    v6([0x2001, 0xdb8, 0], 32),
    v6([0x2002, 0, 0], 16),
    v6([0x2620, 0x4f, 0x8000], 48),
    v6([0x3fff, 0, 0], 20),
];

/// Where clouds serve credentials to whoever asks from inside: never reachable, whatever the configuration allows.
const METADATA: [IpNet; 6] = [
    IpNet::V4(v4([169, 254, 0, 0], 16)),
    IpNet::V4(v4([168, 63, 129, 16], 32)),
    IpNet::V4(v4([100, 100, 100, 200], 32)),
    IpNet::V6(v6([0xfe80, 0, 0], 10)),
    IpNet::V6(v6([0xfd00, 0xec2, 0], 32)),
    IpNet::V6(v6([0xfd20, 0xce, 0], 32)),
];

/// Whether an address is on the public internet. Addresses that embed another one (mapped, NAT64, 6to4) are not.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !SPECIAL_V4.iter().any(|block| block.contains(&address)),
        IpAddr::V6(address) => {
            GLOBAL_UNICAST_V6.contains(&address) && !SPECIAL_V6.iter().any(|block| block.contains(&address))
        }
    }
}

/// Whether an address, or the IPv4 address embedded in it, is a cloud's metadata service.
pub fn is_metadata_service(address: IpAddr) -> bool {
    let is_listed = |address: IpAddr| METADATA.iter().any(|block| block.contains(&address));
    is_listed(address) || embedded_v4(address).is_some_and(|inner| is_listed(IpAddr::V4(inner)))
}

/// The IPv4 address that a gateway or the kernel would reach for this IPv6 address.
fn embedded_v4(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(address) = address else { return None };
    let octets = address.octets();
    let [.., a, b, c, d] = octets;
    match octets {
        // IPv4-compatible and IPv4-mapped (RFC 4291 §2.5.5); NAT64 with the well-known prefix (RFC 6052) and with a /96
        // below the local one (RFC 8215).
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 | 0xff, 0 | 0xff, ..] | [0x00, 0x64, 0xff, 0x9b, ..] => {
            Some(Ipv4Addr::new(a, b, c, d))
        }
        // 6to4 (RFC 3056).
        [0x20, 0x02, a, b, c, d, ..] => Some(Ipv4Addr::new(a, b, c, d)),
        _ => None,
    }
}

const fn v4(octets: [u8; 4], prefix_bits: u8) -> Ipv4Net {
    let [a, b, c, d] = octets;
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix_bits)
}

const fn v6(head: [u16; 3], prefix_bits: u8) -> Ipv6Net {
    let [a, b, c] = head;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), prefix_bits)
}
