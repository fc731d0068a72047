//! What secrets look like. Data, no logic.
//!
//! The forms are those that the services document or print. A rule's first group is the secret, else its whole match.

/// The form of one kind of secret.
pub(super) struct Rule {
    /// What it is, for a message.
    pub(super) kind: &'static str,
    /// A line without any of these, in whatever case, does not match.
    pub(super) keywords: &'static [&'static str],
    /// The form.
    pub(super) pattern: &'static str,
    /// Bits per byte that the secret must have; 0 for a form that needs no proof.
    pub(super) min_entropy: f64,
}

const fn form(kind: &'static str, keywords: &'static [&'static str], pattern: &'static str) -> Rule {
    Rule { kind, keywords, pattern, min_entropy: 0.0 }
}

const fn random(kind: &'static str, keywords: &'static [&'static str], pattern: &'static str, bits: f64) -> Rule {
    Rule { kind, keywords, pattern, min_entropy: bits }
}

/// Every rule.
pub(super) static RULES: &[Rule] = &[
    form("AWS access key id", &["akia", "asia", "abia", "acca"], r"\b((?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16})\b"),
    random(
        "AWS secret access key",
        &["aws"],
        r#"(?i)aws.{0,20}(?:secret|key).{0,20}?["'=:\s]([A-Za-z0-9/+]{40})(?:[^A-Za-z0-9/+]|$)"#,
        4.0,
    ),
    form("GitHub token", &["ghp_", "gho_", "ghu_", "ghs_", "ghr_"], r"\b(gh[pousr]_[A-Za-z0-9]{36,255})\b"),
    form("GitHub fine-grained token", &["github_pat_"], r"\b(github_pat_[A-Za-z0-9_]{60,255})\b"),
    form("GitLab token", &["gl"], r"\b(gl(?:pat|ptt|dt|rt|cbt|ft|imt|soat)-[A-Za-z0-9_-]{20,})"),
    form("Slack token", &["xox"], r"\b(xox[abeoprs]-[A-Za-z0-9-]{20,})"),
    form("Slack app token", &["xapp-"], r"\b(xapp-\d-[A-Z0-9]{8,}-\d+-[a-z0-9]{32,})"),
    form(
        "Slack webhook",
        &["hooks.slack.com"],
        r"hooks\.slack\.com/(?:services|workflows|triggers)/([A-Za-z0-9+/]{40,60})",
    ),
    form("Stripe key", &["sk_", "rk_"], r"\b((?:sk|rk)_(?:live|test|prod)_[A-Za-z0-9]{16,})"),
    form("Stripe webhook secret", &["whsec_"], r"\b(whsec_[A-Za-z0-9+/]{24,}=*)"),
    form("Google API key", &["aiza"], r"\b(AIza[A-Za-z0-9_-]{35})"),
    form("Google OAuth client secret", &["gocspx-"], r"\b(GOCSPX-[A-Za-z0-9_-]{28})"),
    form("Google OAuth token", &["ya29."], r"\b(ya29\.[A-Za-z0-9_-]{30,})"),
    form("Anthropic API key", &["sk-ant-"], r"\b(sk-ant-[a-z0-9]+-[A-Za-z0-9_-]{20,})"),
    form("OpenAI API key", &["t3blbkfj"], r"\b(sk-[A-Za-z0-9_-]{20,}T3BlbkFJ[A-Za-z0-9_-]{20,})"),
    form("Hugging Face token", &["hf_"], r"\b(hf_[A-Za-z0-9]{34})\b"),
    form("npm token", &["npm_"], r"\b(npm_[A-Za-z0-9]{36})\b"),
    form("PyPI token", &["pypi-ageichlwas"], r"\b(pypi-AgEIcHlwaS[A-Za-z0-9_-]{50,})"),
    random("crates.io token", &["cio"], r"\b(cio[A-Za-z0-9]{32})\b", 3.5),
    form("RubyGems key", &["rubygems_"], r"\b(rubygems_[a-f0-9]{48})\b"),
    form("Docker token", &["dckr_"], r"\b(dckr_(?:pat|oat)_[A-Za-z0-9_-]{27,})"),
    form("DigitalOcean token", &["_v1_"], r"\b(do[opr]_v1_[a-f0-9]{64})\b"),
    form("SendGrid key", &["sg."], r"\b(SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43})"),
    form("Mailgun key", &["key-"], r"\b(key-[a-f0-9]{32})\b"),
    form("Mailchimp key", &["-us"], r"\b([a-f0-9]{32}-us\d{1,2})\b"),
    form("Twilio key", &["sk"], r"\b(SK[a-f0-9]{32})\b"),
    form("Telegram bot token", &[":aa"], r"\b(\d{8,10}:AA[A-Za-z0-9_-]{33})\b"),
    form(
        "Discord bot token",
        &["discord", "bot", "token"],
        r"\b([MNO][A-Za-z0-9_-]{23,25}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,38})\b",
    ),
    form("Discord webhook", &["/api/webhooks/"], r"discord(?:app)?\.com/api/webhooks/(\d{17,20}/[A-Za-z0-9_-]{60,})"),
    form("Shopify token", &["shp"], r"\b(shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32})\b"),
    form("Square token", &["sq0"], r"\b(sq0(?:atp|csp)-[A-Za-z0-9_-]{22,43})"),
    form("New Relic key", &["nrak-"], r"\b(NRAK-[A-Z0-9]{27})\b"),
    form("Databricks token", &["dapi"], r"\b(dapi[a-f0-9]{32})(?:-\d)?\b"),
    random("Vault token", &["hvs.", "hvb.", "hvr."], r"\b(hv[sbr]\.[A-Za-z0-9_-]{24,})", 3.5),
    form("Terraform token", &[".atlasv1."], r"\b([A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,})"),
    form("Linear key", &["lin_api_"], r"\b(lin_api_[A-Za-z0-9]{40})\b"),
    form("Notion token", &["ntn_"], r"\b(ntn_[A-Za-z0-9]{40,})\b"),
    form("PlanetScale token", &["pscale_"], r"\b(pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_=.-]{32,})"),
    form("Postman key", &["pmak-"], r"\b(PMAK-[a-f0-9]{24}-[a-f0-9]{34})\b"),
    form("Grafana token", &["glc_", "glsa_"], r"\b(gl(?:c|sa)_[A-Za-z0-9_+/]{32,}=*)"),
    form("Sentry token", &["sntr"], r"\b(sntr[yu]s?_[A-Za-z0-9_+/=]{40,})"),
    form("age key", &["age-secret-key-"], r"\b(AGE-SECRET-KEY-1[A-Z0-9]{58})\b"),
    form("private key", &["private key"], r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"),
    random("JSON web token", &["eyj"], r"\b(eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,})", 4.0),
    form("Azure storage key", &["accountkey="], r"(?i)AccountKey=([A-Za-z0-9+/]{86}==)"),
    random("Azure client secret", &["q~"], r"\b([A-Za-z0-9_~.-]{3}\dQ~[A-Za-z0-9_~.-]{31,34})", 3.5),
    random("password in a URL", &["://"], r#"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@"']{0,60}:([^\s/@"']{8,100})@"#, 3.0),
    random(
        "authorization header",
        &["authorization"],
        r#"(?i)authorization["']?\s*[:=,]\s*["']?(?:bearer|basic|token)\s+([A-Za-z0-9+/_.=-]{20,300})"#,
        3.5,
    ),
    random(
        "quoted value of a telling name",
        &["passw", "pwd", "secret", "token", "key", "credential"],
        r#"(?i)(?:passwo?r?d|pwd|secret|token|api[_-]?key|access[_-]?key|auth[_-]?key|private[_-]?key|signing[_-]?key|encryption[_-]?key|credential)[a-z0-9_.-]{0,30}["'\]]{0,2}\s*(?::=|=>|=|:)\s*["'`]([A-Za-z0-9+/_=.~!@#$%^&*-]{12,200})["'`]"#,
        3.5,
    ),
    random(
        "value of a telling variable",
        &["passw", "secret", "token", "key"],
        r"^\s*(?:export\s+|ENV\s+)?[A-Z0-9_]*(?:PASSWORD|SECRET|TOKEN|API_KEY|ACCESS_KEY|PRIVATE_KEY)[A-Z0-9_]*=([A-Za-z0-9+/_=.~!@#%^&*-]{16,200})\s*$",
        3.5,
    ),
    random(
        "value of a telling key",
        &["passw", "secret", "token", "key"],
        r"(?i)^\s*(?:- )?[a-z0-9_.-]{0,30}(?:password|secret|token|api_?key|access_?key)[a-z0-9_]{0,10}:\s+([A-Za-z0-9+/_=~-]{20,200})\s*$",
        4.0,
    ),
];
