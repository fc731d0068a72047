//! Every text that a model sees, rendered from the files in `pipeline/templates`.
//!
//! A variable that a template does not get is an error, and a change of any text changes a snapshot in
//! `template/tests.rs`, so that nothing a model reads changes unseen.

use std::sync::LazyLock;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;
use serde_json::Value;

macro_rules! templates {
    ($($variant:ident = $file:literal;)+) => {
        /// The templates, by file.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Template {
            $($variant,)+
        }

        impl Template {
            #[cfg(test)]
            pub(crate) const ALL: &'static [Self] = &[$(Self::$variant),+];

            pub(crate) fn file(self) -> &'static str {
                match self { $(Self::$variant => $file),+ }
            }

            fn source(self) -> &'static str {
                match self { $(Self::$variant => include_str!(concat!("../templates/", $file))),+ }
            }
        }
    };
}

templates! {
    System = "system.md.j2";
    Plan = "plan.md.j2";
    Edit = "edit.md.j2";
    Review = "review.md.j2";
    Repair = "repair.md.j2";
    Focus = "focus.md.j2";
    PlanText = "plan_text.md.j2";
    Nudge = "reply/nudge.md.j2";
    ContinueAfterCut = "reply/continue_after_cut.md.j2";
    NotInThisPass = "reply/not_in_this_pass.md.j2";
    UnreadableCall = "reply/unreadable_call.md.j2";
    PlanMisses = "reply/plan_misses.md.j2";
    QuoteMissing = "reply/quote_missing.md.j2";
    ChallengeNoChange = "reply/challenge_no_change.md.j2";
    UnseenFile = "reply/unseen_file.md.j2";
    EditsIncomplete = "reply/edits_incomplete.md.j2";
    NoEdits = "reply/no_edits.md.j2";
}

/// The tool definitions, the same in every pass: they are the beginning of the cached prefix.
pub(crate) static TOOLS: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../templates/tools.json")).expect("the tool definitions are JSON, by a test")
});

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_syntax(
        SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build()
            .expect("the usual delimiters with block lines removed are a valid syntax"),
    );
    environment
});

/// The text of a template.
pub(crate) fn render(template: Template, context: impl Serialize) -> String {
    let text = ENVIRONMENT.render_named_str(template.file(), template.source(), Serde(context));
    text.expect("every template renders with the context its callers give, by a test")
}

#[cfg(test)]
mod tests;
