//! One snapshot per template: nothing that a model reads changes unseen.

use serde_json::json;

use super::*;

fn example(template: Template) -> Value {
    let focus = "<focus>\nFOCUS\n</focus>";
    let finding = json!({"severity": "major", "path": "a.py", "claim": "b is lost", "diff_line": "+    return a",
        "failing_case": "f(1, 2)"});
    match template {
        Template::System | Template::ChallengeNoChange | Template::NoEdits => json!({}),
        Template::Plan => json!({"task": "TASK"}),
        Template::Edit => json!({"task": "TASK", "plan": "PLAN", "focus": focus}),
        Template::Review => {
            json!({"task": "TASK", "acceptance": ["first", "second"], "boundary": "0123456789ab", "diff": "DIFF\n", "after": "AFTER",
            "checks": "problem (syntax) a.py:3: does not parse any more\n"})
        }
        Template::Repair => {
            json!({"task": "TASK", "plan": "PLAN", "boundary": "0123456789ab", "diff": "DIFF\n", "after": "AFTER",
            "checks": "problem (syntax) a.py:3: does not parse any more\n", "findings": [finding], "unmet_acceptance": ["second"]})
        }
        Template::Focus => json!({"tag": "focus", "boundary": "0123456789ab",
            "files": [{"path": "a.py", "text": "x = 1"}, {"path": "b.py", "text": "y = 2"}]}),
        Template::PlanText => json!({"summary": "SUMMARY", "acceptance": ["first", "second"], "risks": ["one"],
            "files": [{"action": "edit", "path": "a.py", "new_path": "", "why": "WHY"},
                {"action": "move", "path": "b.py", "new_path": "c.py", "why": "WHY"}]}),
        Template::Nudge => json!({"tools": "`submit_plan` or `no_change`"}),
        Template::ContinueAfterCut => json!({"applied": 2}),
        Template::NotInThisPass => json!({"tool": "Edit", "tools": "`submit_plan`"}),
        Template::UnreadableCall => json!({"tool": "Edit", "reason": "missing field `old_string`"}),
        Template::PlanMisses => json!({"misses": [{"kind": "no_files"}, {"kind": "bad_path", "reason": "`..`: REASON"},
            {"kind": "unknown_path", "path": "x.py"}, {"kind": "exists", "path": "a.py"},
            {"kind": "outside", "path": "o.py"},
            {"kind": "quote", "path": "a.py", "quote": "x = 2"}]}),
        Template::QuoteMissing => json!({"path": "a.py"}),
        Template::UnseenFile => json!({"path": "poetry.lock", "class": "lock file"}),
        Template::EditsIncomplete => json!({"failed": 1}),
    }
}

#[test]
fn every_template_reads_as_before() {
    for template in Template::ALL {
        let name = template.file().replace(['/', '.'], "_");
        insta::assert_snapshot!(name, render(*template, example(*template)));
    }
}

#[test]
fn a_missing_variable_is_an_error() {
    let outcome = ENVIRONMENT.render_named_str("x", "{{ absent }}", Serde(json!({})));
    assert!(outcome.is_err());
}

/// The limits that the Messages API puts on strict tools: flat schemas, every field required, nothing else allowed.
#[test]
fn the_tools_are_strict() {
    fn check(schema: &Value) {
        if schema["type"] == "object" {
            assert_eq!(schema["additionalProperties"], json!(false), "{schema}");
            let properties: Vec<&String> = schema["properties"].as_object().expect("properties").keys().collect();
            assert_eq!(json!(properties), schema["required"], "{schema}");
            schema["properties"].as_object().expect("properties").values().for_each(check);
        }
        if schema["type"] == "array" {
            check(&schema["items"]);
        }
        for keyword in ["minimum", "maximum", "minLength", "maxLength", "maxItems", "pattern"] {
            assert!(schema.get(keyword).is_none(), "{keyword}");
        }
    }
    let tools = TOOLS.as_array().expect("a list");
    assert!(tools.len() <= 11);
    for tool in tools {
        assert_eq!(tool["strict"], json!(true));
        check(&tool["input_schema"]);
    }
}
