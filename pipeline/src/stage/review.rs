//! Stages `review` and `confirm`: a fresh reader tries to break the diff; findings without proof are dropped.

use std::collections::HashSet;

use domain::StageKey;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::conversation::{Conversation, ToolResult};
use crate::draft::Draft;
use crate::error::PipelineError;
use crate::focus;
use crate::run::Run;
use crate::sheet::Sheet;
use crate::template::{Template, render};
use crate::tool_call::{Finding, Severity, SubmitPlan, SubmitReview, ToolCall, Verdict};

/// A diff beyond this is not reviewed: no reader would see all of it.
const MAX_DIFF_BYTES: usize = 600_000;

/// Output of the stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Review {
    /// What the reviewer said; absent when it said nothing usable.
    pub(crate) verdict: Option<Verdict>,
    /// The findings that quote a line of the diff and name a case that fails.
    pub(crate) findings: Vec<Finding>,
    /// The acceptance items that do not hold.
    pub(crate) unmet_acceptance: Vec<String>,
    /// How many findings were dropped for want of proof.
    pub(crate) dropped: usize,
}

pub(crate) async fn ask(
    run: &Run,
    key: StageKey,
    sheet: &Sheet,
    plan: &SubmitPlan,
    draft: &Draft,
) -> Result<Review, PipelineError> {
    if draft.patch.diff.len() > MAX_DIFF_BYTES {
        return Ok(Review::inconclusive());
    }
    let text = render(
        Template::Review,
        json!({
            "task": run.spec.prompt,
            "acceptance": plan.acceptance,
            "boundary": sheet.boundary,
            "diff": draft.shown_diff(),
            "after": focus::touched(&draft.tree, sheet).text,
            "checks": draft.report.to_string(),
        }),
    );
    let mut conversation = Conversation::open(run, key, "`submit_review`", sheet, text);
    while let Some(turn) = conversation.next().await? {
        let submitted = turn.calls.iter().find_map(|call| match &call.call {
            Ok(ToolCall::SubmitReview(review)) => Some(review),
            _ => None,
        });
        if let Some(review) = submitted {
            return Ok(Review::weigh(review, &draft.shown_diff(), &plan.acceptance));
        }
        let results: Vec<ToolResult> = turn.calls.iter().map(|call| conversation.reject(call)).collect();
        conversation.answer(results, None);
    }
    Ok(Review::inconclusive())
}

impl Review {
    /// Nobody reviewed the diff: it may go out, but never as verified.
    fn inconclusive() -> Self {
        Self { verdict: None, findings: Vec::new(), unmet_acceptance: Vec::new(), dropped: 0 }
    }

    /// Keeps what is proved: findings whose line is in the diff and whose failing case is named, and acceptance items
    /// that the plan really has.
    fn weigh(review: &SubmitReview, diff: &str, acceptance: &[String]) -> Self {
        let lines: HashSet<&str> =
            diff.lines().flat_map(|line| [line.trim_end(), without_marker(line).trim()]).collect();
        let is_in_diff = |quote: &str| {
            let mut quoted = quote.lines().filter(|line| !line.trim().is_empty()).peekable();
            quoted.peek().is_some() && quoted.all(|line| lines.contains(line.trim_end()) || lines.contains(line.trim()))
        };
        let is_proved = |finding: &&Finding| !finding.failing_case.trim().is_empty() && is_in_diff(&finding.diff_line);
        let findings: Vec<Finding> = review.findings.iter().filter(is_proved).cloned().collect();
        let is_known = |item: &&String| acceptance.iter().any(|known| known.trim() == item.trim());
        let unmet_acceptance: Vec<String> = review.unmet_acceptance.iter().filter(is_known).cloned().collect();
        let claimed = review.findings.len() + review.unmet_acceptance.len();
        let dropped = claimed - findings.len() - unmet_acceptance.len();
        Self { verdict: Some(review.verdict), findings, unmet_acceptance, dropped }
    }

    /// Whether something has to be mended. A reviewer who says `revise` without a proved reason changes nothing.
    pub(crate) fn wants_repair(&self) -> bool {
        !self.unmet_acceptance.is_empty() || self.findings.iter().any(|finding| finding.severity > Severity::Minor)
    }

    /// Whether a reviewer looked and found nothing that has to be mended.
    pub(crate) fn is_approval(&self) -> bool {
        self.verdict.is_some_and(|verdict| verdict != Verdict::Reject) && !self.wants_repair()
    }
}

/// A diff's line without its `+`, `-` or blank.
fn without_marker(line: &str) -> &str {
    line.strip_prefix(['+', '-', ' ']).unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIFF: &str = "--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n fn f() {\n-    old();\n+    new();\n";

    fn finding(diff_line: &str, failing_case: &str) -> Finding {
        Finding {
            severity: Severity::Blocker,
            path: "x".into(),
            diff_line: diff_line.into(),
            claim: "wrong".into(),
            failing_case: failing_case.into(),
        }
    }

    fn weigh(verdict: Verdict, findings: Vec<Finding>, unmet: &[&str]) -> Review {
        let unmet_acceptance = unmet.iter().map(|item| (*item).to_owned()).collect();
        Review::weigh(&SubmitReview { verdict, findings, unmet_acceptance }, DIFF, &["f calls new".to_owned()])
    }

    #[test]
    fn keeps_findings_that_quote_the_diff() {
        for quote in ["+    new();", "new();", "    new();", "-    old();\n+    new();", "+    new();  "] {
            assert_eq!(weigh(Verdict::Revise, vec![finding(quote, "f()")], &[]).findings.len(), 1, "{quote}");
        }
    }

    #[test]
    fn drops_findings_without_proof() {
        for (quote, case) in [("+    other();", "f()"), ("+    new();", " "), ("", "f()"), ("\n", "f()")] {
            let review = weigh(Verdict::Revise, vec![finding(quote, case)], &["g is gone"]);
            assert_eq!((review.findings.len(), review.unmet_acceptance.len(), review.dropped), (0, 0, 2), "{quote:?}");
            assert!(!review.wants_repair());
        }
    }

    #[test]
    fn a_rejection_is_no_approval_even_without_proof() {
        assert!(!weigh(Verdict::Reject, vec![], &[]).is_approval());
        assert!(weigh(Verdict::Revise, vec![], &[]).is_approval());
        assert!(!weigh(Verdict::Approve, vec![], &["f calls new"]).is_approval());
        assert!(!Review::inconclusive().is_approval());
    }
}
