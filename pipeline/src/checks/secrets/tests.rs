//! Planted secrets are found in every dress, and clean text is left alone.
//!
//! No secret stands in this file: each is put together from pieces when the test runs.

use super::*;

const ALPHANUMERIC: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const HEXADECIMAL: &str = "0123456789abcdef";
const BASE32: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const DIGITS: &str = "0123456789";

/// Characters that look random and are the same in every run.
struct Pieces(u64);

impl Pieces {
    fn of(&mut self, alphabet: &str, length: usize) -> String {
        (0..length)
            .map(|_| {
                self.0 ^= self.0 << 13;
                self.0 ^= self.0 >> 7;
                self.0 ^= self.0 << 17;
                let index = usize::try_from(self.0 >> 33).expect("31 bits") % alphabet.len();
                char::from(alphabet.as_bytes()[index])
            })
            .collect()
    }
}

/// One secret of each kind that has a form of its own.
fn planted(seed: u64) -> Vec<(&'static str, String)> {
    let mut pieces = Pieces(0x9E37_79B9_7F4A_7C15 ^ (seed << 7));
    let mut alnum = |prefix: &[&str], length| prefix.concat() + &pieces.of(ALPHANUMERIC, length);
    let mut all = vec![
        ("GitHub token", alnum(&["gh", "p_"], 36)),
        ("GitHub token", alnum(&["gh", "s_"], 36)),
        ("GitHub fine-grained token", alnum(&["github", "_pat_"], 82)),
        ("GitLab token", alnum(&["gl", "pat-"], 20)),
        ("Slack token", alnum(&["xo", "xb-"], 40)),
        ("Slack webhook", alnum(&["https://hooks.slack", ".com/services/"], 44)),
        ("Stripe key", alnum(&["sk", "_live_"], 24)),
        ("Stripe key", alnum(&["rk", "_live_"], 24)),
        ("Stripe webhook secret", alnum(&["whs", "ec_"], 32)),
        ("Google API key", alnum(&["AI", "za"], 35)),
        ("Google OAuth client secret", alnum(&["GOC", "SPX-"], 28)),
        ("Google OAuth token", alnum(&["ya", "29."], 60)),
        ("Anthropic API key", alnum(&["sk-", "ant-api03-"], 90)),
        ("OpenAI API key", alnum(&["sk-", "proj-"], 30) + &alnum(&["T3Blb", "kFJ"], 30)),
        ("Hugging Face token", alnum(&["h", "f_"], 34)),
        ("npm token", alnum(&["np", "m_"], 36)),
        ("PyPI token", alnum(&["pypi-", "AgEIcHlwaS"], 80)),
        ("crates.io token", alnum(&["c", "io"], 32)),
        ("Docker token", alnum(&["dckr", "_pat_"], 27)),
        ("SendGrid key", alnum(&["S", "G."], 22) + &alnum(&["."], 43)),
        ("Square token", alnum(&["sq0", "csp-"], 43)),
        ("Vault token", alnum(&["hv", "s."], 90)),
        ("Linear key", alnum(&["lin_", "api_"], 40)),
        ("Notion token", alnum(&["nt", "n_"], 46)),
        ("PlanetScale token", alnum(&["pscale", "_tkn_"], 43)),
        ("Grafana token", alnum(&["gl", "sa_"], 40)),
        ("Sentry token", alnum(&["sntr", "ys_"], 60)),
        ("JSON web token", alnum(&["ey", "J"], 30) + &alnum(&[".ey", "J"], 60) + &alnum(&["."], 43)),
        ("Terraform token", alnum(&[], 14) + &alnum(&[".atlas", "v1."], 64)),
        ("Azure storage key", alnum(&["Account", "Key="], 86) + "=="),
        ("Azure client secret", alnum(&[], 3) + &alnum(&["8", "Q~"], 32)),
    ];
    let mut of = |prefix: &[&str], alphabet, length| prefix.concat() + &pieces.of(alphabet, length);
    all.extend([
        ("AWS access key id", of(&["AK", "IA"], BASE32, 16)),
        ("Slack app token", of(&["xa", "pp-1-"], UPPER, 11) + &of(&["-"], DIGITS, 13) + &of(&["-"], HEXADECIMAL, 64)),
        ("RubyGems key", of(&["ruby", "gems_"], HEXADECIMAL, 48)),
        ("DigitalOcean token", of(&["dop", "_v1_"], HEXADECIMAL, 64)),
        ("Mailgun key", of(&["ke", "y-"], HEXADECIMAL, 32)),
        ("Mailchimp key", of(&[], HEXADECIMAL, 32) + "-us" + "12"),
        ("Twilio key", of(&["S", "K"], HEXADECIMAL, 32)),
        ("Telegram bot token", of(&["1"], DIGITS, 8) + &of(&[":A", "A"], ALPHANUMERIC, 33)),
        ("Shopify token", of(&["shp", "at_"], HEXADECIMAL, 32)),
        ("New Relic key", of(&["NR", "AK-"], UPPER, 27)),
        ("Databricks token", of(&["da", "pi"], HEXADECIMAL, 32)),
        ("Postman key", of(&["PM", "AK-"], HEXADECIMAL, 24) + &of(&["-"], HEXADECIMAL, 34)),
        ("age key", of(&["AGE-SECRET", "-KEY-1"], UPPER, 58)),
        ("private key", ["-----BEGIN RSA PRIV", "ATE KEY-----"].concat()),
        (
            "Discord webhook",
            of(&["https://discord", ".com/api/webhooks/1"], DIGITS, 17) + &of(&["/"], ALPHANUMERIC, 68),
        ),
    ]);
    all
}

fn kinds(line: &str) -> Vec<&'static str> {
    find(line).into_iter().map(|found| found.kind).collect()
}

#[test]
fn planted_secrets_are_found_in_every_dress() {
    let mut planted_kinds = std::collections::BTreeSet::new();
    for seed in 0..20 {
        for (kind, secret) in planted(seed) {
            planted_kinds.insert(kind);
            for line in [
                format!("    let client = Client::new(\"{secret}\");"),
                format!("SETTING={secret}"),
                format!("  \"setting\": \"{secret}\","),
                format!("setting: '{secret}'  # for now"),
                format!("// was {secret} until Monday"),
            ] {
                assert!(kinds(&line).contains(&kind), "{kind}, seed {seed}");
            }
        }
    }
    assert!(planted_kinds.len() >= 40, "{} kinds", planted_kinds.len());
}

#[test]
fn values_of_telling_names_are_found() {
    let mut pieces = Pieces(77);
    for _ in 0..50 {
        let value = pieces.of(ALPHANUMERIC, 31) + "7a";
        for line in [
            format!("const API_KEY = \"{value}\";"),
            format!("  \"client_secret\": \"{value}\","),
            format!("db_password = '{value}'"),
            format!("export SERVICE_TOKEN={value}"),
            format!("  access_key: {value}"),
            format!("Authorization: Bearer {value}"),
            format!("url = postgres://app:{value}@db.internal/app"),
            format!("aws_secret_access_key = {value}aB3dE7x"),
        ] {
            assert!(!find(&line).is_empty(), "{}", line.replace(&value, "…"));
        }
    }
    let bot = format!(
        "token = \"M{}.{}.{}\"",
        pieces.of(ALPHANUMERIC, 24),
        pieces.of(ALPHANUMERIC, 6),
        pieces.of(ALPHANUMERIC, 30)
    );
    assert!(kinds(&bot).contains(&"Discord bot token"));
}

#[test]
fn placeholders_and_code_are_not_secrets() {
    for line in [
        "password = \"changeme\"",
        "api_key = os.environ[\"API_KEY\"]",
        "token: \"${{ secrets.GITHUB_TOKEN }}\"",
        "let token = tokens.next_token_of_kind(Kind::Identifier2);",
        "password: \"your-password-here-1\"",
        "API_KEY=xxxxxxxxxxxxxxxxxxxxxxxx",
        "url = \"postgres://user:password@localhost/db\"",
        "access_key = \"0123456789abcdef0123456789abcdef\"",
        "secret_name: my-service-credentials",
        "key = \"monkey\"",
        "const TOKEN_KIND_IDENTIFIER = \"identifier_token\";",
        "Authorization: Bearer <token>",
        "# see https://docs.rs/regex and https://example.org:8080/a@b",
        &["AK", "IAIOSFODNN7EXAMPLE"].concat(),
    ] {
        assert_eq!(kinds(line), [] as [&str; 0], "{line}");
    }
}

#[test]
fn a_keyword_of_each_rule_is_in_what_it_matches() {
    for (_, secret) in planted(3) {
        assert!(KEYWORDS.is_match(&secret.to_uppercase()), "{}", &secret[..4]);
    }
    for rule in RULES {
        assert!(!rule.keywords.is_empty(), "{}", rule.kind);
        assert!(rule.keywords.iter().all(|keyword| keyword.to_lowercase() == **keyword), "{}", rule.kind);
    }
}

#[test]
fn entropy_is_in_bits_per_byte() {
    assert!(entropy("aaaa").abs() < 1e-9);
    assert!((entropy("abcdabcd") - 2.0).abs() < 1e-9);
    assert!(entropy(ALPHANUMERIC) > 5.9);
}
